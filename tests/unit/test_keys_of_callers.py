"""What a node remembers of the key sets that its partners have signed, in its store."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from unserved import agencies_in

from gateway import clock, settings
from gateway.calling.client import Answer
from gateway.demo.agencies import HOSPITAL, PANTRY, SHELTER, organization
from gateway.keys_of_callers import KeysOfCallers
from gateway.node import Node
from gateway.oauth.key_sources import KeySource, KeysUnavailable
from gateway.signing import keys
from gateway.signing.operational_jwks import signed

FEDERATION, TAKEN_BACK, CURRENT = (keys.generate() for _ in range(3))
HEADERS = {"cache-control": "no-store"}


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return agencies_in(tmp_path)[HOSPITAL].config


@pytest.fixture
def node(config: Path) -> Iterator[Node]:
    opened = Node(settings.read(config))
    yield opened
    opened.close()


class Partner:
    """A partner's node, or whoever answers in its place."""

    def __init__(self, name: str = PANTRY) -> None:
        self.organization = organization(name)
        self.source = KeySource(
            keys.public_jwks(FEDERATION), f"https://{name}.example.org/keys.jws", self.organization
        )
        self.body = b""

    def publish(self, *published: Any, hours: int) -> None:
        """A set that was signed so many hours ago."""
        moment = clock.now() - timedelta(hours=hours)
        self.body = signed(published, FEDERATION, self.organization, moment, timedelta(days=3))

    async def fetch(self, _url: str, _headers: Mapping[str, str], **_how: bool) -> Answer:
        return Answer(200, HEADERS, self.body)

    def kids(self, node: Node, key: Any) -> list[str]:
        """What a process of this node, just started, finds by the name of `key`."""
        started = KeysOfCallers(node, self)  # type: ignore[arg-type]
        found = asyncio.run(started.keys(self.source, key.thumbprint(), "EC"))  # type: ignore[arg-type]
        return [one["kid"] for one in found]


def test_a_restart_does_not_bring_back_a_key_that_was_taken_back(config: Path, node: Node) -> None:
    """Whoever answers in the partner's place has a set of two hours ago, good for days yet."""
    pantry = Partner()
    pantry.publish(CURRENT, hours=1)
    assert pantry.kids(node, CURRENT) == [CURRENT.thumbprint()]
    node.close()

    again = Node(settings.read(config))
    pantry.publish(TAKEN_BACK, CURRENT, hours=2)
    for key in (TAKEN_BACK, CURRENT):
        with pytest.raises(KeysUnavailable):
            pantry.kids(again, key)
    pantry.publish(CURRENT, hours=1)
    assert pantry.kids(again, CURRENT) == [CURRENT.thumbprint()]
    again.close()


def test_what_one_partner_has_signed_says_nothing_of_another(node: Node) -> None:
    pantry, shelter = Partner(), Partner(SHELTER)
    pantry.publish(CURRENT, hours=1)
    shelter.publish(CURRENT, hours=2)
    assert pantry.kids(node, CURRENT) == shelter.kids(node, CURRENT) == [CURRENT.thumbprint()]


def test_what_the_partner_has_not_signed_is_not_remembered(node: Node) -> None:
    pantry = Partner()
    moment = clock.now() + timedelta(minutes=4)
    pantry.body = signed([CURRENT], keys.generate(), pantry.organization, moment, timedelta(days=3))
    with pytest.raises(KeysUnavailable):
        pantry.kids(node, CURRENT)
    pantry.publish(CURRENT, hours=1)
    assert pantry.kids(node, CURRENT) == [CURRENT.thumbprint()]
