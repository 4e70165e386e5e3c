"""The demo's network with one more road: the hospital refers to the shelter, which it knows by its alias.

The shelter gets a second system that speaks JSON, for what is referred to it and what its people answer.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gateway import clock
from gateway.demo.agencies import ALIAS, HOSPITAL, NAMES, SHELTER, Agency, organization
from gateway.initialise import CLIENT, Name, agreement, write_agreement

CLIENTS = "https://waymeet.example/fhir/sid/case-json-client"
ADULT = "1984-07-30"
ANSWERS = "case-json"


def let_the_shelter_receive(agencies: Mapping[str, Agency], quiet_folder: Path) -> None:
    """Before the nodes start: configuration and agreement. quiet_folder: where its people get records."""
    hospital, shelter = agencies[HOSPITAL], agencies[SHELTER]
    _change(hospital.config, "    recipients:\n", f"    recipients:\n      {ALIAS}: {organization(ALIAS)}\n")
    _change(shelter.config, "    inbox: true\n", "    inbox: false\n")
    _change(
        shelter.config,
        "\n# Who of your own may",
        f"  {ANSWERS}:\n    mapping: case-json\n    inbox: true\n"
        f"    writeback:\n      folder: {quiet_folder}\n"
        f"    recipients:\n      {HOSPITAL}: {organization(HOSPITAL)}\n\n# Who of your own may",
    )
    client = shelter.folder / "clients" / f"{CLIENT}.json"
    _change(client, '"shelter-csv"', f'"shelter-csv", "{ANSWERS}"')
    folders = [hospital.folder, shelter.folder]
    parties = [(Name(organization(one), NAMES[one], "", ""), at.folder) for one, at in _parties(agencies)]
    write_agreement(folders, agreement(parties[0], parties[1], now=clock.now()))


def answer(referral: str, status: str, **said: Any) -> bytes:
    """What the shelter's people answer to a referral that was made to them."""
    return json.dumps({"referral": referral, "status": status, **said}).encode()


def release_back(client: str, **answers: Any) -> dict[str, Any]:
    """A client's release to the hospital: it may learn where her referral stands."""
    return {
        "patient": {"system": CLIENTS, "value": client},
        "recipients": [HOSPITAL],
        "items": ["referral-status"],
        "signed": "Paper form in the locked cabinet",
    } | answers


def _parties(agencies: Mapping[str, Agency]) -> list[tuple[str, Agency]]:
    return [(HOSPITAL, agencies[HOSPITAL]), (ALIAS, agencies[SHELTER])]


def _change(file: Path, old: str, new: str) -> None:
    text = file.read_text("utf-8")
    assert text.count(old) == 1, old
    file.write_text(text.replace(old, new), "utf-8")
