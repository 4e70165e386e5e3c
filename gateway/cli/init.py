"""`waymeet init`: a new node's folder, ready to be read, changed and served."""

from __future__ import annotations

import re
import secrets
import shutil
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from gateway import clock
from gateway.cli.said import out, said
from gateway.initialise import (
    TEMPLATES,
    Name,
    Plan,
    agreement,
    publish_directory,
    write_agreement,
    write_anchor,
    write_json,
    write_node,
)

ISSUER = "https://directory.example.org"
_ORGANIZATION = re.compile(r"https?://[^/\s?#]+(?:/[^\s?#]+)?/Organization/[A-Za-z0-9.-]{1,64}")
PARTNER_AFTER = 9  # the partner's port, so many above the node's own


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
    port: Annotated[
        int, typer.Option(min=1, max=65535 - PARTNER_AFTER, help="Where it listens on this machine.")
    ] = 8460,
    organization: Annotated[
        str, typer.Option(help="Its URL in the directory: the issuer, /Organization/, and an id.")
    ] = f"{ISSUER}/Organization/own-agency",
    alias: Annotated[
        str, typer.Option(help="The neutral name that a victim service provider shows to partners.")
    ] = "Riverbend Office",
) -> None:
    """Write a commented configuration, keys, a practice directory and an example agreement."""
    with said():
        if not _ORGANIZATION.fullmatch(organization):
            raise ValueError(
                "--organization is the directory's issuer, /Organization/, and an id of letters, digits, "
                f"dots and dashes: {ISSUER}/Organization/your-agency"
            )
        if folder.exists() and any(folder.iterdir()):
            raise ValueError(f"{folder} is not empty; nothing was written.")
        _write(folder, name, kind, system, port, organization, alias)


def _write(
    folder: Path, name: str, kind: Kind, system: System, port: int, organization: str, alias: str
) -> None:
    issuer = organization.partition("/Organization/")[0]
    own = Name(organization, name, f"http://127.0.0.1:{port}", f"127.0.0.1:{port}")
    shown = Name(
        f"{issuer}/Organization/{secrets.token_hex(4)}",  # nothing in it may lead to the agency
        alias,
        f"http://127.0.0.1:{port + 1}",
        f"127.0.0.1:{port + 1}",
        alias=True,
    )
    names = (own, shown) if kind is Kind.VICTIM_SERVICE_PROVIDER else (own,)
    partner = Name(
        f"{issuer}/Organization/example-food-pantry",
        "Example Food Pantry",
        f"http://127.0.0.1:{port + PARTNER_AFTER}",
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
    for one, entry in zip(names, entries, strict=True):  # apart: an alias may be registered on its own
        write_json(folder / f"directory-entry-{one.id}.json", [entry])
    practice = folder / "practice-partner"
    entries += write_node(
        practice,
        Plan(
            "Example Food Pantry",
            "community-organization",
            (_listening(partner, port + PARTNER_AFTER),),
            "case-json",
            "folder: cases",
        ),
    )
    anchor = write_anchor(folder / "practice-convener")
    publish_directory([folder, practice], anchor, issuer, entries, 1, clock.now())
    content = agreement((names[-1], folder), (partner, practice), now=clock.now())
    write_agreement([folder, practice], content)
    shutil.copytree(TEMPLATES / "samples" / system.value, folder / "sample")
    record = next(file.name for file in sorted((folder / "sample").glob("referral.*")))
    config = f"--config {folder}/node.yaml"
    for line in (
        f"Written: {folder}/",
        "  node.yaml          the configuration; every line says what it is for",
        "  keys/              this node's keys, readable by you only",
        "  clients/           who of your own may hand in records: for now, this command line",
        "  directory/         a practice directory: you and an example partner (see practice-convener/)",
        "  directory-entry-*  what a real convening body needs of you, one file for each of your names",
        "  agreements/        an example agreement with that partner",
        "  sample/            a record in your system's form, and the answers that make a release for it",
        "  practice-partner/  the example partner's own node, to try both ends on this machine",
        "",
        "Next, the two nodes, each in a terminal of its own:",
        f"  waymeet serve {config}",
        f"  waymeet serve --config {folder}/practice-partner/node.yaml",
        "then a release, a referral, and where it stands:",
        f"  waymeet consent new {config} --from {folder}/sample/release.json",
        f"  waymeet send {config} {folder}/sample/{record}",
        f"  waymeet status {config}",
    ):
        out.print(line, markup=False, highlight=False, soft_wrap=True)


def _listening(partner: Name, port: int) -> Name:
    return Name(
        partner.organization,
        partner.name,
        partner.address,
        f"127.0.0.1:{port}",
        services=partner.services,
    )
