"""`waymeet consent`: write down what a person allows."""

from __future__ import annotations

import asyncio
from datetime import date, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from consent.items import shipped
from consent.release import new_consent
from gateway import clock, own_system, settings, show
from gateway.cli_said import err, out, said
from gateway.node import opened
from profiles.document import load, read_schema

app = typer.Typer(help="Record what a person allows.", no_args_is_help=True)
_RECORD_HELP = "A record of the person: whose it is is read from it, as the mapping says."
_ANSWERS = read_schema(Path(__file__).with_name("consent-answers.schema.json"))

# Our choice, not the law's: a release of a victim service provider is short unless its client says otherwise.
VSP_DAYS = 30
OTHER_DAYS = 365


@app.callback()
def consent() -> None:
    """Record what a person allows."""


@app.command()
def new(
    config: Annotated[Path, typer.Option("--config", "-c", envvar="WAYMEET_CONFIG")] = Path("node.yaml"),
    answers: Annotated[
        Path | None, typer.Option("--from", help="The answers in a JSON file, instead of being asked.")
    ] = None,
    record: Annotated[Path | None, typer.Option(help=_RECORD_HELP)] = None,
) -> None:
    """Ask for what a release must say, write it as a FHIR Consent, and hand it to the node.

    Prints the consent's id, which `waymeet revoke` takes.
    """
    with said():
        found = settings.read(config)
        person = own_system.person_in(found, record) if record else None
        given = load(answers, _ANSWERS).data if answers else _ask(found, person)
        answer = asyncio.run(own_system.send_consent(found, build(found, given)))
        recorded = show.answer(out, err, answer)
    raise typer.Exit(0 if recorded else 1)


@app.command("list")
def list_of_person(
    record: Annotated[Path | None, typer.Option(help=_RECORD_HELP)] = None,
    identifier: Annotated[
        tuple[str, str] | None, typer.Option(help="The person's identifier: system (URI) and value.")
    ] = None,
    config: Annotated[Path, typer.Option("--config", "-c", envvar="WAYMEET_CONFIG")] = Path("node.yaml"),
) -> None:
    """The consents of one person, with the ids that `waymeet revoke` takes."""
    with said():
        found = settings.read(config)
        person = own_system.person_in(found, record) if record else identifier
        if person is None:
            raise ValueError("Name the person: --record FILE, or --identifier SYSTEM VALUE.")
        with opened(config) as node:
            show.consents_of(out, node, person)


def build(found: settings.Settings, given: dict[str, Any]) -> dict[str, Any]:
    """A Consent from plain answers. Raises ValueError for an item that is none.

    given: patient {system, value}, recipients [name or directory URL], items [code], and where they differ
    from today, this agency's usual period, or COC: start, end, purpose; signed: where the form is kept.
    """
    names = {name: url for system in found.systems.values() for name, url in system.recipients.items()}
    protected = "victim-service-provider" in found.kinds
    return new_consent(
        patient=(given["patient"]["system"], given["patient"]["value"]),
        source=found.sends_as.organization,
        recipients=[names.get(one, one) for one in given["recipients"]],
        purpose=given.get("purpose", "COC"),
        items=given["items"],
        start=given.get("start", _today(found).isoformat()),
        end=given.get("end", _usual_end(found)),
        signed=given["signed"],
        recorded=clock.now(),
        regime=(
            "vawa" if protected else "hipaa" if "covered-entity" in found.kinds else "community-organization"
        ),
    )


def _ask(found: settings.Settings, person: tuple[str, str] | None) -> dict[str, Any]:
    out.print("What may be released? Leave out what the person was not asked about.")
    items = [
        code for code, item in shipped().entries.items() if typer.confirm(f"  {item.display}?", default=False)
    ]
    end = typer.prompt("Until which day (YYYY-MM-DD)", default=_usual_end(found))
    date.fromisoformat(end)
    system, value = person or (
        typer.prompt("Which of your systems is the person's identifier from (URI)"),
        typer.prompt("The person's identifier there"),
    )
    return {
        "patient": {"system": system, "value": value},
        "recipients": typer.prompt("To whom (names or directory URLs, separated by commas)")
        .replace(" ", "")
        .split(","),
        "items": items,
        "end": end,
        "signed": typer.prompt("Where is the signed form kept"),
    }


def _usual_end(found: settings.Settings) -> str:
    days = VSP_DAYS if "victim-service-provider" in found.kinds else OTHER_DAYS
    return (_today(found) + timedelta(days=days)).isoformat()


def _today(found: settings.Settings) -> date:
    return clock.now().astimezone(found.timezone).date()
