"""`waymeet validate`: what is wrong with the FHIR resources in files, for people and for programs."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, BinaryIO

import typer

from gateway.cli.profiles import OfNode, Packages, definitions
from gateway.cli.said import said
from gateway.cli.stream import a_closed_pipe_ends_it, many, progress, say
from profiles import strict_json, validate
from profiles.elements import ProfileError
from profiles.engine import engine
from profiles.json_files import MAX_TEXT, Text, texts
from profiles.outcome import Issue, errors, operation_outcome
from profiles.registry import Definitions

STDIN = Path("-")
MOST_SHOWN = 50  # issues of one resource; --json has them all
_STYLE = {"fatal": "red", "error": "red", "warning": "yellow", "information": ""}

Show = Callable[[str, list[Issue]], None]


def command(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help="JSON or NDJSON; - reads standard input.")
    ],
    profile: Annotated[
        str, typer.Option("--profile", help="Check against this one, not those that meta.profile names.")
    ] = "",
    package: Packages = None,
    config: OfNode = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="One OperationOutcome for each resource, one on each line.")
    ] = False,
) -> None:
    """Check FHIR resources. Works without a node. Exit status: 0 no error, 1 errors, 2 nothing checked."""
    with said(), a_closed_pipe_ends_it():
        _files_exist(files)
        held = definitions(config, package or ())
        if profile:
            _must_hold(profile, held)
        told = _Told()
        show = _show_json if as_json else _show
        with progress("checking", _size(files)) as advance:
            for path in files:
                for where, issues, size in _checked(path, profile or None, held):
                    told.count(issues)
                    show(where, issues)
                    if advance is not None:
                        advance(size)
        if not as_json:
            say(told.summary(), "red" if told.bad else "green")
            if told.not_held:
                say("What is not held can be added: --package PATH, a FHIR package (.tgz or folder).")
    raise typer.Exit(1 if told.bad else 0)


@dataclass(slots=True)
class _Told:
    """What was found so far. not_held: whether a resource names a profile that nobody here has."""

    resources: int = 0
    bad: int = 0
    not_held: bool = False
    severities: Counter[str] = field(default_factory=Counter)

    def count(self, issues: list[Issue]) -> None:
        self.resources += 1
        self.bad += bool(errors(issues))
        self.not_held |= any(
            one.code == "not-supported" and ".meta.profile[" in one.expression for one in issues
        )
        self.severities.update("error" if one.severity == "fatal" else one.severity for one in issues)

    def summary(self) -> str:
        found = f"{many(self.severities['error'], 'error')}, {many(self.severities['warning'], 'warning')}"
        return f"{many(self.resources, 'resource')} checked, {self.bad} with errors: {found}."


def _files_exist(files: list[Path]) -> None:
    """Raises ValueError before anything is checked, so that a typing error does not cost a long run."""
    for path in files:
        if path.is_dir():
            raise ValueError(f"{path} is a folder; name the files in it, such as {path}/*.json")
        if path != STDIN and not path.exists():
            raise ValueError(f"{path}: there is no such file")


def _must_hold(profile: str, held: Definitions) -> None:
    """Raises ValueError unless the profile can be applied."""
    try:
        found = engine(held).profile(profile)
    except ProfileError as fault:
        raise ValueError(f"The profile {profile} cannot be applied: {fault}") from None
    if found is None:
        raise ValueError(
            f"The profile {profile} is not held. `waymeet profiles list` shows which are; "
            "--package adds those of a FHIR package."
        )


def _checked(path: Path, profile: str | None, held: Definitions) -> Iterator[tuple[str, list[Issue], int]]:
    """Of each resource in a file: where it stands, what is wrong with it, and its size in bytes."""
    with _opened(path) as source:
        for text in texts(source, path.name):
            name = "standard input" if path == STDIN else str(path)
            where = name if text.alone else f"{name}, line {text.line}"
            yield where, _issues(text, profile, held), len(text.body or b"")


def _issues(text: Text, profile: str | None, held: Definitions) -> list[Issue]:
    if text.body is None:
        message = f"is longer than {MAX_TEXT // (1024 * 1024)} MB, so it was not checked"
        return [Issue("error", "too-long", message, line=text.line)]
    try:
        resource = strict_json.read(text.body)
    except strict_json.JsonError as fault:
        return [Issue("error", "structure", str(fault), line=text.line + fault.line - 1)]
    return validate(resource, profile, held)


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    if path == STDIN:
        yield sys.stdin.buffer
        return
    with path.open("rb") as source:
        yield source


def _size(files: list[Path]) -> int:
    """Bytes in all, as far as they are known: of standard input nobody can tell."""
    return sum(path.stat().st_size for path in files if path != STDIN)


def _show(where: str, issues: list[Issue]) -> None:
    if not issues:
        return
    say(where, "bold")
    for issue in issues[:MOST_SHOWN]:
        place = f"{issue.expression}: " if issue.expression else ""
        rule = ", ".join(part for part in (issue.constraint, issue.profile) if part)
        said_of = f" ({rule})" if rule else ""
        say(f"  {issue.severity:<8} {place}{issue.diagnostics()}{said_of}", _STYLE[issue.severity])
    if len(issues) > MOST_SHOWN:
        say(f"  and {len(issues) - MOST_SHOWN} more; --json shows them all")


def _show_json(_where: str, issues: list[Issue]) -> None:
    sys.stdout.write(json.dumps(operation_outcome(issues)) + "\n")
