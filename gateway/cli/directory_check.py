"""`waymeet directory verify` and `diff`: is a directory good, and what is different in another."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer
from joserfc.jwk import ECKey

from gateway import clock
from gateway.cli.directory_told import tell_directory, tell_list
from gateway.cli.said import err, said, tell
from gateway.trust import directory_diff, suspensions
from gateway.trust.directory import Directory
from gateway.trust.directory_draft import Draft
from gateway.trust.directory_files import SUSPENSIONS
from gateway.trust.directory_form import DirectoryError
from gateway.trust.directory_keys import public_key

_Anchors = Annotated[
    list[Path] | None,
    typer.Option("--anchor", help="A public anchor that you pin (.pub.json); may be given twice."),
]


def verify(
    folder: Annotated[Path, typer.Argument(help="A directory's folder.")], anchor: _Anchors = None
) -> None:
    """Check a directory as a node would.

    Exit status 1 when it or its suspension list has expired, 2 when it is unusable.
    """
    with said():
        now = clock.now()
        folder, anchors = _signed(folder), _anchors(folder, anchor)
        found = Directory.read(folder, anchors, now)
        tell_directory("Good", found)
        good = not found.expired(now)
        if not good:
            tell(
                "The directory has expired: nodes trust nobody new, and after their grace nobody.", "red", err
            )
        if found.suspender is not None:
            good &= _verify_list(folder, found, now)
    raise typer.Exit(0 if good else 1)


def diff(
    a: Annotated[Path, typer.Argument(help="A directory's folder.")],
    b: Annotated[Path, typer.Argument(help="The folder of another one.")],
    anchor: _Anchors = None,
) -> None:
    """Who joined, who left and what changed, from the first directory to the second."""
    with said():
        now = clock.now()
        before, after = (Directory.read(_signed(one), _anchors(one, anchor), now) for one in (a, b))
        tell_directory("From", before)
        tell_directory("To", after)
        lines = list(directory_diff.difference(before, after).lines())
        for line in lines or ["nobody joined, left or changed"]:
            tell(f"  {line}")


def _verify_list(folder: Path, directory: Directory, now: datetime) -> bool:
    try:
        suspender = ECKey.import_key(dict(directory.suspender or {}))
        found = suspensions.read(folder / SUSPENSIONS, suspender, directory.issuer, now)
    except DirectoryError as fault:
        tell(f"{fault}. Without a list in force nodes open no new dossier.", "red", err)
        return False
    tell_list(found)
    if found.expired(now):
        tell("The suspension list has expired: nodes open no new dossier.", "red", err)
    return not found.expired(now)


def _signed(folder: Path) -> Path:
    """The folder itself, or the signed directory in a draft."""
    return folder / "signed" if (folder / "directory.yaml").exists() else folder


def _anchors(folder: Path, named: Sequence[Path] | None) -> list[ECKey]:
    if named:
        return [public_key(path) for path in named]
    if (folder / "directory.yaml").exists():
        return Draft.open(folder).anchors()
    raise ValueError(f"{folder}: say with --anchor whose signature counts: a file such as anchor.pub.json.")
