"""`waymeet init`: a new node's folder, ready to be read, changed and served."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

import mappings
from gateway import clock
from gateway.initialise import (
    Name,
    Plan,
    agreement,
    publish_directory,
    write_agreement,
    write_anchor,
    write_node,
)

out = Console()
err = Console(stderr=True)

ISSUER = "https://directory.example.org"


class Kind(StrEnum):
    """What the agency is in law."""

    COVERED_ENTITY = "covered-entity"
    VICTIM_SERVICE_PROVIDER = "victim-service-provider"
    COMMUNITY_ORGANIZATION = "community-organization"


class System(StrEnum):
    """The shipped mappings to start from."""

    CASE_JSON = "case-json"
    SHELTER_CSV = "shelter-csv"
    HL7V2_REFERRAL = "hl7v2-referral"


def init(
    folder: Annotated[Path, typer.Argument(help="A folder that does not exist yet, or is empty.")],
    name: Annotated[str, typer.Option(help="The agency's name.")] = "Example Agency",
    kind: Annotated[
        Kind, typer.Option(help="Which law applies to its records.")
    ] = Kind.COMMUNITY_ORGANIZATION,
    system: Annotated[System, typer.Option(help="The form of its own records.")] = System.CASE_JSON,
    port: Annotated[int, typer.Option(help="Where it listens on this machine.")] = 8460,
    alias: Annotated[
        str, typer.Option(help="The neutral name that a victim service provider shows to partners.")
    ] = "Riverbend Office",
) -> None:
    """Write a commented configuration, keys, a practice directory and an example agreement."""
    if folder.exists() and any(folder.iterdir()):
        err.print(f"{folder} is not empty; nothing was written.", style="red", markup=False)
        raise typer.Exit(2)
    own = Name(f"{ISSUER}/Organization/own-agency", name, f"http://127.0.0.1:{port}", f"127.0.0.1:{port}")
    shown = Name(
        f"{ISSUER}/Organization/own-alias",
        alias,
        f"http://127.0.0.1:{port + 1}",
        f"127.0.0.1:{port + 1}",
        alias=True,
    )
    names = (own, shown) if kind is Kind.VICTIM_SERVICE_PROVIDER else (own,)
    partner = Name(
        f"{ISSUER}/Organization/example-food-pantry",
        "Example Food Pantry",
        f"http://127.0.0.1:{port + 9}",
        "",
        services=(("food-insecurity", "New Haven County", ("en", "es")),),
    )
    plan = Plan(
        name=name,
        kind=kind.value,
        names=names,
        system=system.value,
        writeback="folder: answers",
        recipients={"example-food-pantry": partner.organization},
    )
    entries = write_node(folder, plan)
    practice = folder / "practice-partner"
    entries += write_node(
        practice,
        Plan(
            "Example Food Pantry",
            "community-organization",
            (_listening(partner, port + 9),),
            "case-json",
            "folder: cases",
        ),
    )
    anchor = write_anchor(folder / "practice-convener")
    publish_directory([folder, practice], anchor, ISSUER, entries, 1, clock.now())
    content = agreement(names[-1], partner, consent_required=True, now=clock.now())
    write_agreement([folder, practice], content)
    _copy_sample(folder, system.value)
    out.print(f"Written: {folder}/", markup=False)
    out.print("  node.yaml          the configuration; every line says what it is for")
    out.print("  keys/              this node's keys, readable by you only")
    out.print(
        "  directory.jws      a practice directory: you and an example partner, signed by practice-convener/"
    )
    out.print("  agreements/        an example agreement with that partner")
    out.print("  sample/            a record and a release in the form of the chosen system")
    out.print("  practice-partner/  the example partner's own node, to try both ends on this machine")
    out.print("\nNext:")
    out.print(f"  waymeet serve --config {folder}/node.yaml", markup=False)


def _listening(partner: Name, port: int) -> Name:
    return Name(
        partner.organization,
        partner.name,
        partner.address,
        f"127.0.0.1:{port}",
        services=partner.services,
    )


def _copy_sample(folder: Path, system: str) -> None:
    sample = folder / "sample"
    sample.mkdir()
    for file in sorted((mappings.shipped(system).parent / "sample").iterdir()):
        content = file.read_bytes()
        for shipped_name in (b"harbor-food-pantry", b"river-street-housing"):
            content = content.replace(shipped_name, b"example-food-pantry")
        (sample / file.name).write_bytes(content)
