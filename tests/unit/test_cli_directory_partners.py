"""`waymeet directory partners` and `pin`: whom a node says it trusts, and who takes new keys by hand."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import select
from typer.testing import CliRunner

from gateway import clock
from gateway.cli.main import app
from gateway.initialise import write_json
from gateway.node import opened
from gateway.signing import keys
from gateway.store.schema import audit
from gateway.trust import suspensions
from gateway.trust.directory import Directory
from gateway.trust.directory_keys import public_key
from gateway.trust.directory_signing import publish
from gateway.trust.succession import hand_over

PARTNER = "https://directory.example.org/Organization/example-food-pantry"


class World:
    """A node as `waymeet init` writes it, whose practice directory is signed anew."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.anchor = keys.load(folder / "practice-convener" / "anchor.pem")
        self.suspender = keys.generate()
        self.directory = Directory.read(
            folder / "directory", [public_key(folder / "keys" / "anchor.pub.json")], clock.now()
        )
        self.entries: dict[str, dict[str, Any]] = {
            one["organization"]: one
            for text in self.directory.texts().values()
            for one in msgspec.json.decode(text)
        }

    def signed(self, **how: Any) -> None:
        """The next directory, in the node's folder."""
        before, now = self.directory, clock.now()
        self.directory = publish(
            self.folder / "directory",
            before.issuer,
            list(self.entries.values()),
            self.anchor,
            sequence=before.sequence + 1,
            now=how.pop("now", now),
            previous=(before.digest, *before.previous),
            **how,
        )

    def said(self, command: str, *arguments: str, status: int = 0) -> str:
        config = ("--config", str(self.folder / "node.yaml"))
        done = CliRunner().invoke(app, ["directory", command, *arguments, *config])
        assert done.exit_code == status, done.output
        return done.output

    def written_down(self, act: str) -> int:
        """How many entries of this kind the node's log has."""
        with opened(self.folder / "node.yaml") as node, node.store.work() as work:
            events = work.tx.execute(select(audit.c.event)).scalars().all()
        return sum(f'"{act}"' in event for event in events)


@pytest.fixture
def world(tmp_path: Path) -> World:
    done = CliRunner().invoke(app, ["init", str(tmp_path / "node")])
    assert done.exit_code == 0, done.output
    return World(tmp_path / "node")


def test_partners_are_shown_with_the_keys_that_they_are_held_to(world: World) -> None:
    said = world.said("partners")
    assert "The directory is in force: number 1" in said
    assert "Example Food Pantry (example-food-pantry): active, keys pinned" in said
    assert world.entries[PARTNER]["jwks"]["keys"][0]["kid"] in said
    assert "own-agency" not in said  # one is no partner of oneself


def test_keys_that_an_old_one_has_signed_are_taken_without_asking(world: World) -> None:
    world.said("partners")
    new = keys.generate()
    old = keys.load(world.folder / "practice-partner" / "keys" / "example-food-pantry.pem")
    jwks = keys.public_jwks(new)
    world.entries[PARTNER] |= {
        "jwks": jwks,
        "succession": [hand_over(PARTNER, jwks, old, clock.now())],
    }
    world.signed()
    assert new.thumbprint() in world.said("partners")


def test_keys_on_nobodys_word_are_taken_by_hand_only_after_asking(world: World) -> None:
    world.said("partners")
    old, new = world.entries[PARTNER]["jwks"]["keys"][0]["kid"], keys.generate()
    world.entries[PARTNER] |= {"jwks": keys.public_jwks(new)}
    world.signed()
    said = world.said("partners", status=1)
    assert "The directory names other keys, and none of these has signed them." in said
    assert old in said
    assert new.thumbprint() not in said
    wrong = keys.generate().thumbprint()
    assert "These are not the keys" in world.said("pin", PARTNER, "--key", wrong, status=2)
    assert "These are not the keys" in world.said("pin", PARTNER, "--key", old, status=2)
    assert old in world.said("partners", status=1)
    assert "held to the keys" in world.said("pin", "example-food-pantry", "--key", new.thumbprint())
    assert world.written_down("pin") == 1
    said = world.said("partners")
    assert new.thumbprint() in said
    assert old not in said


def test_who_is_not_in_the_directory_is_not_pinned(world: World) -> None:
    assert "nobody is not in the directory" in world.said("pin", "nobody", "--key", "x", status=2)


def test_a_suspended_partner_is_shown_as_that(world: World) -> None:
    world.signed(suspender=keys.public_jwk(world.suspender))
    said = world.said("partners", status=1)
    assert "Alarm: there is no suspension list in force" in said
    text = suspensions.sign(
        world.directory.issuer, [PARTNER], world.suspender, sequence=1, now=clock.now(), hours=1
    )
    (world.folder / "directory" / "suspensions.jws").write_text(text)
    said = world.said("partners")
    assert "Suspension list: number 1, in force" in said
    assert "Example Food Pantry (example-food-pantry): suspended" in said


def test_an_expired_directory_is_said_to_be(world: World) -> None:
    world.said("partners")
    world.signed(now=clock.now() - timedelta(days=8))
    said = world.said("partners", status=1)
    assert "The directory is expired; partners go on for a while" in said
    assert "Example Food Pantry (example-food-pantry): active" in said


def test_a_partner_that_left_is_shown_as_that(world: World) -> None:
    world.said("partners")
    del world.entries[PARTNER]
    world.signed()
    assert f"{PARTNER}: not in the directory" in world.said("partners")


def test_after_a_stolen_anchor_the_true_directory_is_taken_again(world: World) -> None:
    """Its thief has signed the highest number that there is; then the node pins another anchor."""
    publish(
        world.folder / "directory",
        world.directory.issuer,
        list(world.entries.values()),
        world.anchor,
        sequence=2**53 - 1,
        now=clock.now(),
    )
    world.said("partners")
    world.anchor = keys.generate()
    write_json(world.folder / "keys" / "anchor.pub.json", keys.public_jwk(world.anchor))
    world.signed()  # number 2, as everybody else has it
    assert "is older than" in world.said("partners", status=2)

    assert "Nothing was forgotten" in world.said("forget", status=2)
    assert "is older than" in world.said("partners", status=2)
    assert "is forgotten" in world.said("forget", "--anchor-replaced")
    said = world.said("partners")
    assert "number 2" in said and "keys pinned" in said
