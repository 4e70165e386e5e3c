"""`waymeet agreement`: write down what two agencies have agreed, sign it, check it, say it in plain words."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
import typer
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from joserfc.jwk import RSAKey

import consent
from consent import agreement as agreements
from consent import agreement_draft, agreement_signing, agreement_status, agreement_words
from consent.agreement_signing import Key
from gateway import clock, durable
from gateway.cli.said import out, said
from gateway.initialise import as_json, write_json
from gateway.node import opened
from gateway.signing import keys
from profiles.document import load, parse

app = typer.Typer(help="What two agencies have agreed: make it, sign it, check it.", no_args_is_help=True)

_OBJECT: Final = {"type": "object"}
_ENTRIES: Final = {"type": "array", "items": _OBJECT}
_File = Annotated[Path, typer.Argument(help="The agreement's file.")]
_As = Annotated[
    str, typer.Option("--as", help="The party that says so: its directory URL, or its last part.")
]
_Key = Annotated[Path, typer.Option(help="That party's private key, in PEM.")]
_Why = Annotated[str, typer.Option("--reason", help="Why; nothing about a person.")]


@app.callback()
def agreement() -> None:
    """What two agencies have agreed: make it, sign it, check it."""


@app.command()
def new(
    to: Annotated[Path, typer.Option(help="The file to write.")] = Path("agreement.json"),
    template: Annotated[
        str, typer.Option(help=f"One of {', '.join(agreement_draft.templates())}.")
    ] = "minimal-data-coordination",
    answers: Annotated[
        Path | None, typer.Option("--from", help="The answers in a JSON file, instead of being asked.")
    ] = None,
    source: Annotated[
        Path | None, typer.Option(help="The directory entry of the agency that refers, for what it says.")
    ] = None,
    recipient: Annotated[
        Path | None, typer.Option(help="The directory entry of the agency that is referred to.")
    ] = None,
    follows: Annotated[
        Path | None, typer.Option(help="An agreement of which this is to be the next version.")
    ] = None,
) -> None:
    """Write a draft: nobody has signed it, and it lets nothing go."""
    with said():
        if to.exists():
            raise ValueError(f"{to} is there already; nothing was written.")
        if follows:
            write_json(to, agreement_draft.next_version(agreements.read(follows)))
            _say(f"Written: {to}, the next version as a draft. Change what is to change, then both sign it.")
            return
        given: dict[str, Any] = load(answers, _OBJECT).data if answers else {}
        for role, entry in (("source", source), ("recipient", recipient)):
            if entry:
                given[role] = {**_party(entry), **given.get(role, {})}
        if not answers:
            given = _ask(given, agreement_draft.referral_types(template))
        name = answers.name if answers else "answers.json"
        checked = parse(msgspec.json.encode(given).decode(), agreement_draft.answers_schema(), name).data
        document = agreement_draft.draft(template, checked)
        agreements.reads(msgspec.json.encode(document).decode(), to.name)
        write_json(to, document)
        _say(f"Written: {to}, a draft. Read it with `waymeet agreement explain {to}`, then both sign it.")


@app.command()
def sign(file: _File, key: _Key, party: _As) -> None:
    """Sign an agreement for one party; the last signature makes a draft active."""
    with said():
        document = agreements.read(file)
        organization = _organization(document, party)
        signed = agreement_signing.sign(document, organization, _private_key(key))
        _replace(file, signed)
        names = agreement_words.organization_names(signed)
        missing = [
            names[one.organization] for one in agreement_signing.verify(signed) if one.state != "signed"
        ]
        then = f"Still to sign: {', '.join(missing)}." if missing else f"It is {signed['status']}."
        _say(f"Signed for {names[organization]}. {then}")


@app.command()
def verify(
    file: _File,
    config: Annotated[
        Path | None, typer.Option("--config", "-c", help="A node, whose directory says which keys are whose.")
    ] = None,
) -> None:
    """Check every party's signature. Exit status 1 when one is missing or does not hold, and which."""
    with said():
        document = agreements.read(file)
        found, stated = agreement_signing.verify(document), agreement_status.statements(document)
        told = [f"{one.organization}: {one.reason}{_key_of(one)}." for one in found]
        told += _compared(document, config) if config else []
        told += [f"{one.organization}: {_stated(one)}" for one in stated]
        told += [f"In force? {why}" for why in agreement_words.standing(agreements.of(document), clock.now())]
        names = agreement_words.organization_names(document)
        for line in told:
            _say(consent.named(line, names))
    good = all(one.state == "signed" for one in found) and not any(one.fault for one in stated)
    raise typer.Exit(0 if good else 1)


def _key_of(one: agreement_signing.Signature) -> str:
    return f" (key {one.thumbprint})" if one.thumbprint else ""


def _compared(document: Mapping[str, Any], config: Path) -> list[str]:
    """Of each party, whether the keys that the agreement lists for it are those of a node's directory."""
    with opened(config) as node:
        entries = node.directory.entries
    held = {one.organization: {jwk["kid"] for jwk in one.jwks["keys"]} for one in entries}
    told = []
    for one in document["parties"]:
        organization = one["organization"]
        others = set(one.get("keys", ())) - held.get(organization, set())
        told.append(
            f"{organization}: not its key by the directory of today: {', '.join(sorted(others))}."
            if others
            else f"{organization}: the keys that it lists are those of the directory."
        )
    return told


def _stated(one: agreement_status.Statement) -> str:
    why = f", because: {one.reason}" if one.reason else ""
    fault = f" Its signature {one.fault}." if one.fault else ""
    return f"has stated {one.status} at {one.at.isoformat(timespec='seconds')}{why}.{fault}"


