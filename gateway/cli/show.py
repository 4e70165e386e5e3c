"""What the command line prints, readable with and without colour, and by people who do not read FHIR."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from consent.items import shipped
from gateway import status
from gateway.calling.client import Answer
from gateway.cli.said import tell
from gateway.clock import moment, now
from gateway.exclusion import Exclusions
from gateway.node import Node

AGAIN = timedelta(seconds=5)
NOBODY = "nobody"
_AGAIN = "  It was taken in before; this was the first answer. `waymeet status` says where it stands."

_OPEN = ("held", "requested", "accepted", "in-progress", "on-hold")
_ACTS = {
    "create": "wrote",
    "erase": "erased",
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
            _receipt(out, result)
            # A referral that a consent let go was taken in before; this is a new answer all the same.
            if "consent" not in said and moment(result["taken_at"]) < now() - AGAIN:
                tell(_AGAIN, to=out)
    return all("outcome" not in result for result in results)


def _receipt(out: Console, result: dict[str, Any]) -> None:
    said = (
        f"Referral {result['referral']}: {result['state']}" if result["referral"] else "Record: passed over"
    )
    tell(said, to=out)
    for sentence in result["decided"]:
        tell(f"  {sentence}", to=out)
    for remedy in result["needed"]:
        tell(f"  What would change this: {remedy}", "bold", out)


def referrals(out: Console, node: Node) -> bool:
    """A table of all referrals, and what could not be delivered."""
    names = node.names
    table = Table(box=None, pad_edge=False)
    table.add_column("referral", no_wrap=True)
    for column in ("way", "partner", "stands at", "since"):
        table.add_column(column, overflow="fold")
    for line in status.lines(node):
        partner = names.get(line.partner, line.partner) or NOBODY
        table.add_row(line.id, line.direction, Text(partner), line.status, _local(node, line.since))
    out.print(table if table.row_count else "No referrals yet.")
    for number, kind, why in status.undelivered(node):
        out.print(f"Given up: {kind} {number}: {why}", markup=False)
    return True


def referral(out: Console, node: Node, referral_id: str) -> bool:
    """Where one referral stands, who saw what of it, and why; False when there is none with this id."""
    stands = status.line(node, referral_id)
    if stands is None:
        return False
    names = node.names
    partner = names.get(stands.partner, stands.partner) or NOBODY
    way = f"sent to {partner}" if stands.direction == "sent" else f"received from {partner}"
    tell(f"{way}: {stands.status}, since {_local(node, stands.since)}", to=out)
    excluded(out, node, status.excluded(node, referral_id))
    if (quietly := status.kept(node, referral_id)) is not None:
        kept_answers(out, *quietly)
    told: tuple[str, ...] = ()
    for event in status.events(node, referral_id):
        tell(f"{_local(node, event.at)}  {_happened(event)}", to=out)
        reasons = event.all("reason")
        for reason in reasons if reasons != told else ():
            tell(f"    {reason.split(': ', 2)[2]}", to=out)
        told = reasons or told
    if not stands.partner and stands.status in _OPEN:
        tell(
            "No partner in the directory offers what is needed. Name one in the record, and send it anew.",
            to=out,
        )
    elif stands.direction == "received":
        tell("It was referred to you: who saw what of it is recorded at its source.", to=out)
    elif stands.status in _OPEN:
        tell(f"Item by item, and what would change it: waymeet explain --referral {referral_id}", to=out)
    return True


def _happened(event: status.Event) -> str:
    """One entry of the log in words: who did what, and whether it was refused."""
    recipient = " ".join(event.all("recipient")) or "the recipient"
    no = f"no ({' '.join(event.all('decision') or event.all('http-status'))})" if event.refused else ""
    if event.act == "decide":
        return f"{event.who} asked whether {recipient} may see it: {no or 'yes'}"
    if event.act == "notify":
        if event.refused:
            return f"{event.who} did not tell {recipient}: {no}"
        return f"{event.who} told {recipient} that there is something to read"
    items = ", ".join(shipped().display(item) for item in event.all("item"))
    what = f"{_ACTS.get(event.act, event.act)} {' '.join(event.all('resource'))}".rstrip()
    more = no or items
    return f"{event.who} {what}: {more}" if more else f"{event.who} {what}"


def _local(node: Node, at: str) -> str:
    """A moment in the node's own time zone."""
    return moment(at).astimezone(node.settings.timezone).strftime("%Y-%m-%d %H:%M:%S")


def consents_of(out: Console, node: Node, person: tuple[str, str]) -> None:
    """The consents of one person: id, status, who may be told, until when."""
    held = status.consents_of(node, person)
    for one in held:
        told = ", ".join(one.recipients) or "anyone"
        line = f"{one.id}  {one.status}, for {told}, until {one.end or 'no end'}"
        line += "".join(f", in the place of {other}" for other in one.replaces)
        out.print(line, markup=False, highlight=False, soft_wrap=True)
    if not held:
        out.print("No consent of this person is on file here.")


def _outcome(err: Console, outcome: dict[str, Any]) -> None:
    for issue in outcome["issue"]:
        where = f" ({', '.join(issue['expression'])})" if issue.get("expression") else ""
        err.print(f"  {issue['diagnostics']}{where}", style="red", markup=False, highlight=False)


def excluded(out: Console, node: Node, found: Exclusions) -> None:
    """Who must never see a referral; for the agency's own people, who have named them."""
    names = node.names

    def line(text: str) -> None:
        out.print(text, markup=False, highlight=False, soft_wrap=True)

    for organization in sorted(found.organizations):
        line(f"Must never see it: {names.get(organization, organization)}")
    for name, works_at in found.named.items():
        if works_at is None:
            line(f"Must never see it: {name}. Nobody can read it until you say where they work:")
            line("  waymeet exclude REFERRAL ORGANISATION --person NAME, or --nowhere instead of one.")
        else:
            where = ", ".join(names.get(one, one) for one in works_at) or "none of the organisations here"
            line(f"Must never see it: {name}, who works at {where}")


def kept_answers(out: Console, stands: str, waiting: int) -> None:
    """Of a referral to an agency that answers nothing by itself: what is seen of it, and what waits."""
    out.print(f"The agency that referred sees: {stands}.", highlight=False)
    if waiting:
        out.print(f"Answers kept here, not sent, until a release lets them go: {waiting}.", highlight=False)
