"""`waymeet decide`: what a person's consents say to one question, from a file or standard input.

The question and the answer are those of `consent.request`: docs/reference/consent-services.md.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, BinaryIO, Final

import typer

from consent.question import RequestError
from consent.request import answer
from gateway import fhir_json
from gateway.cli.said import err, said
from gateway.cli.stream import a_closed_pipe_ends_it, say
from gateway.json_places import line_of
from profiles import strict_json
from profiles.json_files import texts
from profiles.outcome import Issue

STDIN: Final = Path("-")
MOST: Final = 50 * 1024 * 1024  # bytes of one request

_HEADLINE: Final = {"permit": ("Yes", "green"), "deny": ("No", "red"), "no-consent": ("No consent", "yellow")}


class UnreadableError(ValueError):
    """A request that cannot be read; `problems` are one line each, and repeat no value."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def command(
    request: Annotated[
        Path, typer.Option("--request", "-r", metavar="FILE", help="The request; - is standard input.")
    ] = STDIN,
    as_json: Annotated[bool, typer.Option("--json", help="The answer as JSON, for programs.")] = False,
    lines: Annotated[
        bool, typer.Option("--lines", help="A request on each line; an answer, in JSON, on each line.")
    ] = False,
) -> None:
    """Decide on the consents in a request. Exit status: 0 an answer was given, 2 a request cannot be read."""
    with said(), a_closed_pipe_ends_it(), _opened(request) as source:
        name = "standard input" if request == STDIN else str(request)
        if lines:
            raise typer.Exit(0 if _answer_lines(source) else 2)
        try:
            told = _answered(source.read(MOST + 1), f"{name}:")
        except UnreadableError as fault:
            for problem in fault.problems:
                say(problem, "red", err)
            raise typer.Exit(2) from None
        if as_json:
            _print(told)
        else:
            _show(told)


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    if path == STDIN:
        yield sys.stdin.buffer
        return
    with path.open("rb") as source:
        yield source


def _answer_lines(source: BinaryIO) -> bool:
    """One answer for each request, as soon as it is there. Whether all could be read."""
    readable = True
    for text in texts(source, "requests.ndjson"):
        try:
            told = _answered(text.body or b" " * (MOST + 1), "line ", text.line)
        except UnreadableError as fault:
            told, readable = {"error": fault.problems}, False
        _print(told)
        sys.stdout.flush()
    return readable


def _answered(body: bytes, name: str, first: int = 1) -> dict[str, Any]:
    """The answer to the request in `body`, which begins on the line `first` of its source.

    Raises UnreadableError; each problem begins with `name` and the line.
    """
    if len(body) > MOST:
        raise UnreadableError([f"{name}{first}: is longer than {MOST // (1024 * 1024)} MB"])
    if not body.strip():
        raise UnreadableError([f"{name}{first}: is empty; a request is expected"])
    try:
        return answer(strict_json.read(body))
    except strict_json.JsonError as fault:
        raise UnreadableError([f"{name}{first + fault.line - 1}: {fault}"]) from None
    except RequestError as fault:
        text = body.decode()
        raise UnreadableError(
            [f"{name}{_place(text, issue, first)}{issue.message}" for issue in fault.issues]
        ) from None


def _place(text: str, issue: Issue, first: int) -> str:
    """Line and name of the part that an issue is about."""
    found = line_of(text, issue.expression)
    return f"{first + (found or 1) - 1}: {issue.expression} "


def _print(told: dict[str, Any]) -> None:
    sys.stdout.write(fhir_json.encode(told).decode() + "\n")


def _show(told: dict[str, Any]) -> None:
    """An answer for people."""
    headline, style = _HEADLINE[told["decision"]]
    said_first, *more = told["reasons"]
    say(f"{headline}. {said_first['text']}", style)
    for reason in told["reasons"]:
        if reason in more and "withheld" not in reason:
            say(reason["text"])
        for issue in reason.get("issues", ()):
            say(f"  {reason['basis']}: {issue}")
    if told["released"]:
        say("May go:")
        for key in told["released"]:
            say(f"  {key}")
    for reason in told["reasons"]:
        if "withheld" in reason:
            say(f"Stays: {reason['text']}")
            for key in reason["withheld"]:
                say(f"  {key}")
    for words in map(_duty, told["obligations"]):
        if words:
            say(words)
    for basis in told["basis"]:
        say(f"Rests on {basis}")
    if told["until"]:
        say(f"Holds until {told['until']} at the latest; then ask again.")


def _duty(duty: dict[str, Any]) -> str:
    """An obligation in words; empty for one that the entries above already show."""
    if "text" in duty:
        return f"Promised: {duty['text']}"
    parameters = duty.get("parameters", {})
    if "codes" in parameters:
        return f"Leave out whatever is marked or coded {_listed(parameters['codes'])}."
    if "exceptAnyOfCodes" in parameters:
        codes = _listed(parameters["exceptAnyOfCodes"])
        return f"Leave out whatever is not marked or coded {codes}."
    return ""


def _listed(codes: list[dict[str, str]]) -> str:
    named = [one["code"] for one in codes]
    return named[0] if len(named) == 1 else f"{', '.join(named[:-1])} or {named[-1]}" if named else "at all"
