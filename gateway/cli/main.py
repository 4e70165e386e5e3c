"""The command line: `waymeet`. Thin: every command calls one step and prints what came of it."""

from __future__ import annotations

import asyncio
import logging
import sys
from pathlib import Path
from typing import Annotated
from uuid import uuid4

import typer

from gateway import audit, outbox, own_system, permission, serve, settings
from gateway.cli import agreement as cli_agreement
from gateway.cli import client as cli_client
from gateway.cli import consent as cli_consent
from gateway.cli import decide as cli_decide
from gateway.cli import directory as cli_directory
from gateway.cli import disclosures as cli_disclosures
from gateway.cli import exclude as cli_exclude
from gateway.cli import explain as cli_explain
from gateway.cli import init as cli_init
from gateway.cli import keys as cli_keys
from gateway.cli import map as cli_map
from gateway.cli import profiles as cli_profiles
from gateway.cli import show
from gateway.cli import validate as cli_validate
from gateway.cli.said import err, out, said, tell
from gateway.node import Node, opened
from gateway.recording import Ask

app = typer.Typer(
    name="waymeet",
    help="A node of a federated referral network. Start with `waymeet demo` or `waymeet init DIR`.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
Config = Annotated[
    Path,
    typer.Option("--config", "-c", envvar="WAYMEET_CONFIG", help="The node's configuration file."),
]
DEFAULT_CONFIG = Path("node.yaml")


@app.command()
def demo(
    keep: Annotated[bool, typer.Option("--keep", help="Leave the nodes up; Ctrl-C stops them.")] = False,
) -> None:
    """Three agencies, four referrals, on this machine: see what is disclosed, what is not, and why."""
    from gateway.demo import stories  # the demo is not needed to run a node

    raise typer.Exit(stories.run(out, keep=keep))


app.command("init")(cli_init.init)


@app.command("serve")
def serve_node(config: Config = DEFAULT_CONFIG) -> None:
    """Run the node until Ctrl-C."""
    logging.basicConfig(
        level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    with said():
        for talkative in ("httpx2", "alembic", "uvicorn"):  # httpx2 would log whole addresses
            logging.getLogger(talkative).setLevel(logging.WARNING)
        serve.run(serve.open_node(settings.read(config)))


@app.command()
def send(
    record: Annotated[Path, typer.Argument(help="A record of one of your systems: a file.")],
    config: Config = DEFAULT_CONFIG,
    system: Annotated[
        str,
        typer.Option(
            "--system", "-s", help="Which of your systems it comes from; needed if you have several."
        ),
    ] = "",
) -> None:
    """Hand a local record to the node: a new referral, or your answer to one.

    Exit status: 0 all of it was taken, 1 the node refused some of it, 2 it could not be handed over.
    """
    with said():
        found = settings.read(config)
        name = system or next(iter(found.systems))
        body = own_system.read_record(record, found.body_limit)
        answer = asyncio.run(own_system.send_record(found, name, body, record.suffix.lower()))
        accepted = show.answer(out, err, answer)
    raise typer.Exit(0 if accepted else 1)


@app.command()
def status(
    referral: Annotated[str, typer.Argument(help="Its id, for the whole story of one.")] = "",
    config: Config = DEFAULT_CONFIG,
) -> None:
    """Where referrals stand; with an id, who saw what of one of yours, and why."""
    with said(), opened(config) as node:
        if not (show.referral(out, node, referral) if referral else show.referrals(out, node)):
            raise ValueError("There is no referral with this id here. `waymeet status` lists them all.")


app.command("explain")(cli_explain.explain)


@app.command()
def revoke(
    consent: Annotated[str, typer.Argument(help="The id that `waymeet consent new` gave.")],
    config: Config = DEFAULT_CONFIG,
) -> None:
    """Withdraw a consent: every open referral that rests on it is cancelled, at once."""
    with said(), opened(config) as node:
        cancelled = permission.withdraw_consent(node, _operator(node), consent)
        out.print(f"The consent is withdrawn. Cancelled referrals: {len(cancelled)}.")
        for one in cancelled:
            out.print(f"  {one}")
        tell("What a partner has already written into its own system stays there until it deletes it.")


@app.command()
def cancel(
    referral: Annotated[str, typer.Argument(help="The id of a referral that you sent.")],
    config: Config = DEFAULT_CONFIG,
) -> None:
    """Take back a referral that you sent and that is not closed."""
    with said(), opened(config) as node:
        permission.cancel_referral(node, _operator(node), referral)
        out.print(f"Referral {referral} is cancelled.", markup=False)


app.command("exclude")(cli_exclude.command)
app.command("disclosures")(cli_disclosures.disclosures)


@app.command()
def retry(
    number: Annotated[int, typer.Argument(help="The number that `waymeet status` shows.")],
    config: Config = DEFAULT_CONFIG,
    drop: Annotated[bool, typer.Option("--drop", help="Let go of it for good instead.")] = False,
) -> None:
    """Try again what was given up."""
    with said(), opened(config) as node, node.store.work() as work:
        done = outbox.drop(work, number) if drop else outbox.retry(work, number)
        if not done:
            raise ValueError(f"Nothing with the number {number} was given up: see `waymeet status`.")
        tell("Done.")


@app.command("audit")
def check_audit(config: Config = DEFAULT_CONFIG) -> None:
    """Check that nobody has rewritten the log: every entry must follow from the one before it."""
    with said(), opened(config) as node, node.store.work() as work:
        broken = audit.first_break(work)
        count = audit.length(work)
    if broken is None:
        out.print(f"{count} entries, each follows from the one before it.", highlight=False)
    else:
        err.print(f"Entry {broken} does not follow from the one before it.", style="red")
    raise typer.Exit(0 if broken is None else 1)


app.command("decide")(cli_decide.command)
app.command("validate")(cli_validate.command)
cli_consent.app.command("show")(cli_disclosures.show)
app.add_typer(cli_consent.app, name="consent")
app.add_typer(cli_agreement.app, name="agreement")
app.add_typer(cli_map.app, name="map")
app.add_typer(cli_profiles.app, name="profiles")
app.add_typer(cli_directory.app, name="directory")
app.add_typer(cli_client.app, name="client")
app.add_typer(cli_keys.app, name="keys")


def _operator(node: Node) -> Ask:
    return Ask("operator", node.home, str(uuid4()))


def main() -> None:
    """The console script."""
    app()


if __name__ == "__main__":
    main()
