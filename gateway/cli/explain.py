"""`waymeet explain`: why an answer is as it is, for the person, a steward or an engineer; and what if."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

import consent
from consent import Decision, Facts
from consent.explain import Explanation, difference, explanation
from consent.request import answer
from consent.undecided import undecided
from consent.what_if import CHANGES, what_if
from gateway import clock, fhir_json
from gateway.cli.said import err, out, said, tell
from gateway.cli.stream import a_closed_pipe_ends_it
from gateway.judge import ask_about
from gateway.node import Node, opened
from gateway.store import referrals, tasks
from profiles import strict_json


class Audience(StrEnum):
    """Whom the explanation is for."""

    PERSON = "PERSON"
    STEWARD = "STEWARD"
    ENGINEER = "ENGINEER"


def explain(
    referral: Annotated[str, typer.Option(help="The id of a referral that was sent from here.")] = "",
    request: Annotated[
        Path | None, typer.Option(help="A request as `waymeet decide` takes it, in a JSON file.")
    ] = None,
    audience: Annotated[
        Audience, typer.Option("--for", case_sensitive=False, help="Whom it is for.")
    ] = Audience.STEWARD,
    change: Annotated[
        list[str] | None,
        typer.Option(
            "--what-if",
            metavar="NAME=VALUE",
            help="Change one fact and show the difference; repeat it to change several. `--what-if help` "
            "lists what can be changed.",
        ),
    ] = None,
    recipient: Annotated[
        str, typer.Option(help="Only the answer to this recipient: its name or directory URL.")
    ] = "",
    config: Annotated[
        Path, typer.Option("--config", "-c", envvar="WAYMEET_CONFIG", help="The node's configuration file.")
    ] = Path("node.yaml"),
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Explain what a recipient may see of a referral now, item by item, and what would change it."""
    with said(), a_closed_pipe_ends_it():
        if "help" in (change or []):
            for name, takes in CHANGES.items():
                tell(f"{name}: {takes}")
            tell("Of a request, any part of it: query.purpose=HRESCH")
            return
        if bool(referral) == (request is not None):
            raise ValueError("Name a referral with --referral ID, or a request with --request FILE.")
        if request is not None:
            _of_request(request, change or [], as_json)
            return
        with opened(config) as node:
            shown = [
                _explained(facts, now, open_question, names, audience, change or [])
                for facts, now, open_question, names in _questions(node, referral, recipient)
            ]
        if as_json:
            out.print_json(json.dumps(shown))
            return
        for one in shown:
            _print(one)


def _questions(
    node: Node, referral_id: str, recipient: str
) -> list[tuple[Facts, datetime, bool, Mapping[str, str]]]:
    """The facts of what each recipient of a referral may see now."""
    names = node.names
    with node.store.work() as work:
        found = referrals.get(work, referral_id)
        if found is None:
            raise ValueError("No referral with this id was sent from here.")
        asked = [
            (ask_about(node, work, found, task), work.now)
            for task in tasks.of_referral(work, found.id)
            if recipient in ("", task.owner, names.get(task.owner))
        ]
    if not asked:
        raise ValueError(
            "No such recipient has been asked."
            if recipient
            else "No recipient was found for it, so nobody sees it."
        )
    return [(one.facts, now, one.undecided, names) for one, now in asked]


def _explained(
    facts: Facts,
    now: datetime,
    open_question: bool,
    names: Mapping[str, str],
    audience: Audience,
    changes: Sequence[str],
) -> dict[str, Any]:
    decide = undecided if open_question else consent.decide
    decision = decide(facts, now)
    told: Explanation = explanation(facts, decision, names, audience.lower())  # type: ignore[arg-type]
    made = {
        "recipient": names.get(facts.recipient.organization, facts.recipient.organization),
        **asdict(told),
    }
    if changes:
        other, then = facts, now
        for change in changes:
            other, then = what_if(other, then, change)
        after: Decision = decide(other, then)
        made["what_if"] = {
            "changed": list(changes),
            "difference": difference(facts, decision, after),
            "then": asdict(explanation(other, after, names, audience.lower())),  # type: ignore[arg-type]
        }
    return made


