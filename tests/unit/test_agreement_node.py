"""A node and the agreements in its folder: who is a partner, what a change does, what is verified when."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from unserved import agencies_in

from consent import agreement, agreement_signing, agreement_status
from consent.agreement_book import listing
from gateway import clock, settings
from gateway.demo.agencies import HOSPITAL, PANTRY, Agency, organization
from gateway.node import Node
from gateway.signing import keys


@pytest.fixture
def agencies(tmp_path: Path) -> dict[str, Agency]:
    return agencies_in(tmp_path)


@pytest.fixture
def node(agencies: dict[str, Agency]) -> Iterator[Node]:
    opened = Node(settings.read(agencies[HOSPITAL].config))
    yield opened
    opened.close()


def to_pantry(agencies: dict[str, Agency]) -> Path:
    return agencies[HOSPITAL].folder / "agreements" / f"{HOSPITAL}-{PANTRY}.json"


def rewrite(path: Path, document: dict[str, Any]) -> None:
    path.write_text(json.dumps(document))


def is_partner(node: Node) -> bool:
    """Whether the pantry gets tokens here, notifications and referrals: all three ask the same."""
    listed = organization(PANTRY) in {one.organization for one in node.partners(node.home.organization)}
    assert (node.registration(node.home, organization(PANTRY)) is not None) == listed
    return listed


def test_what_the_demo_writes_is_signed_by_both_with_the_keys_of_their_nodes(
    agencies: dict[str, Agency],
) -> None:
    for agency in agencies.values():
        for path in (agency.folder / "agreements").iterdir():
            held = agreement.load(path)
            assert held.signed and held.status == "active"
            assert [one.organization for one in agreement_signing.verify(held.document)] == [
                one.organization for one in held.members
            ]


@pytest.mark.parametrize(
    "change",
    [
        lambda document: document | {"signatures": document["signatures"][:1]},
        lambda document: document | {"signatures": []},
        lambda document: document | {"title": "Another"},
        lambda document: document | {"purposes": ["TREAT"]},
        lambda document: document | {"status": "draft"},
    ],
)
def test_without_every_partys_signature_there_is_no_partner(
    agencies: dict[str, Agency], node: Node, change: Any
) -> None:
    assert is_partner(node)
    path = to_pantry(agencies)
    good = json.loads(path.read_text())
    rewrite(path, change(good))
    assert node.refresh()
    assert not is_partner(node)
    rewrite(path, good)
    assert node.refresh()
    assert is_partner(node)


def test_a_partners_signed_suspension_is_taken_up_while_the_node_runs(
    agencies: dict[str, Agency], node: Node
) -> None:
    path = to_pantry(agencies)
    key = keys.load(agencies[PANTRY].folder / "keys" / f"{PANTRY}.pem")
    document = json.loads(path.read_text())
    stopped = agreement_status.state(document, organization(PANTRY), "suspended", key, clock.now())
    rewrite(path, stopped | {"status": "active"})  # whoever passes it on says that it is active
    assert node.refresh()
    assert not is_partner(node)


def test_the_same_agreement_twice_changes_nothing_and_is_said(
    agencies: dict[str, Agency], node: Node, caplog: pytest.LogCaptureFixture
) -> None:
    path = to_pantry(agencies)
    rewrite(path.with_name("a-copy.json"), json.loads(path.read_text()))
    assert not node.refresh()
    assert is_partner(node)
    assert "on file already" in caplog.text


def test_no_look_up_verifies_a_signature_once_the_node_is_open(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(_: Any) -> Any:
        raise AssertionError("a signature is verified")

    monkeypatch.setattr(agreement, "verify", never)
    (held,) = node.agreements.between(organization(HOSPITAL), organization(PANTRY))
    assert held.signed
    assert is_partner(node)


def test_a_folder_that_takes_long_to_look_through_is_looked_through_less_often(
    agencies: dict[str, Agency], node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]

    def slow(folder: Path) -> Any:
        now[0] += 0.5
        return listing(folder)

    monkeypatch.setattr("gateway.node.listing", slow)
    monkeypatch.setattr("gateway.node.time.monotonic", lambda: now[0])
    assert not node.refresh()
    to_pantry(agencies).unlink()
    now[0] += 20
    assert not node.refresh()
    assert is_partner(node)
    now[0] += 5
    assert node.refresh()
    assert not is_partner(node)
