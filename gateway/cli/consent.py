"""`waymeet consent`: write down what a person allows, print it, check it."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

import consent
from consent.advice import MISSING
from consent.form import Printed, release_page
from consent.release import missing_elements
from consent.words import LANGUAGES
from gateway import own_system, settings
from gateway.cli import consent_check as cli_consent_check
from gateway.cli import show
from gateway.cli.consent_ask import ask
from gateway.cli.said import err, out, said
from gateway.cli.stream import say
from gateway.node import opened
from gateway.release_answers import build as build
from gateway.release_answers import implied_by, policy_of, read_release, regimes_of

app = typer.Typer(
    help="What a person allows: write it down, check it, print it, look it up.", no_args_is_help=True
)
_RECORD_HELP = "A record of the person: whose it is is read from it, as the mapping says."
_PRINT_HELP = "Write the page for the person to sign: a file, or a folder for it."

Config = Annotated[
    Path,
    typer.Option("--config", "-c", envvar="WAYMEET_CONFIG", help="The node's configuration file."),
]
Language = Annotated[
    str,
    typer.Option("--language", "-l", help=f"Of the page: {' or '.join(LANGUAGES)}. If left out: the form's."),
]
NODE = Path("node.yaml")


@app.callback()
def group() -> None:
    """Record what a person allows."""


@app.command()
def new(
    config: Config = NODE,
    answers: Annotated[
        Path | None,
        typer.Option("--from", help="Answers, or a Consent, in a JSON file, instead of being asked."),
    ] = None,
    record: Annotated[Path | None, typer.Option(help=_RECORD_HELP)] = None,
    page: Annotated[Path | None, typer.Option("--print", help=_PRINT_HELP)] = None,
    language: Language = "",
    signed_on: Annotated[
        str, typer.Option("--signed-on", metavar="YYYY-MM-DD", help="If it was signed on another day.")
    ] = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Record nothing: write the Consent to standard output.")
    ] = False,
) -> None:
    """Ask for what a release must say, write it as a FHIR Consent, and hand it to the node.

    Prints the consent's id, which `waymeet revoke` takes.
    """
    with said():
        found = settings.read(config)
        person = own_system.person_in(found, record) if record else None
        if answers:
            written = read_release(answers, found, signed_on)
        else:
            with opened(config) as node:
                given = ask(found, policy_of(found), node.names, person)
            written = build(found, given | ({"signed-on": signed_on} if signed_on else {}))
        _say_what_is_missing(found, written)
        file = _print(config, written, page, language, "release") if page else None
        if dry_run:
            sys.stdout.write(_as_json(written))
            return
        if file and not answers and not typer.confirm("Has the person signed the page?", err=True):
            kept = file.with_suffix(".json")
            kept.write_text(_as_json(written), encoding="utf-8")
            say(f"Nothing is recorded. Once it is signed: waymeet consent new --from {kept} --signed-on DAY")
            raise typer.Exit(1)
        recorded = show.answer(out, err, asyncio.run(own_system.send_consent(found, written)))
    raise typer.Exit(0 if recorded else 1)


@app.command("print")
def print_release(
    file: Annotated[Path, typer.Argument(help="A Consent, or the answers that make one: JSON.")],
    language: Language = "",
    to: Annotated[
        Path | None, typer.Option("--to", help="A file, or a folder for it. If left out: beside FILE.")
    ] = None,
    config: Config = NODE,
) -> None:
    """Write the release as one page that a person can read and sign: HTML, to be printed by any browser."""
    with said():
        written = read_release(file, settings.read(config))
        _print(config, written, to or file.parent, language, file.stem)


app.command("check")(cli_consent_check.command)


@app.command("list")
def list_of_person(
    record: Annotated[Path | None, typer.Option(help=_RECORD_HELP)] = None,
    identifier: Annotated[
        tuple[str, str] | None, typer.Option(help="The person's identifier: system (URI) and value.")
    ] = None,
    config: Config = NODE,
) -> None:
    """The consents of one person, with the ids that `waymeet revoke` takes."""
    with said():
        found = settings.read(config)
        person = own_system.person_in(found, record) if record else identifier
        if person is None:
            raise ValueError("Name the person: --record FILE, or --identifier SYSTEM VALUE.")
        with opened(config) as node:
            show.consents_of(out, node, person)


def _print(config: Path, written: dict[str, Any], to: Path, language: str, name: str) -> Path:
    """Write the page and say where it is. Raises ValueError for a Consent that has no such page."""
    chosen = language or written.get("sourceAttachment", {}).get("language") or "en"
    with opened(config) as node:
        names, told = node.names, node.settings
    alias = names.get(told.sends_as.organization, "") if told.sends_as.alias else ""
    contact = told.contact.replace("tel:", "").replace("mailto:", "")
    implied = implied_by(regimes_of(told, policy_of(told)))
    page = release_page(written, Printed(told.name, names, alias, contact, implied), chosen)
    file = to / f"{name}.{chosen}.html" if to.is_dir() or not to.suffix else to
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(page, encoding="utf-8")
    say(f"{file}: open it in a browser and print it.", to=err)
    return file


def _say_what_is_missing(found: settings.Settings, written: dict[str, Any]) -> None:
    """Warn of what this agency's own law asks for and the release lacks: then it permits nothing."""
    minor = any(one.get("type") == "RelatedPerson" for one in written.get("performer", []))
    compiled = consent.compile_consent(written, zone=found.timezone)
    for regime in regimes_of(found, policy_of(found)):
        for element in missing_elements(compiled, regime, minor=minor) if regime.whole else ():
            say(f"{regime.title}: {MISSING[element]}", "yellow", to=err)


def _as_json(written: dict[str, Any]) -> str:
    return json.dumps(written, indent=2, ensure_ascii=False) + "\n"
