"""The three agencies of the demo: their folders, names, agreements and directory."""

from __future__ import annotations

import contextlib
import random
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

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

ISSUER = "https://directory.example.org"
HOSPITAL, PANTRY, SHELTER = "elm-city-hospital", "harbor-food-pantry", "safe-haven"
ALIAS = "maple-street-office"
NAMES = {
    HOSPITAL: "Elm City Hospital",
    PANTRY: "Harbor Food Pantry",
    SHELTER: "Safe Haven",
    ALIAS: "Maple Street Office",
}
SYSTEMS = {HOSPITAL: "hl7v2-referral", PANTRY: "case-json", SHELTER: "shelter-csv"}


@dataclass(frozen=True, slots=True)
class Agency:
    """One agency: the node's folder, and beside it the folder that stands for its own system."""

    id: str
    name: str
    folder: Path
    own_system: Path

    @property
    def config(self) -> Path:
        """The node's configuration file."""
        return self.folder / "node.yaml"


def organization(agency: str) -> str:
    """An agency's directory URL."""
    return f"{ISSUER}/Organization/{agency}"


def found(
    folder: Path,
    listens: Mapping[str, int],
    webhook: str,
    addresses: Mapping[str, int] | None = None,
) -> dict[str, Agency]:
    """Write the three nodes under `folder`; returns the agencies by id.

    listens: loopback port of each name. addresses: the port that the directory names instead, where
    something stands in between. webhook: where the pantry's own system takes JSON.
    """
    public = {**listens, **(addresses or {})}
    services = (("food-insecurity", "New Haven County", ("en", "es")),)
    names = {
        agency: Name(
            organization(agency),
            NAMES[agency],
            f"http://127.0.0.1:{public[agency]}",
            f"127.0.0.1:{listens[agency]}",
            alias=agency == ALIAS,
            services=services if agency == PANTRY else (),
        )
        for agency in NAMES
    }
    agencies = {
        agency: Agency(agency, NAMES[agency], folder / agency / "node", folder / agency / "own-system")
        for agency in (HOSPITAL, PANTRY, SHELTER)
    }
    plans = {
        HOSPITAL: ("covered-entity", (names[HOSPITAL],)),
        PANTRY: ("community-organization", (names[PANTRY],)),
        SHELTER: ("victim-service-provider", (names[SHELTER], names[ALIAS])),
    }
    entries = []
    for agency, (kind, own_names) in plans.items():
        to_folder = f"folder: {agencies[agency].own_system}"
        plan = Plan(
            name=NAMES[agency],
            kind=kind,
            names=own_names,
            system=SYSTEMS[agency],
            writeback=f"webhook: {webhook}" if agency == PANTRY else to_folder,
            recipients={other: organization(other) for other in (HOSPITAL, PANTRY) if other != agency},
            grace_minutes=0,
        )
        entries += write_node(agencies[agency].folder, plan)
    _agree(agencies, names)
    folders = [agency.folder for agency in agencies.values()]
    publish_directory(folders, write_anchor(folder / "convener"), ISSUER, entries, 1, clock.now())
    return agencies


def _agree(agencies: Mapping[str, Agency], names: Mapping[str, Name]) -> None:
    """Hospital and alias may refer to the pantry, and the alias to the hospital. Each party holds a copy."""
    home = {HOSPITAL: HOSPITAL, PANTRY: PANTRY, ALIAS: SHELTER}
    for source, recipient in ((HOSPITAL, PANTRY), (ALIAS, PANTRY), (ALIAS, HOSPITAL)):
        folders = [agencies[home[one]].folder for one in (source, recipient)]
        parties = ((names[source], folders[0]), (names[recipient], folders[1]))
        write_agreement(folders, agreement(*parties, now=clock.now()))


def free_ports(count: int) -> list[int]:
    """Loopback ports that nobody uses at this moment, below those that the system gives to callers."""
    found: list[int] = []
    while len(found) < count:
        port = random.randrange(20_000, 32_000)  # noqa: S311 - any will do
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            if port not in found:
                found.append(port)
    return found
