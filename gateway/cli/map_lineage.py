"""`waymeet map lineage`: which column reaches which element, and which can leave to whom."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

import consent
from gateway import clock
from gateway.cli.map_named import Named, mapping_called
from gateway.cli.said import out, said
from gateway.cli.stream import a_closed_pipe_ends_it, say
from gateway.cli.table import table_of
from gateway.item_fields import answered_fields, staying_fields
from gateway.leaving import Leaving, consents_for, leaving
from gateway.node import Node, opened
from mappings import LocalMapping
from mappings.lineage import lineage_csv, lineage_json, lineage_provenance

_COLUMNS = ("recipient", "referral_type", "view", "item", "field", "function", "element", "sensitivity")
_VIEWS = {"offer": "before it has accepted", "dossier": "once it has accepted"}


def lineage(
    named: Named,
    as_csv: Annotated[bool, typer.Option("--csv", help="As CSV.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
    provenance: Annotated[
        bool, typer.Option("--provenance", help="As FHIR Provenances, one on each line.")
    ] = False,
    recipient: Annotated[
        str,
        typer.Option(
            help="Only what can leave to this partner now: a directory URL, or a name of yours for it."
        ),
    ] = "",
    config: Annotated[
        Path, typer.Option("--config", "-c", envvar="WAYMEET_CONFIG", help="With --recipient: the node.")
    ] = Path("node.yaml"),
    consent_id: Annotated[str, typer.Option("--consent", help="With --recipient: under this consent.")] = "",
    person: Annotated[
        str,
        typer.Option(metavar="SYSTEM|VALUE", help="With --recipient: under all consents of this person."),
    ] = "",
) -> None:
    """Show the way of every field: through which function to which element, or why nothing reads it.

    With --recipient: which fields can leave to that partner at this moment, by agreement, law, consent and
    minimum set. Without --consent or --person: of a person who has not consented.
    """
    with said(), a_closed_pipe_ends_it():
        if sum((as_csv, as_json, provenance)) > 1:
            raise ValueError("--csv, --json and --provenance are three forms; choose one.")
        if not recipient and (consent_id or person):
            raise ValueError("--consent and --person say under which consent a --recipient is asked about.")
        mapping = mapping_called(named)
        if not recipient:
            _whole(mapping, as_csv, as_json, provenance)
            return
        if provenance:
            raise ValueError("A Provenance says where a record came from, not where it goes: no --recipient.")
        with opened(config) as node:
            organization = _organization(node, recipient)
            given = consents_for(node, consent_id, person)
            found = list(leaving(node, mapping, organization, given))
            if as_csv or as_json:
                _write_rows(found, organization, as_csv=as_csv)
            else:
                _show(node, mapping, found, organization)


def _whole(mapping: LocalMapping, as_csv: bool, as_json: bool, provenance: bool) -> None:
    if as_csv:
        sys.stdout.write(lineage_csv(mapping))
    elif as_json:
        sys.stdout.write(lineage_json(mapping))
    elif provenance:
        for one in lineage_provenance(mapping, clock.stamp(clock.now())):
            sys.stdout.write(json.dumps(one) + "\n")
    else:
        for kind in mapping.kinds:
            rows = [(way.field, way.function, way.element, way.sensitivity) for way in kind.lineage]
            rows += [
                (field, "stays", because, kind.fields.sensitivity([field]))
                for field, because in kind.fields.ignored.items()
            ]
            say(f"{kind.name} ({kind.kind})", "bold")
            if rows:
                out.print(table_of(("field", "function", "element", "sensitivity"), rows))
            else:
                say(kind.because)


def _organization(node: Node, named: str) -> str:
    """The directory URL of a partner, which the node's systems may have other names for."""
    names = {
        name: url for system in node.settings.systems.values() for name, url in system.recipients.items()
    }
    return names.get(named, named)


def _show(node: Node, mapping: LocalMapping, found: Iterable[Leaving], recipient: str) -> None:
    names = node.names
    say(f"What can leave to {names.get(recipient, recipient)} now:", "bold")
    for one in found:
        say(f"{one.referral_type}, {_VIEWS[one.decision.view]}", "bold")
        rows = [
            (way.field, node.policy.items.display(item), way.function, way.element, way.sensitivity)
            for item, way in one.ways
        ]
        columns = ("field", "item", "function", "element", "sensitivity")
        out.print(table_of(columns, rows) if rows else "  nothing")
        for sentence in consent.sentences(one.decision, names):
            say(f"  {sentence}")
    say("Whoever it is:", "bold")
    answered = dict.fromkeys(way.field for kind in mapping.kinds for way in answered_fields(kind))
    if answered:
        say(f"  goes back with an answer to the agency that referred: {', '.join(answered)}")
    say(f"  never leaves: {', '.join(staying_fields(mapping, node.policy.items))}")


def _write_rows(found: Iterable[Leaving], recipient: str, *, as_csv: bool) -> None:
    rows = [
        {
            "recipient": recipient,
            "referral_type": one.referral_type,
            "view": one.decision.view,
            "item": item,
            "field": way.field,
            "function": way.function,
            "element": way.element,
            "sensitivity": way.sensitivity,
        }
        for one in found
        for item, way in one.ways
    ]
    if not as_csv:
        sys.stdout.write(json.dumps(rows, indent=2) + "\n")
        return
    writer = csv.DictWriter(sys.stdout, _COLUMNS)
    writer.writeheader()
    writer.writerows(rows)
