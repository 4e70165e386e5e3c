"""`waymeet keys`: the keys that a node signs with: see them, change them, take one back."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Final

import typer

from gateway import clock
from gateway.cli import keys_federation as cli_keys_federation
from gateway.cli.keys_shared import (
    DEFAULT,
    SHOWN,
    As,
    Config,
    FederationKey,
    federation_key,
    identity_of,
    moment,
    name_of,
    read,
    ring_of,
    rotation_of,
    told,
    which,
)
from gateway.cli.said import out, tell
from gateway.cli.table import table_of
from gateway.settings import IdentitySettings, Settings
from gateway.signing import operational_state
from gateway.signing.keys import KeyFileMissing, KeyLocked, KeysError
from gateway.signing.operational_reading import NothingToSignWith
from gateway.signing.operational_rotation import MOST_DAYS, Step

app = typer.Typer(
    help="The keys this node signs with: see them, change them, take one back.", no_args_is_help=True
)

_SHORTEST: Final = 6


@app.command("list")
def list_keys(config: Config = DEFAULT) -> None:
    """Every key: what it is, how it stands, and what changes next. Exit status 1 when something is wrong."""
    wrong = False
    with told():
        found = read(config)
        for identity in found.identities:
            tell(name_of(identity), "bold")
            try:
                ring = ring_of(identity)
            except KeysError as fault:
                tell(f"  {fault}", "red")
                wrong = True
                continue
            now = clock.now()
            rows = []
            for line in ring.lines(now):
                coming = f"{line.next}: {moment(line.when, found)}" if line.when is not None else ""
                rows.append((line.kid[:SHOWN], line.kind, line.state, coming))
            out.print(table_of(("key", "what it is", "state", "next"), rows))
            for alarm in ring.alarms(now):
                tell(f"  {alarm}", "red")
                wrong = True
    if wrong:
        raise typer.Exit(1)


@app.command()
def rotate(
    config: Config = DEFAULT,
    name: As = "",
    at_once: Annotated[bool, typer.Option("--now", help="Use the new key at once.")] = False,
    signer: FederationKey = None,
    days: Annotated[
        int, typer.Option(min=1, max=MOST_DAYS, help="Have keys ready, and signed, for so many days.")
    ] = 1,
    federation: Annotated[
        bool, typer.Option("--federation", help="Change the federation key itself; says what to do.")
    ] = False,
    entry: Annotated[
        Path | None, typer.Option(help="With --federation: the file of your directory entry.")
    ] = None,
    finish: Annotated[
        bool, typer.Option("--finish", help="With --federation: the directory has the new key; use it.")
    ] = False,
) -> None:
    """Make a new key now. Keys change by themselves every day; this is for when that is not enough."""
    with told():
        found = read(config)
        identity = identity_of(found, name)
        if federation and finish:
            cli_keys_federation.finish(found, identity, signer or identity.key, at_once)
        elif federation:
            cli_keys_federation.begin(found, identity, signer or identity.key, entry)
        elif finish or entry is not None:
            raise ValueError("--finish and --entry go with --federation.")
        else:
            more = 1 if days == 1 and not at_once else 0
            key = partial(federation_key, identity, signer)
            done = rotation_of(identity, key).run(ahead=days, more=more, urgent=at_once)
            _tell_made(found, identity, done, at_once)
            if signer is not None:
                tell(f"Put the federation key away again; nothing of it is in {identity.operational}/.")


@app.command()
def revoke(
    key: Annotated[str, typer.Argument(help="Its name, or how that begins, as `waymeet keys list` has it.")],
    config: Config = DEFAULT,
    signer: FederationKey = None,
) -> None:
    """Take an operational key back, as somebody else may have it: nothing that it signed counts any more."""
    with told():
        found = read(config)
        identity, kid = _meant(found, key)
        try:
            federation = federation_key(identity, signer)
        except (KeyFileMissing, KeyLocked):
            federation = None
        rotation_of(identity, lambda: federation).revoke(kid)
        tell(f"Taken back: {kid}. This node refuses what it signed, from now on.")
        _tell_signing(identity)
        if federation is not None:
            tell(
                "It is out of the signed key set: partners refuse it once their copy is over, in 300 seconds."
            )
            return
        tell(
            "The federation key is not at hand: partners still find it in the signed set. Sign a new one now:"
        )
        tell(f"  waymeet keys rotate{which(found, identity)} --federation-key FILE")
    raise typer.Exit(1)


def _meant(found: Settings, key: str) -> tuple[IdentitySettings, str]:
    """The operational key that a name or its beginning means. Raises ValueError."""
    if len(key) < _SHORTEST:
        raise ValueError(f"Give at least {_SHORTEST} characters of the key's name: see waymeet keys list.")
    meant = [
        (identity, one.kid)
        for identity in found.identities
        for one in operational_state.read(identity.operational, identity.organization).keys
        if one.kid.startswith(key) and one.revoked is None
    ]
    if len(meant) != 1:
        raise ValueError(
            "This names no operational key, or several: see waymeet keys list. A federation key is not taken "
            "back here: change it with waymeet keys rotate --federation, and if somebody else may have it, "
            "call the convening body."
        )
    return meant[0]


def _tell_made(found: Settings, identity: IdentitySettings, done: Sequence[Step], at_once: bool) -> None:
    made = [step.kid for step in done if step.what == "made"]
    for kid in made[:2]:
        tell(f"Made: {kid}")
    if len(made) > 2:
        tell(f"and {len(made) - 2} more: see waymeet keys list")
    if not done:
        tell("Nothing to do: there are keys enough, and the signed set is in force for long.")
    if at_once:
        for step in done:
            if step.what == "used":
                tell(f"In use from now on: {step.kid}. A running node takes it up within a second.")
        tell("Partners meet a name that they do not know, fetch our keys again within 10 seconds and go on.")
        tell("One that is no Waymeet node may go by its copy for 5 minutes and refuse us until then.")
        tell("The key before is still accepted. If somebody else may have it: waymeet keys revoke NAME")
    try:
        ring = ring_of(identity)
    except NothingToSignWith:  # the first keys, made apart from a node that never had its federation key
        tell("These are the first keys. They sign in 24 hours, and until then the node cannot start without")
        tell("the federation key; or make one that is used at once: --now.")
        return
    now = clock.now()
    for line in ring.lines(now):
        if line.kid in made[:2] and line.when is not None and not at_once:
            tell(f"{line.kid[:SHOWN]} {line.next}: {moment(line.when, found)}")
    if ring.signed_until is not None:
        tell(f"The signed key set for partners is in force until {moment(ring.signed_until, found)}.")
    for alarm in ring.alarms(now):
        tell(alarm, "red")


def _tell_signing(identity: IdentitySettings) -> None:
    ring = ring_of(identity)
    kid = ring.signing.thumbprint()
    if kid == ring.federation:
        tell("The federation key signs until another key has been published for a day.")
    else:
        tell(f"In use: {kid}.")
