"""`waymeet directory partners` and `pin`: whom this node trusts, with which keys; taking new ones by hand."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from gateway import audit, settings
from gateway.cli.directory_told import tell_directory, time
from gateway.cli.said import err, said, tell
from gateway.node import Node, open_store, opened
from gateway.store import directories, marks
from gateway.trust.pinned_keys import Partner
from gateway.trust.trusted import Trust

_Config = Annotated[
    Path, typer.Option("--config", "-c", envvar="WAYMEET_CONFIG", help="The node's configuration file.")
]
_NODE = Path("node.yaml")


def partners(config: _Config = _NODE) -> None:
    """Show whom this node trusts at this moment: partners, their keys, who is suspended, and what is wrong.

    Exit status 1 when something is wrong with the directory.
    """
    with said(), opened(config) as node:
        trust = node.trust
        tell_directory(f"The directory is {_standing(trust)}", trust.directory)
        if (listed := trust.suspensions) is not None:
            state = "" if trust.opens_dossiers() else " NOT"
            tell(f"Suspension list: number {listed.sequence},{state} in force, until {time(listed.expires)}.")
        for partner in trust.pins():
            for line in _lines(node, partner):
                tell(line)
        if not trust.pins():
            tell("Nobody is a partner yet: that takes an agreement in force.")
        for alarm in trust.alarms:
            tell(f"Alarm: {alarm}", "red", err)
        good = not trust.alarms
    raise typer.Exit(0 if good else 1)


def pin(
    organization: Annotated[str, typer.Argument(help="The partner: its URL, or the last part.")],
    key: Annotated[
        list[str],
        typer.Option(
            help="Each key's thumbprint, as the partner has told you itself at a number you had before."
        ),
    ],
    config: _Config = _NODE,
) -> None:
    """Take a partner's new keys by hand, where no old key has signed them. Ask the partner first."""
    with said(), opened(config) as node:
        directory = node.trust.directory
        full = organization if "/" in organization else f"{directory.issuer}/Organization/{organization}"
        entry = directory.entry(full)
        if entry is None:
            raise ValueError(f"{organization} is not in the directory.")
        if set(key) != entry.thumbprints:
            raise ValueError(
                "These are not the keys that the directory names: nothing was changed. Ask again, and tell "
                "the convening body if the partner is sure."
            )
        node.trust.pin_again(full)
        held = {"recipient": full, "keys": ", ".join(sorted(key))}
        with node.store.work() as work:
            audit.record(work, audit.Entry("pin", "U", "operator", details=held))
        tell(f"{entry.name} ({entry.id}) is held to the keys of the directory from now on.")


def forget(
    replaced: Annotated[
        bool,
        typer.Option("--anchor-replaced", help="The stolen anchor is taken out of this node's `anchors`."),
    ] = False,
    config: _Config = _NODE,
) -> None:
    """Forget which directories were used: only when the anchor was stolen and another is pinned in its place.

    Whoever has the anchor can sign a number so high that no true directory comes after it.
    """
    with said():
        if not replaced:
            raise ValueError("Nothing was forgotten: first pin the new anchor, and no other, in `anchors`.")
        store = open_store(settings.read(config))
        try:
            with store.work() as work:
                marks.forget(work, marks.DIRECTORY)
                directories.forget(work)
                audit.record(work, audit.Entry("forget", "D", "operator", details={"what": "directories"}))
        finally:
            store.close()
        tell("Which directories were used is forgotten; partners and their keys are not.")
        tell(
            "Restart the node. It takes the next directory that its anchors have signed, whatever its number."
        )


def _standing(trust: Trust) -> str:
    return {
        "in force": "in force",
        "grace": "expired; partners go on for a while",
        "over": "expired; nobody is trusted",
    }[trust.standing()]


def _lines(node: Node, partner: Partner) -> Iterator[str]:
    named, trusted = node.trust.directory.entry(partner.organization), node.trust.entry(partner.organization)
    called, state = partner.organization, "not trusted" if named else "not in the directory"
    if trusted is not None:
        called, state = f"{trusted.name} ({trusted.id})", trusted.status
    yield f"{called}: {state}, keys pinned {partner.since[:10]}"
    for one in sorted(partner.keys):
        yield f"  {one}"
    if partner.held_back and named is not None:
        # The new keys are not shown: whoever pins them is to hear them from the partner.
        yield "  The directory names other keys, and none of these has signed them. Ask the partner for its"
        yield "  keys, at a number that you had before, and then:"
        yield f"  waymeet directory pin {named.id} --key THUMBPRINT"
