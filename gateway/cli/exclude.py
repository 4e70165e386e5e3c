"""`waymeet exclude`: keep an organisation, or wherever someone works, out of one referral."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated
from uuid import uuid4

import typer

from gateway import excluding
from gateway.cli import show
from gateway.cli.said import out, said, tell
from gateway.node import opened
from gateway.recording import Ask


def command(
    referral: Annotated[str, typer.Argument(help="The id of a referral that you sent.")],
    organisations: Annotated[
        list[str] | None,
        typer.Argument(help="Who must never see it: a directory URL, or a name that you use for them."),
    ] = None,
    person: Annotated[
        str, typer.Option(help="Someone who must never see it; the organisations are where they work.")
    ] = "",
    nowhere: Annotated[
        bool, typer.Option("--nowhere", help="The person works at none of the organisations here.")
    ] = False,
    config: Annotated[
        Path, typer.Option("--config", "-c", envvar="WAYMEET_CONFIG", help="The node's configuration file.")
    ] = Path("node.yaml"),
) -> None:
    """Close a referral to organisations for good. One that has it already loses it, at once."""
    with said(), opened(config) as node:
        ask = Ask("operator", node.home, str(uuid4()))
        done = excluding.exclude(node, ask, referral, organisations or [], person, nowhere=nowhere)
        show.excluded(out, node, done.now)
        if done.cancelled:
            tell("It was with one of them already: that is cancelled, and they read nothing any more.")
            tell("What a partner has already written into its own system stays there.")
        for receipt in done.receipts:
            tell(f"Referral {receipt.referral}: {receipt.state}")
