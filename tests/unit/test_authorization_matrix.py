"""Every address of a node and everybody who may come to it. tests/cases/authorization.yaml says who
gets what.

Whatever an address does besides is proven elsewhere; here it is whether somebody gets as far as that.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from callers_world import PLACES, Doorstep, Place

from gateway.node import PARTNER_SCOPES
from gateway.notification import subscription_request
from gateway.oauth.scopes import grants, parse

CASES = yaml.safe_load((Path(__file__).parents[1] / "cases" / "authorization.yaml").read_text("utf-8"))
CALLERS: dict[str, str] = CASES["callers"]
ADDRESSES: dict[str, dict[str, Any]] = CASES["addresses"]
# Those whom nothing has happened to yet, and those whom something happens to, in order.
HAPPENS = ("suspended system", "partner without agreement", "suspended partner", "late partner")
FIRST = [caller for caller in CALLERS if caller not in (*HAPPENS, "late system")]

Row = dict[str, int]


@pytest.fixture(scope="module", params=PLACES.values(), ids=lambda place: place.name)
def visited(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Visited]:
    found = Visited(Doorstep(tmp_path_factory.mktemp("doorstep"), request.param))
    yield found
    found.doorstep.close()


class Visited:
    """One place, and what everybody got at every address of the table."""

    def __init__(self, doorstep: Doorstep) -> None:
        self.doorstep = doorstep
        self.place: Place = doorstep.place
        self.token = doorstep.ask_token_as_partner()
        self.rows: dict[str, Row] = {address: {} for address in ADDRESSES}
        self._all(*FIRST)
        for caller in HAPPENS:
            doorstep.take_away(caller)
            self._all(caller)
        self._all("late system")

    def _all(self, *callers: str) -> None:
        for address, said in ADDRESSES.items():
            method, path = address.split(" ")
            for caller in callers:
                self.rows[address][caller] = self.doorstep.visit(
                    method,
                    _filled(path, self.doorstep.known),
                    caller,
                    said.get("scope", ""),
                    _body(said.get("send"), self.doorstep),
                )


def _filled(path: str, known: Mapping[str, str]) -> str:
    """The path to what the pantry was referred."""
    kind = path.split("/")[2] if path.startswith("/fhir/") else ""
    return path.format(id=known.get(kind, ""), system="shelter-csv", type="Patient")


def _body(said: Any, doorstep: Doorstep) -> Any:
    known = doorstep.known
    if said == "subscription":
        return subscription_request(
            f"{known['at']}/notifications", doorstep.source.names["harbor-food-pantry"].organization
        )
    match said:
        case dict():
            return {name: _body(value, doorstep) for name, value in said.items()}
        case list():
            return [_body(value, doorstep) for value in said]
        case str():
            return said.format_map(known) if "{" in said else said
    return said


def expected(place: Place, address: str) -> Row:
    """The row of an address in a place."""
    said = ADDRESSES[address]
    if place.name in said.get("without", ()):
        # Where the path is also that of something that can be read, it is the method that there is not.
        return dict.fromkeys(CALLERS, 405 if address.startswith("POST /fhir/{type}/") else 404)
    general = CASES["classes"][said["class"]]
    words = general | said | CASES["places"][place.name].get(said["class"], {})
    meant = {"answer": said["answer"], "another": said.get("another", said["answer"])}
    row = {caller: words.get(caller, general["everybody"]) for caller in CALLERS}
    return {caller: meant.get(status, status) for caller, status in row.items()}


@pytest.mark.parametrize("address", ADDRESSES)
def test_everybody_gets_what_the_table_says(visited: Visited, address: str) -> None:
    assert visited.rows[address] == expected(visited.place, address)


def test_every_address_of_the_application_is_in_the_table(visited: Visited) -> None:
    """A new address without a decision on who may call it fails here; so does a decision on none."""
    doorstep = visited.doorstep
    for organization, guard in doorstep.apps.items():
        alias = doorstep.node.identities[organization].alias
        place = "alias" if alias else visited.place.name if visited.place.own else "victim service provider"
        there = {f"{method} {route.path}" for route in guard._app.routes for method in route.methods}
        assert there == {one for one, said in ADDRESSES.items() if place not in said.get("without", ())}


def test_each_row_shows_that_the_address_lets_somebody_in(visited: Visited) -> None:
    """Where everybody is turned away, nothing would be proven by turning away the others."""
    for address, row in visited.rows.items():
        said = ADDRESSES[address]
        here = visited.place.name not in said.get("without", ())
        if here and (said["class"] != "partner" or visited.place.partners):
            assert not {401, 403, 404} & {said["answer"]} or said["class"] == "open", address
            assert said["answer"] in row.values(), address


def test_the_scope_of_an_address_is_one_that_partners_have() -> None:
    for address, said in ADDRESSES.items():
        if said["class"] == "partner":
            asked = parse(said["scope"])
            assert grants(PARTNER_SCOPES, asked.type, *asked.letters), address


def test_a_partner_gets_a_token_only_under_a_name_that_has_partners(visited: Visited) -> None:
    """Never under a victim service provider's own: nobody there is told that it takes part at all."""
    assert visited.token == ((200, "") if visited.place.partners else (400, "invalid_client"))
