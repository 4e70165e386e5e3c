"""`waymeet validate`: what is wrong with the FHIR resources in files, for people and for programs."""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, BinaryIO

import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from gateway.cli_profiles import OfNode, Packages, definitions
from gateway.cli_said import err, out, said
from gateway.resource_files import MAX_RESOURCE, Text, texts
from profiles import strict_json, validate
from profiles.elements import ProfileError
from profiles.engine import engine
from profiles.outcome import Issue, errors, operation_outcome
from profiles.registry import Definitions

STDIN = Path("-")
MOST_SHOWN = 50  # issues of one resource; --json has them all
_BAR_FROM = 2 * 1024 * 1024  # bytes; less is done before a bar could be read
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
    with said(), _a_closed_pipe_ends_it():
        _files_exist(files)
        held = definitions(config, package or ())
        if profile:
            _must_hold(profile, held)
        told = _Told()
        show = _show_json if as_json else _show
        with _progress(files) as advance:
            for path in files:
                for where, issues, size in _checked(path, profile or None, held):
                    told.count(issues)
                    show(where, issues)
                    advance(size)
        if not as_json:
            _say(told.summary(), "red" if told.bad else "green")
            if told.not_held:
                _say("What is not held can be added: --package PATH, a FHIR package (.tgz or folder).")
    raise typer.Exit(1 if told.bad else 0)


@contextmanager
def _a_closed_pipe_ends_it() -> Iterator[None]:
    """Whoever reads the output has read enough (`| head`): end without a word."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for what is flushed at exit
        raise typer.Exit(1) from None


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
        found = f"{_many(self.severities['error'], 'error')}, {_many(self.severities['warning'], 'warning')}"
        return f"{_many(self.resources, 'resource')} checked, {self.bad} with errors: {found}."


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
        message = f"is longer than {MAX_RESOURCE // (1024 * 1024)} MB, so it was not checked"
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


@contextmanager
def _progress(files: list[Path]) -> Iterator[Callable[[int], None]]:
    """A bar on standard error when it is a terminal and there is much to do; gives what moves it."""
    total = sum(path.stat().st_size for path in files if path != STDIN)
    if not err.is_terminal or (total < _BAR_FROM and STDIN not in files):
        yield lambda _: None
        return
    columns = (TextColumn("checking"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    # What is printed to a terminal meanwhile goes above the bar; into a pipe or a file it goes as it is.
    with Progress(*columns, console=err, transient=True, redirect_stdout=out.is_terminal) as bar:
        task = bar.add_task("", total=None if STDIN in files else total)
        yield lambda size: bar.advance(task, size)


def _show(where: str, issues: list[Issue]) -> None:
    if not issues:
        return
    _say(where, "bold")
    for issue in issues[:MOST_SHOWN]:
        place = f"{issue.expression}: " if issue.expression else ""
        rule = ", ".join(part for part in (issue.constraint, issue.profile) if part)
        said_of = f" ({rule})" if rule else ""
        _say(f"  {issue.severity:<8} {place}{issue.diagnostics()}{said_of}", _STYLE[issue.severity])
    if len(issues) > MOST_SHOWN:
        _say(f"  and {len(issues) - MOST_SHOWN} more; --json shows them all")


def _show_json(_where: str, issues: list[Issue]) -> None:
    sys.stdout.write(json.dumps(operation_outcome(issues)) + "\n")


def _many(count: int, name: str) -> str:
    return f"{count} {name}{'' if count == 1 else 's'}"


def _say(text: str, style: str = "") -> None:
    out.print(text, style=style or None, markup=False, highlight=False, soft_wrap=True)