@app.command()
def explain(
    file: _File,
    policies: Annotated[Path | None, typer.Option(help="Your own policy folder, as in node.yaml.")] = None,
) -> None:
    """Say in plain words what may go to whom, when, whom to call, and what is enforced or only promised."""
    with said():
        held = agreements.load(file)
        policy = consent.load_policy(consent.SHIPPED, *([policies] if policies else []))
        named = held.document.get("title", held.id)
        names = agreement_words.organization_names(held.document)
        _say(f"{named}: {held.reference}, between {' and '.join(names.values())}")
        _say("")
        for title, sentences in agreement_words.explain(held, policy, clock.now()):
            _say(title)
            for one in sentences:
                _say(textwrap.fill(one, out.width, initial_indent="  ", subsequent_indent="    "))
            _say("")


@app.command()
def suspend(file: _File, key: _Key, party: _As, reason: _Why = "") -> None:
    """Stop it for now: from this moment nothing goes under this copy. One party is enough."""
    _state(file, key, party, "suspended", reason)


@app.command()
def resume(file: _File, key: _Key, party: _As, reason: _Why = "") -> None:
    """Take your own suspension back; another party's stays."""
    _state(file, key, party, "active", reason)


@app.command()
def terminate(file: _File, key: _Key, party: _As, reason: _Why = "") -> None:
    """End it for good. One party is enough."""
    _state(file, key, party, "terminated", reason)


def _state(file: Path, key: Path, party: str, status: agreement_status.Status, reason: str) -> None:
    with said():
        document = agreements.read(file)
        organization = _organization(document, party)
        stated = agreement_status.state(
            document, organization, status, _private_key(key), clock.now(), reason
        )
        _replace(file, stated)
        name = agreement_words.organization_names(document)[organization]
        _say(f"Stated for {name}: {status}. The agreement is {stated['status']}.")
        _say("Give this file to the other parties: each node goes by the copy in its own folder.")


def _private_key(path: Path) -> Key:
    """An EC key on P-384 or an RSA key. Raises KeyFileError."""
    try:
        return keys.load(path)
    except keys.KeyFileError:
        if path.is_file() and not path.stat().st_mode & 0o077:
            try:
                found = load_pem_private_key(path.read_bytes(), password=None)
            except (ValueError, TypeError):
                raise  # of the file's form: what `keys.load` has said
            if isinstance(found, RSAPrivateKey):
                return RSAKey.import_key(found)
        raise


def _organization(document: Mapping[str, Any], party: str) -> str:
    """The directory URL of the party that is meant. Raises ValueError."""
    parties = [one["organization"] for one in document["parties"]]
    meant = [one for one in parties if party in (one, one.rpartition("/")[2])]
    if len(meant) != 1:
        raise ValueError(f"{party} is not one of the parties: {', '.join(parties)}.")
    found: str = meant[0]
    return found


def _party(path: Path) -> dict[str, Any]:
    """What a file of directory entries says of the one agency in it. Raises ValueError."""
    entries: list[Any] = load(path, _ENTRIES).data
    if len(entries) != 1:
        raise ValueError(f"{path}: holds {len(entries)} directory entries; one is needed.")
    try:
        return agreement_draft.party_of_entry(entries[0])
    except (KeyError, TypeError, AttributeError):
        raise ValueError(f"{path}: is not a directory entry.") from None


def _replace(path: Path, document: Mapping[str, Any]) -> None:
    """Write it so that a running node never reads half of it."""
    durable.replace(path, as_json(document), 0o644)


def _ask(given: dict[str, Any], referral_types: Sequence[str]) -> dict[str, Any]:
    out.print("Empty where a question has no answer yet. Every answer can be changed in the file.")
    asked: dict[str, Any] = {"id": typer.prompt("A short name for it, in letters, digits and dashes")}
    for role, what in (("source", "The agency that refers"), ("recipient", "The agency that is referred to")):
        asked[role] = _ask_party(what, given.get(role, {}))
    if referral_types:
        out.print(f"It can be for {', '.join(referral_types)}.")
        chosen = typer.prompt("Which of these (with commas between)")
        asked["referralTypes"] = [one.strip() for one in chosen.split(",") if one.strip()]
    asked["start"] = typer.prompt("First day (YYYY-MM-DD)")
    asked["end"] = typer.prompt("Last day (YYYY-MM-DD)")
    asked["request"] = {
        "name": typer.prompt("Who asks for the data to be shared"),
        "reason": typer.prompt("What are the data needed for"),
        "date": typer.prompt("When was it asked for (YYYY-MM-DD)"),
    }
    return asked


def _ask_party(what: str, known: Mapping[str, Any]) -> dict[str, Any]:
    party = dict(known)
    if "organization" not in party:
        party["organization"] = typer.prompt(f"{what}: its directory URL")
        party["name"] = typer.prompt(f"{what}: its name")
        party["keys"] = [typer.prompt(f"{what}: the kid of its key, from its directory entry")]
    for role, words in (
        ("primary", "whom to call"),
        ("backup", "whom else"),
        ("steward", "who answers for data"),
    ):
        if role not in party:
            party[role] = _ask_person(f"{party['name']}: {words}")
    approved = typer.prompt(f"{party['name']}: who approved it", default="", show_default=False)
    if approved:
        party["approved"] = {"name": approved, "date": typer.prompt("When (YYYY-MM-DD)")}
    return party


def _ask_person(what: str) -> dict[str, str]:
    person = {"name": typer.prompt(f"{what} (name)")}
    for part in ("phone", "email"):
        value = typer.prompt(f"  {part}", default="", show_default=False)
        if value:
            person[part] = value
    return person


def _say(line: str) -> None:
    out.print(line, markup=False, highlight=False, soft_wrap=True)