def _print(one: Mapping[str, Any]) -> None:
    out.print(one["recipient"], style="bold", markup=False)
    _print_explanation(one)
    if changed := one.get("what_if"):
        out.print(f"\nWhat if {' and '.join(changed['changed'])}:", style="bold", markup=False)
        for line in changed["difference"]:
            tell(f"  {line}")
        _print_explanation(changed["then"])


def _print_explanation(told: Mapping[str, Any]) -> None:
    tell(told["answer"])
    for reason in told["reasons"]:
        tell(f"  {reason}")
    if told["items"]:
        out.print(_table(told["items"]))
    for duty in told["duties"]:
        tell(f"  Travels along: {duty}")
    for remedy in told["remedies"]:
        tell(f"  What would change this: {remedy}", "bold")


def _table(items: Sequence[Mapping[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False)
    engineer = any(item["elements"] for item in items)
    columns = ("", "item", "why", *(("code", "elements") if engineer else ()))
    for column in columns:
        table.add_column(column, overflow="fold")
    for item in items:
        more = (item["code"], "\n".join(item["elements"])) if engineer else ()
        table.add_row(
            "goes" if item["goes"] else "stays",
            Text(item["item"] if engineer else item["display"]),
            Text(item["why"]),
            *(Text(text) for text in more),
        )
    return table


def _of_request(path: Path, changes: Sequence[str], as_json: bool) -> None:
    """A request about consents, and the same with parts of it changed: `query.purpose=["TREAT"]`."""
    try:
        asked = strict_json.read(path.read_bytes())
    except strict_json.JsonError as fault:
        raise ValueError(f"{path.name}:{fault.line}: {fault}") from None
    if not isinstance(asked, dict):
        raise ValueError(f"{path.name}: a request is a JSON object.")
    asked.setdefault("now", clock.stamp(clock.now()))
    made: dict[str, Any] = {"answer": answer(asked)}
    if changes:
        other = fhir_json.decode(fhir_json.encode(asked))
        for change in changes:
            _put(other, change)
        made["what_if"] = {"changed": list(changes), "answer": answer(other)}
    if as_json:
        out.print_json(json.dumps(made))
        return
    _print_answer(made["answer"])
    if "what_if" in made:
        out.print(f"\nWhat if {' and '.join(changes)}:", style="bold", markup=False)
        _print_answer(made["what_if"]["answer"])


def _put(request: Any, change: str) -> None:
    name, equals, value = change.partition("=")
    *way, last = name.split(".")
    if not equals or not last:
        raise ValueError("A change of a request is written PART.PART=VALUE: query.purpose=TREAT.")
    try:
        new = json.loads(value)
    except ValueError:
        new = value
    at = request
    try:
        for step in way:
            at = at[int(step)] if isinstance(at, list) else at.setdefault(step, {})
        at[int(last) if isinstance(at, list) else last] = new
    except (ValueError, IndexError, AttributeError, TypeError):
        raise ValueError(f"The request has no part {name} that could be changed.") from None


def _print_answer(told: Mapping[str, Any]) -> None:
    out.print(f"Decision: {told['decision']}", style="bold", markup=False)
    for reason in told["reasons"]:
        listed = f" {', '.join(reason['withheld'])}" if "withheld" in reason else ""
        tell(f"  {reason['text']} ({reason['code']}){listed}")
        for issue in reason.get("issues", ()):
            tell(f"    {issue}", to=err)
    for basis in told["basis"]:
        tell(f"  Rests on: {basis}")
    for key in told["released"]:
        tell(f"  goes   {key}")
    for key in told["withheld"]:
        tell(f"  stays  {key}")
