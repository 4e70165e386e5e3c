"""What the command line prints, readable with and without colour, and by people who do not read FHIR."""

from __future__ import annotations

from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from gateway import status
from gateway.client import Answer
from gateway.node import Node

_ACTS = {
    "create": "wrote",
    "decide": "decided",
    "erase": "erased",
    "notify": "told",
    "read": "read",
    "search-type": "listed",
    "update": "changed",
}


def answer(out: Console, err: Console, found: Answer) -> bool:
    """What the node said to a record or a consent; whether it took all of it."""
    try:
        said: dict[str, Any] = msgspec.json.decode(found.body)
    except msgspec.MsgspecError:
        err.print(f"The node answered {found.status}.")
        return False
    if "issue" in said:
        _outcome(err, said)
        return False
    if "consent" in said:
        out.print(f"Consent {said['consent']} is recorded.")
    results = said.get("results", [])
    for result in results:
        if "outcome" in result:
            err.print(f"Record {result['record']} was not taken ({result['status']}):")
            _outcome(err, result["outcome"])
        else:
            out.print(f"Referral {result['referral']}: {result['state']}")
            for sentence in result["decided"]:
                out.print(f"  {sentence}", markup=False)
    return all("outcome" not in result for result in results)


def referrals(out: Console, node: Node) -> bool:
    """A table of all referrals, and what could not be delivered."""
    names = {entry.organization: entry.name for entry in node.directory.entries}
    table = Table(box=None, pad_edge=False)
    for column in ("referral", "way", "partner", "stands at", "since"):
        table.add_column(column, overflow="fold")
    for line in status.lines(node):
        partner = names.get(line.partner, line.partner)
        table.add_row(line.id, line.direction, Text(partner), line.status, line.since[:19].replace("T", " "))
    out.print(table if table.row_count else "No referrals yet.")
    for number, kind, why in status.undelivered(node):
        out.print(f"Given up: {kind} {number}: {why}", markup=False)
    return True


def referral(out: Console, node: Node, referral_id: str) -> bool:
    """Who saw what of one referral, and why; False when it was not sent from here."""
    found = status.events(node, referral_id)
    for event in found:
        what = " ".join(event.all("decision")) or "done"
        out.print(
            f"{event.at[:19].replace('T', ' ')}  {event.who} {_ACTS.get(event.act, event.act)}: {what}",
            markup=False,
            highlight=False,
        )
        for label, name in (("disclosed", "item"), ("withheld", "withheld"), ("because", "reason")):
            for value in event.all(name):
                out.print(f"    {label}: {value}", markup=False, highlight=False)
    return bool(found)


def _outcome(err: Console, outcome: dict[str, Any]) -> None:
    for issue in outcome["issue"]:
        where = f" ({', '.join(issue['expression'])})" if issue.get("expression") else ""
        err.print(f"  {issue['diagnostics']}{where}", style="red", markup=False, highlight=False)
