"""`waymeet directory suspend` and `restore`: the list that counts within a minute."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from gateway import clock
from gateway.cli.directory_told import tell_list
from gateway.cli.said import said, tell
from gateway.trust import directory_release
from gateway.trust.directory_draft import Draft
from gateway.trust.suspensions import Suspensions

_Draft = Annotated[
    Path, typer.Option("--draft", "-d", help="The convening body's folder, as `directory new` made it.")
]
_To = Annotated[
    list[Path] | None,
    typer.Option("--to", help="Where nodes fetch it, to lay the list there at once; may be given again."),
]
_Hours = Annotated[int | None, typer.Option(min=1, max=168, help="How long the list is in force.")]
_HERE = Path()


def suspend(
    organizations: Annotated[
        list[str] | None, typer.Argument(help="Participants: URLs, or their last parts.")
    ] = None,
    draft: _Draft = _HERE,
    to: _To = None,
    hours: _Hours = None,
    renew: Annotated[
        bool, typer.Option("--renew", help="Nobody new: sign the list as it is for another while.")
    ] = False,
) -> None:
    """Suspend participants tonight: no node deals with them from when it has the list."""
    with said():
        if bool(organizations) == renew:
            raise ValueError("Name whom to suspend, or say --renew.")
        held = Draft.open(draft)
        named = [held.full(one) for one in organizations or ()]
        found = directory_release.change_list(held, clock.now(), suspend=named, hours=hours)
        _lay_list(held, to, found)


def restore(
    organizations: Annotated[list[str], typer.Argument(help="Participants: URLs, or their last parts.")],
    draft: _Draft = _HERE,
    to: _To = None,
    hours: _Hours = None,
) -> None:
    """Take participants off the suspension list."""
    with said():
        held = Draft.open(draft)
        named = [held.full(one) for one in organizations]
        found = directory_release.change_list(held, clock.now(), restore=named, hours=hours)
        _lay_list(held, to, found)


def suspender(draft: _Draft = _HERE) -> None:
    """Make another key for suspensions, as the old one is in wrong hands. A directory must name it."""
    with said():
        held = Draft.open(draft)
        retired, found = directory_release.roll_suspender(held, clock.now())
        tell(f"Retired: {retired}. What it signs counts until nodes have a directory that names the new one.")
        tell_list(found)
        tell(f"Next: waymeet directory sign --draft {draft}, and publish")


def _lay_list(draft: Draft, to: Sequence[Path] | None, found: Suspensions) -> None:
    now = clock.now()
    tell_list(found)
    tell(f"Renew it well before then: waymeet directory suspend --renew --draft {draft.folder}")
    directory = draft.last(now)
    if to and (directory is None or directory.suspender is None):
        raise ValueError("The directory is not signed yet: `waymeet directory sign`, then `publish`.")
    for folder in to or ():
        assert directory is not None
        directory_release.lay_list(draft.signed, directory, folder, now)
        tell(f"Published to {folder}. A node that looks there goes by it within a minute.")
    if not to:
        tell(f"No node knows yet. Next: waymeet directory publish {draft.folder} FOLDER")
