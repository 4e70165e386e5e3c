"""How a story is told: who asked, what was decided and why, what was shown and what was not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from rich.console import Console
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from consent.items import shipped
from gateway.demo.agencies import HOSPITAL, PANTRY, SHELTER
from gateway.demo.network import Network
from gateway.status import Event

# Why an item was held back, in words. Keys are the reason codes of consent.decide.
_WHY = {
    "agreement": "not in the agreement",
    "consent-unlisted": "not in the release",
    "minimum": "not needed",
}
_VIEW = {
    "offer": "The offer (what is needed, no person)",
    "dossier": "The dossier (once accepted)",
    "task": "The state alone",
}


@dataclass(frozen=True, slots=True)
class Told:
    """One story, as it went."""

    title: str
    asked: str
    decided: tuple[str, ...]
    why: tuple[str, ...]
    needed: tuple[str, ...]
    disclosed: tuple[str, ...]
    withheld: tuple[str, ...]
    got: tuple[str, ...]
    then: tuple[str, ...]
    ended: Literal["completed", "withheld"]


def told(
    network: Network,
    source: str,
    sent: Mapping[str, Any],
    *,
    title: str,
    asked: str,
    then: Sequence[str],
    case: Mapping[str, Any] | None,
    ended: Literal["completed", "withheld"],
) -> Told:
    """A story from what the source's node answered and what its audit says."""
    events = [event for event in network.events(source, sent["referral"]) if event.all("decision")]
    reads = [event for event in events if event.act == "read" and "task" not in event.all("view")]
    shown = sorted({item for event in reads for item in event.all("item")})
    opened = any("dossier" in event.all("view") for event in reads)
    held = dict(one.split(": ", 1) for event in reads[-1:] for one in event.all("withheld"))
    display = shipped().display
    withheld = [f"{display(item)} ({_WHY.get(code, code)})" for item, code in sorted(held.items())]
    return Told(
        title=title,
        asked=asked,
        decided=tuple(dict.fromkeys(_verdict(event) for event in events)),
        why=tuple(dict.fromkeys(reason for event in events for reason in _reasons(event))),
        needed=tuple(sent["needed"]),
        disclosed=tuple(display(item) for item in shown),
        withheld=tuple(withheld) if opened else ("everything about the person",),
        got=tuple(_lines(case.get("client", {}))) if case else (),
        then=tuple(then),
        ended=ended,
    )


def panel(out: Console, number: int, story: Told) -> None:
    """Print one story."""
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True, style="bold")
    table.add_column(overflow="fold")
    for label, lines in (
        ("Asked", (story.asked,)),
        ("Decided", story.decided),
        ("Why", story.why),
        ("Needed", story.needed),
        ("Disclosed", (", ".join(story.disclosed) or "nothing",)),
        ("Withheld", (", ".join(story.withheld),)),
        ("The pantry has", story.got),
        ("Then", story.then),
        ("Ended", (story.ended,)),
    ):
        for row, line in enumerate(lines):
            table.add_row(label if row == 0 else "", Text(line))
    out.print(Panel(table, title=f"{number}. {story.title}", title_align="left"))


def failed(out: Console, number: int, lines: Iterable[str]) -> None:
    """Print what went wrong in a story."""
    out.print(f"{number}. did not end as it should:", style="bold red")
    for line in lines:
        out.print(f"   {line}", markup=False)


def leave_up(out: Console, network: Network) -> None:
    """Print where the nodes are, and what to try."""
    out.print("\nThe nodes are up until Ctrl-C:")
    for name in (HOSPITAL, PANTRY, SHELTER):
        agency = network.agencies[name]
        out.print(
            f"  {agency.name:20} http://127.0.0.1:{network.ports[name]}   {agency.config}", soft_wrap=True
        )
    base = f"http://127.0.0.1:{network.ports[HOSPITAL]}"
    config = network.agencies[HOSPITAL].config
    out.print("Try:")
    out.print(f"  curl -s {base}/fhir/metadata", soft_wrap=True)
    out.print(f"  curl -s {base}/fhir/Task        (no token: refused)", soft_wrap=True)
    out.print(f"  waymeet status --config {config}", soft_wrap=True)


def _lines(client: Mapping[str, Any]) -> Iterable[str]:
    for name, value in client.items():
        if isinstance(value, Mapping):
            yield from _lines(value)
        else:
            yield f"{name.replace('_', ' ')}: {value}"


def _verdict(event: Event) -> str:
    code = event.all("decision")[0]
    view = _VIEW[event.all("view")[0]]
    return f"{view}: {'yes' if code == 'permit' else f'no ({code})'}"


def _reasons(event: Event) -> Iterable[str]:
    """What let it pass or stopped it; what only narrowed it shows in the lists of items."""
    for reason in event.all("reason"):
        _, outcome, text = reason.split(": ", 2)
        if outcome != "narrow":
            yield text
