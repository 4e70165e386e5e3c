"""`waymeet client`: which of the agency's own systems may call this node, with what, and from where."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

import typer

from gateway import audit, settings
from gateway.cli.said import err, out, said, tell
from gateway.cli.table import table_of
from gateway.node import open_store
from gateway.oauth import registered
from gateway.oauth.public_keys import MAX_KEYS, public_members, registration_fault
from gateway.oauth.registered import LocalClient
from gateway.signing import keys
from profiles.document import DocumentError, load

app = typer.Typer(
    help="Your own systems that may call the node: register, list, suspend, remove.", no_args_is_help=True
)

# What handing in records takes: new referrals, and answers to those of others.
RECORDS: Final = ("system/ServiceRequest.c", "system/Task.u")
CONSENTS: Final = "system/Consent.c"
_OBJECT: Final = {"type": "object"}
_SECRET_BYTES: Final = 32

Config = Annotated[
    Path,
    typer.Option("--config", "-c", envvar="WAYMEET_CONFIG", help="The node's configuration file."),
]
Id = Annotated[str, typer.Argument(help="Its id, which is its OAuth client_id.")]
NODE = Path("node.yaml")


@app.callback()
def group() -> None:
    """Your own systems that may call the node."""


@app.command()
def add(
    client_id: Annotated[
        str,
        typer.Argument(metavar="ID", help="A name for it: letters, digits, dots, dashes and underscores."),
    ],
    system: Annotated[
        list[str] | None,
        typer.Option(help="A system of the configuration whose records it may hand in; may be repeated."),
    ] = None,
    jwks: Annotated[
        Path | None, typer.Option(help="Its public keys: a JWK Set, or one JWK, in a JSON file.")
    ] = None,
    jwks_url: Annotated[
        str, typer.Option("--jwks-url", help="Where it publishes its public keys (https).")
    ] = "",
    secret: Annotated[
        bool, typer.Option("--secret", help="It can only use a secret: make one and show it this once.")
    ] = False,
    make_key: Annotated[
        Path | None, typer.Option("--make-key", help="Make a key pair for it: the file for the private key.")
    ] = None,
    consents: Annotated[bool, typer.Option("--consents", help="It may also hand in consents.")] = False,
    scope: Annotated[
        list[str] | None,
        typer.Option(help="A scope in place of those for records, such as system/Task.u; may be repeated."),
    ] = None,
    address: Annotated[
        list[str] | None,
        typer.Option(help="Where it may call from: an address or a network (CIDR); may be repeated."),
    ] = None,
    introspects: Annotated[
        bool, typer.Option("--introspects", help="It may ask whether others' tokens are good.")
    ] = False,
    name: Annotated[str, typer.Option(help="What you call it, for lists.")] = "",
    config: Config = NODE,
) -> None:
    """Register a system. It counts at the next request; the node goes on running.

    It gets what handing in records takes and no more, unless you say so.
    """
    with said():
        told = settings.read(config)
        ways = [bool(one) for one in (jwks, jwks_url, secret, make_key)]
        if sum(ways) != 1:
            raise ValueError("Say one way to prove who it is: --jwks, --jwks-url, --make-key or --secret.")
        content: dict[str, Any] = {"id": client_id} | ({"name": name} if name else {})
        content["systems"] = _systems(told, system or [])
        content["scopes"] = _scopes(content["systems"], scope, consents, introspects)
        content["addresses"] = address or []
        content["introspects"] = introspects
        content["status"] = "active"
        shown = ""
        if secret:
            shown = secrets.token_urlsafe(_SECRET_BYTES)
            digest = hashlib.sha256(shown.encode("ascii")).hexdigest()
            content["auth"] = {"method": "client_secret", "secret_sha256": digest}
        elif jwks_url:
            content["auth"] = {"method": "private_key_jwt", "jwks_url": jwks_url}
        elif jwks is not None:
            content["auth"] = {"method": "private_key_jwt", "jwks": {"keys": _public_keys(jwks)}}
        with _logged(told, "C", _rights(content)):
            _write(told.clients, content, make_key)
        _say_how(told, content, shown, make_key)


@app.command("list")
def list_all(config: Config = NODE) -> None:
    """All registered systems. Exit status 1 when a file among them is not good, and why."""
    with said():
        found, faults = _all(settings.read(config).clients)
        if found:
            columns = ("id", "status", "systems", "may", "by", "from")
            out.print(table_of(columns, [_row(one) for one in found]))
        elif not faults:
            tell("No system of your own is registered: see `waymeet client add --help`.")
        for fault in faults:
            tell(f"Refused: {fault}", "red", err)
    raise typer.Exit(1 if faults else 0)


@app.command()
def show(client_id: Id, config: Config = NODE) -> None:
    """Everything that is registered for one system; a secret is not kept, so it cannot be shown."""
    with said():
        one = registered.read(_file(settings.read(config).clients, client_id))
        for label, value in _facts(one):
            tell(f"{label:<17} {value}")


@app.command()
def suspend(client_id: Id, config: Config = NODE) -> None:
    """Refuse it from the next request on, with the tokens that it holds."""
    with said():
        _set_status(settings.read(config), client_id, "suspended")
        tell(f"{client_id} is suspended: it is refused from its next request on.")


@app.command()
def resume(client_id: Id, config: Config = NODE) -> None:
    """Let a suspended system in again."""
    with said():
        _set_status(settings.read(config), client_id, "active")
        tell(f"{client_id} is let in again.")


@app.command()
def remove(client_id: Id, config: Config = NODE) -> None:
    """Forget a system, also one whose file is not good. Its records and referrals stay."""
    with said():
        told = settings.read(config)
        _file(told.clients, client_id)
        with _logged(told, "D", {"client": client_id}):
            registered.remove(told.clients, client_id)
        tell(f"{client_id} is no longer registered: it is refused from its next request on.")


def _systems(told: settings.Settings, systems: list[str]) -> list[str]:
    unknown = [one for one in systems if one not in told.systems]
    if unknown:
        raise ValueError(
            f"--system: there is no {', '.join(unknown)} in {told.path.name}; there is "
            f"{', '.join(told.systems)}."
        )
    return list(dict.fromkeys(systems))


def _scopes(systems: list[str], scope: list[str] | None, consents: bool, introspects: bool) -> str:
    """The least that does what was said."""
    found = scope if scope is not None else list(RECORDS) if systems else []
    found = [*found, *([CONSENTS] if consents else [])]
    if not found and not introspects:
        raise ValueError("Say what it is for: --system NAME for records, --consents, --introspects.")
    return " ".join(dict.fromkeys(" ".join(found).split()))


def _public_keys(path: Path) -> list[dict[str, Any]]:
    """The public keys in a file that somebody has sent. Raises DocumentError for a private one."""
    document = load(path, _OBJECT)
    whole = "keys" not in document.data
    found = [document.data] if whole else document.data["keys"]
    if not isinstance(found, list) or not 1 <= len(found) <= MAX_KEYS:
        raise document.error([document.issue(("keys",), f"must be a list of 1 to {MAX_KEYS} keys")])
    issues = []
    for number, jwk in enumerate(found):
        fault = registration_fault(jwk) if isinstance(jwk, dict) else "a key is no object"
        if fault:
            issues.append(document.issue(() if whole else ("keys", number), fault))
    if issues:
        raise document.error(issues)
    return [public_members(jwk) for jwk in found]


def _write(folder: Path, content: dict[str, Any], make_key: Path | None) -> None:
    if (folder / f"{content['id']}.json").exists():
        raise ValueError(f"{content['id']} is registered already; remove it first, or choose another id.")
    if make_key is None:
        registered.write(folder, content)
        return
    key = keys.generate()
    keys.save(make_key, key)
    try:
        content["auth"] = {"method": "private_key_jwt", "jwks": keys.public_jwks(key)}
        registered.write(folder, content)
    except BaseException:
        make_key.unlink()  # made a moment ago, and good for nothing
        raise


def _say_how(told: settings.Settings, content: dict[str, Any], secret: str, key: Path | None) -> None:
    """What the other system has to be told. The secret goes out here and is kept nowhere."""
    address = told.home.address
    tell(f"Registered: {told.clients.name}/{content['id']}.json. Tell that system:")
    facts = [
        ("client_id", content["id"]),
        ("token endpoint", f"{address}/oauth/token"),
        ("scope", content["scopes"] or "none: it gets no tokens"),
    ]
    facts += [("records", f"POST {address}/records/{one}") for one in content["systems"]]
    if CONSENTS in content["scopes"].split():
        facts.append(("consents", f"POST {address}/records/consent or {address}/fhir/Consent"))
    if content["introspects"]:
        facts.append(("introspection", f"POST {address}/oauth/introspect"))
    if key is not None:
        facts.append(("private key", f"{key}: move it to that system; the node does not need it"))
    if secret:
        facts.append(("client_secret", secret))
    for label, value in facts:
        tell(f"  {label:<15} {value}")
    if secret:
        tell("The secret is shown this once: only its digest is kept.", to=err)


def _all(folder: Path) -> tuple[list[LocalClient], list[str]]:
    found, faults = [], []
    for path in registered.files(folder):
        try:
            found.append(registered.read(path))
        except DocumentError as fault:
            faults.append(str(fault))
    return found, faults


def _row(one: LocalClient) -> tuple[str, ...]:
    return (
        one.id,
        _status(one),
        ", ".join(sorted(one.systems)),
        "\n".join(sorted(name.removeprefix("system/") for name in one.scopes)),
        _proof(one),
        ", ".join(str(network) for network in one.addresses) or "anywhere",
    )


def _facts(one: LocalClient) -> list[tuple[str, str]]:
    facts = [
        ("id", one.id),
        ("name", one.name),
        ("status", _status(one)),
        ("systems", ", ".join(sorted(one.systems))),
        ("scopes", " ".join(sorted(one.scopes))),
        ("purposes", ", ".join(sorted(one.purposes))),
        ("proves itself by", _proof(one)),
    ]
    if one.keys is not None:
        facts += [("key", f"{jwk['kid']} ({jwk['kty']})") for jwk in one.keys.inline.get("keys", [])]
        facts.append(("keys published at", one.keys.url or ""))
    facts.append(("may call from", ", ".join(str(network) for network in one.addresses) or "anywhere"))
    facts.append(("introspects", "yes" if one.introspects else ""))
    facts.append(("private key here", one.key.name if one.key else ""))
    return [fact for fact in facts if fact[1]]


def _status(one: LocalClient) -> str:
    return "active" if one.active else "suspended"


def _proof(one: LocalClient) -> str:
    if one.keys is None:
        return "secret"
    if one.keys.url:
        return f"keys at {urlsplit(one.keys.url).hostname}"
    count = len(one.keys.inline["keys"])
    return f"{count} key{'s' if count > 1 else ''}"


def _file(folder: Path, client_id: str) -> Path:
    """The registration of a client that there is. Raises ValueError."""
    path = next((path for path in registered.files(folder) if path.stem == client_id), None)
    if path is None:
        raise ValueError("No system is registered by this id: see `waymeet client list`.")
    return path


def _set_status(told: settings.Settings, client_id: str, status: str) -> None:
    path = _file(told.clients, client_id)
    registered.read(path)  # one that is not good is refused as it is, and says why
    content = {**load(path, _OBJECT).data, "status": status}
    with _logged(told, "U", _rights(content)):
        registered.write(told.clients, content, replace=True)


@contextmanager
def _logged(told: settings.Settings, action: audit.Action, details: dict[str, str]) -> Iterator[None]:
    """A change of who may call stands in the node's log, or is not made."""
    store = open_store(told)
    try:
        with store.work() as work:
            audit.record(work, audit.Entry("client", action, "operator", details=details))
            yield
    finally:
        store.close()


def _rights(content: dict[str, Any]) -> dict[str, str]:
    """What a registration gives, as the log says it."""
    lists = {name: " ".join(content.get(name, ())) for name in ("systems", "addresses")}
    plain = {"client": content["id"], "status": content["status"], "scopes": content.get("scopes", "")}
    introspects = {"introspects": "yes"} if content.get("introspects") else {}
    return {name: value for name, value in {**plain, **lists, **introspects}.items() if value}
