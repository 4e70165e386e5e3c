"""`waymeet disclosures` and `waymeet consent show`: who saw what about a person, and on what ground."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from consent.items import shipped
from gateway import disclosed, own_system, settings
from gateway.cli.said import said, tell
from gateway.clock import moment
from gateway.disclosed import Disclosure, Story
from gateway.node import Node, opened

_CONFIG = typer.Option("--config", "-c", envvar="WAYMEET_CONFIG", help="The node's configuration file.")
_JSON = typer.Option("--json", help="As JSON, every disclosure by itself.")
_STATUS = {
    "active": "in force",
    "inactive": "withdrawn",
    "ended": "has run out",
    "entered-in-error": "was recorded in error",
    "erased": "kept no longer; that there was one stays",
}


def disclosures(
    record: Annotated[
        Path | None,
        typer.Option(help="A record of the person: whose it is is read from it, as the mapping says."),
    ] = None,
    identifier: Annotated[
        tuple[str, str] | None, typer.Option(help="The person's identifier: system (URI) and value.")
    ] = None,
    years: Annotated[
        float | None, typer.Option(min=0, help="Only of the last so many years; else all that is kept.")
    ] = None,
    as_json: Annotated[bool, _JSON] = False,
    config: Annotated[Path, _CONFIG] = Path("node.yaml"),
) -> None:
    """What was disclosed about one person: when, to whom, what, what for, on what ground.

    The list that a person may ask you for, and nobody else may have.
    """
    with said():
        found = settings.read(config)
        person = own_system.person_in(found, record) if record else identifier
        if person is None:
            raise ValueError("Name the person: --record FILE, or --identifier SYSTEM VALUE.")
        with opened(config) as node:
            listed = disclosed.of_person(node, person, years)
            if as_json:
                _print_json({"disclosures": listed})
            else:
                _print(_lines(node, listed) if listed else ["Nothing about this person has been disclosed."])


def show(
    consent: Annotated[str, typer.Argument(help="The consent's id.")],
    as_json: Annotated[bool, _JSON] = False,
    config: Annotated[Path, _CONFIG] = Path("node.yaml"),
) -> None:
    """One consent: where it stands, and what was disclosed under it, to whom and when."""
    with said(), opened(config) as node:
        story = disclosed.of_consent(node, consent)
        if story is None:
            raise ValueError("There is no consent with this id here.")
        if as_json:
            _print_json(story)
        else:
            _print(_told(node, story))


def _told(node: Node, story: Story) -> Iterator[str]:
    yield f"Consent {story.id}: {_STATUS.get(story.status, story.status)}"
    yield f"  recorded {_local(node, story.recorded)}"
    if story.modified != story.recorded:
        yield f"  withdrawn {_local(node, story.modified)}"
    if story.erased is None and story.status != "erased":
        yield f"  for {', '.join(story.recipients) or 'anyone'}"
        ends = _local(node, story.ends) if story.ends else "no end"
        yield f"  from {story.start or 'the day it was given'} until {ends}"
    yield f"  given under {story.regime or 'no law that is named'}"
    for other in story.replaces:
        yield f"  takes the place of {other}"
    for other in story.replaced_by:
        yield f"  its place was taken by {other}"
    if story.kept_until:
        yield f"  its content is kept until {_local(node, story.kept_until)[:10]}"
    if story.erased:
        yield f"  its content was destroyed {_local(node, story.erased)}"
    if story.disclosures:
        yield "Disclosed under it:"
        yield from (f"  {line}" for line in _lines(node, story.disclosures))
    else:
        yield "Nothing has been disclosed under it that is still accounted for."


def _lines(node: Node, listed: Iterable[Disclosure]) -> Iterator[str]:
    """Disclosures in a row of one referral to one recipient on the same ground, in one paragraph."""
    for (to, purpose, referral, consents, grounds), alike in groupby(
        listed, lambda one: (one.recipient, one.purpose, one.referral, one.consents, one.grounds)
    ):
        shown = list(alike)
        first, last = (_local(node, one.at) for one in (shown[0], shown[-1]))
        when = first if first == last else f"{first} to {last}"
        items = dict.fromkeys(item for one in shown for item in one.items)
        table = shipped()
        what = ", ".join(table.display(item) if item in table.entries else item for item in items)
        yield f"{when}  {to}: {what}"
        times = "once" if len(shown) == 1 else f"{len(shown)} times"
        yield f"    {times}{f', for {purpose}' if purpose else ''}, referral {referral}"
        if consents:
            yield f"    by consent {', '.join(consents)}"
        else:
            yield f"    without a consent, by {'; '.join(grounds)}"


def _local(node: Node, at: str) -> str:
    return moment(at).astimezone(node.settings.timezone).strftime("%Y-%m-%d %H:%M:%S")


def _print(lines: Iterable[str]) -> None:
    for line in lines:
        tell(line)


def _print_json(value: object) -> None:
    typer.echo(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())
