"""`waymeet directory`: for the convening body, which signs who takes part, and for who states an entry."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Final

import typer

from gateway import clock
from gateway.cli.directory_check import diff, verify
from gateway.cli.directory_entry import entry
from gateway.cli.directory_partners import forget, partners, pin
from gateway.cli.directory_suspend import restore, suspend, suspender
from gateway.cli.directory_told import tell_directory
from gateway.cli.said import said, tell
from gateway.trust import directory_diff, directory_release
from gateway.trust.directory_draft import Draft
from gateway.trust.directory_keys import ANCHOR, NEXT_ANCHOR, public_key
from profiles.document import load

app = typer.Typer(
    help="Who takes part: state it, sign it, publish it, suspend; and whom this node trusts.",
    no_args_is_help=True,
)

_FACTS: Final = {"type": "object"}
_Draft = Annotated[
    Path, typer.Option("--draft", "-d", help="The convening body's folder, as `directory new` made it.")
]
_HERE: Final = Path()


def new(
    folder: Annotated[Path, typer.Argument(help="A folder that does not exist yet, or is empty.")],
    issuer: Annotated[
        str, typer.Option(help="What the URL of every participant begins with: an origin of yours.")
    ],
) -> None:
    """Begin a directory: its keys, and a place for what participants state."""
    with said():
        if folder.exists() and any(folder.iterdir()):
            raise ValueError(f"{folder} is not empty; nothing was written.")
        draft = Draft.new(folder, issuer)
        for line in (
            f"Written: {folder}/",
            "  directory.yaml               whose directory it is, and how long what you sign is in force",
            "  keys/anchor.pem              signs the directory; keep this folder where few can go",
            "  keys/next-anchor.pem         takes over one day: move it to a safe place elsewhere, now",
            "  keys/suspender.pem           signs suspensions at any hour; it can do nothing else",
            "  keys/*.pub.json              the public halves: nodes pin anchor and next-anchor",
            "",
            "Give every agency both anchors' .pub.json in person, or confirm these names by telephone:",
            *(f"  {name:12} {public_key(draft.public(name)).thumbprint()}" for name in (ANCHOR, NEXT_ANCHOR)),
            "",
            "Next: each agency states its entry (waymeet directory entry); add what they send, and sign:",
            f"  waymeet directory add --draft {folder} ENTRY.jws",
            f"  waymeet directory sign --draft {folder}",
        ):
            tell(line)


def add(
    files: Annotated[list[Path], typer.Argument(help="Signed statements, or with --source a file of facts.")],
    draft: _Draft = _HERE,
    vouched: Annotated[
        bool, typer.Option("--vouched", help="You asked them in person: the new keys are theirs.")
    ] = False,
    source: Annotated[
        str, typer.Option(help="Who else vouches for these names and services, such as 2-1-1.")
    ] = "",
    assured: Annotated[str, typer.Option(help="Since when, YYYY-MM-DD; today if not said.")] = "",
) -> None:
    """Take what participants have signed, or what a third party says of their names and services."""
    with said():
        held, now = Draft.open(draft), clock.now()
        if source:
            since = _day(assured, now)
            for file in files:
                one = held.describe(load(file, _FACTS).data, source, since, str(file))
                tell(f"{file}: {one}: name and services as {source} describes them since {since}.")
        else:
            if assured:
                raise ValueError("--assured goes with --source.")
            taken = held.taken()
            for file in files:
                before, after = held.add(
                    file.read_text(encoding="utf-8"), str(file), now, taken, vouched=vouched
                )
                if before is None:
                    keys = ", ".join(sorted(after.thumbprints))
                    tell(f"{file}: {after.name} ({after.id}) is new. Confirm its keys by telephone: {keys}")
                elif before == after:
                    tell(f"{file}: {after.name} ({after.id}): nothing has changed.")
                else:
                    changes = "; ".join(directory_diff.told(directory_diff.Changed(before, after)))
                    tell(f"{file}: {after.name} ({after.id}): {changes}.")
        tell(f"Next: waymeet directory sign --draft {draft}")


def remove(
    organizations: Annotated[list[str], typer.Argument(help="Participants: URLs, or their last parts.")],
    draft: _Draft = _HERE,
) -> None:
    """Take participants out: they are not in what you sign next."""
    with said():
        held = Draft.open(draft)
        for one in map(held.full, organizations):
            held.remove(one)
            tell(f"{one} is taken out. Next: waymeet directory sign --draft {draft}")


def sign(
    draft: _Draft = _HERE,
    anchor: Annotated[
        Path | None, typer.Option(help="The anchor's private key, where it is not in the folder.")
    ] = None,
    days: Annotated[int | None, typer.Option(min=1, max=90, help="How long it is in force.")] = None,
) -> None:
    """Sign the next directory: a number higher, and naming the ones before it."""
    with said():
        held = Draft.open(draft)
        done = directory_release.sign_next(held, clock.now(), anchor, days)
        tell_directory("Signed", done.directory)
        lines = list(directory_diff.difference(done.before, done.directory).lines())
        for line in lines or ["nobody joined, left or changed"]:
            tell(f"  {line}")
        tell(f"Next: waymeet directory publish {draft} FOLDER (where nodes fetch it)")


def publish(
    draft: Annotated[Path, typer.Argument(help="The convening body's folder.")],
    to: Annotated[Path, typer.Argument(help="A folder that a web server serves, or a node's own.")],
) -> None:
    """Lay the signed directory and suspension list where nodes fetch them."""
    with said():
        held = Draft.open(draft)
        found = directory_release.lay_out(held.signed, held.anchors(), to, clock.now())
        tell_directory(f"Published to {to}", found)


def roll_anchor(draft: _Draft = _HERE) -> None:
    """Make the next anchor the anchor, and a new next one. Nodes must pin the new one before you need it."""
    with said():
        held = Draft.open(draft)
        retired, fresh = directory_release.roll_anchor(held)
        tell(f"Retired: {retired}. It signs nothing from now on.")
        tell(f"The anchor is now {public_key(held.public(ANCHOR)).thumbprint()}, which nodes pin already.")
        tell(
            f"The next anchor is {fresh.thumbprint()}: give every agency keys/next-anchor.pub.json in person."
        )
        tell(f"Next: waymeet directory sign --draft {draft}")


for _command in (new, entry, add, remove, sign, publish, verify, diff, suspend, restore):
    app.command()(_command)
app.command("anchor")(roll_anchor)
app.command()(suspender)
app.command()(partners)
app.command()(pin)
app.command()(forget)


def _day(text: str, now: datetime) -> date:
    try:
        found = date.fromisoformat(text) if text else now.date()
    except ValueError:
        raise ValueError("--assured is a day like 2026-11-20.") from None
    if found > now.date():
        raise ValueError("--assured is a day that has come.")
    return found
