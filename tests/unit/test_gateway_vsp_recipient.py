"""What is referred to a victim service provider its node accepts, and nothing its people say leaves alone.

The hospital knows it by its alias. What the hospital's node was asked, in which order, is the evidence.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hospital_world import Clock
from shelter_receives import ADULT
from shelter_world import World, make_world
from typer.testing import CliRunner

from gateway import audit, permission, pull
from gateway.cli.main import app
from gateway.demo.agencies import ALIAS, HOSPITAL, PANTRY, organization
from gateway.errors import Refused
from gateway.exchange import Exchange
from gateway.notification import Event
from gateway.quiet import may_tell, receives_under
from gateway.recording import Ask
from gateway.sending import Stopped
from gateway.store import inbound, kept
from gateway.store.inbound import Inbound
from gateway.store.vault import Erased

CLIENT: dict[str, Any] = {"client": {"id": "S-1", "birth_date": ADULT}}
NAMES = ("Safe Haven", "safe-haven", "shelter", "violence", "victim")


@pytest.fixture
def world(tmp_path: Path) -> World:
    return make_world(tmp_path)


@pytest.fixture
def taken(world: World) -> Inbound:
    """A referral that the shelter's node has learnt of; what that took is not looked at any more."""
    known = world.refer()
    world.pull(known)
    world.source.asked.clear()
    return known


# ------------------------------------------------------------------ the receipt


def test_the_node_accepts_by_itself_and_writes_nothing_else(world: World) -> None:
    known = world.refer()
    world.pull(known)

    (change,) = world.source.changes()
    before = json.loads(json.dumps(change)) | {"status": "requested"}
    assert change == before | {"status": "accepted"}
    assert "businessStatus" not in change and "statusReason" not in change and "output" not in change
    assert change["owner"] == {"reference": organization(ALIAS)}
    task = world.at_source(known)
    assert (task.status, dict(task.detail)) == ("accepted", {})
    said = json.dumps(world.source.asked)
    assert not [name for name in NAMES if name in said]


def test_its_people_get_offer_and_case_and_have_decided_nothing_yet(world: World) -> None:
    known = world.refer()
    world.pull(known)
    offer, case = world.records()
    assert (offer["type"], case["type"]) == ("offer", "case")
    assert offer["status"] == case["status"] == "offered"
    assert case["client"]["alias"] == "Mari"
    assert (world.own_view(known).status, world.own_view(known).expected) == ("accepted", "requested")


def test_the_receipt_waits_for_no_system_of_the_shelter(world: World) -> None:
    world.folder.write_text("a file where the folder should be")
    known = world.refer()
    with pytest.raises(Stopped):
        world.pull(known)
    assert world.at_source(known).status == "accepted"


def test_a_second_look_gives_no_second_receipt(world: World, taken: Inbound) -> None:
    world.pull(taken)
    assert world.source.changes() == []


def test_taken_back_before_the_receipt_it_is_simply_over(world: World) -> None:
    known = world.refer()
    permission.cancel_referral(world.hospital, world.operator, world.at_source(known).referral_id)
    world.pull(known)
    assert world.source.changes() == [] and world.records() == []


def test_nothing_is_referred_to_it_under_its_own_name(world: World) -> None:
    home = world.shelter.home
    assert not receives_under(world.shelter, home.organization)
    told = [Event("s", 1, "00000000-0000-4000-8000-00000000000a")]
    with pytest.raises(Refused) as refused:
        Exchange(world.shelter).learn(Ask(organization(HOSPITAL), home, "r"), told)
    assert refused.value.status == 404
    with world.shelter.store.work() as work:
        assert inbound.all_of(work) == []
    body = {"organization": home.organization, "source": organization(HOSPITAL)}
    for asks in (pull.subscribe, pull.poll):
        asyncio.run(asks(world.shelter, {home.organization: world.source}, body))
    assert world.source.asked == []


# ------------------------------------------------------------------ without a release


@pytest.mark.parametrize("status", ["accepted", "declined", "cancelled"])
def test_what_its_people_answer_is_kept_and_they_are_told_so(
    world: World, taken: Inbound, status: str
) -> None:
    said = world.answer(taken, status, reason={"text": "Our shelter on Orchard Lane is full."}, **CLIENT)
    assert said.state == "kept"
    assert said.decided[0] == "Kept here, not sent: Elm City Hospital is told nothing without a release."
    needed = " ".join(said.needed)
    assert "release" in needed and "Elm City Hospital" in needed and "where the referral stands" in needed
    assert world.send() == 0 and world.source.asked == []
    assert world.kept(taken) == 1
    assert world.at_source(taken).status == "accepted"


def test_its_own_view_goes_on_by_the_same_table_of_states(world: World, taken: Inbound) -> None:
    world.answer(taken, "accepted", **CLIENT)
    world.answer(taken, "started", **CLIENT)
    world.answer(taken, "completed", outcome="need met", **CLIENT)
    assert world.own_view(taken).expected == "completed"
    with pytest.raises(AssertionError, match="It is closed"):
        world.answer(taken, "started", at="later", **CLIENT)
    assert world.send() == 0 and world.source.asked == []


def test_an_answer_that_names_nobody_says_what_is_missing(world: World, taken: Inbound) -> None:
    said = world.answer(taken, "accepted")
    assert said.needed[0].startswith("The person's own number in your system")


RELEASES: list[tuple[str, dict[str, Any]]] = [
    ("names another recipient", {"recipients": [organization(PANTRY)]}),
    ("lists other items", {"items": ["need", "alias", "language"]}),
    ("lists only what came of it", {"items": ["referral-outcome"]}),
    ("is for another purpose", {"purpose": "HMARKT"}),
    ("has ended", {"start": "2020-01-01", "end": "2020-02-01"}),
    ("is another client's", {"patient": {"system": "https://elsewhere.example", "value": "S-1"}}),
]


@pytest.mark.parametrize(("which", "changes"), RELEASES, ids=[which for which, _ in RELEASES])
def test_a_release_that_is_not_for_this_lets_nothing_go(
    world: World, taken: Inbound, which: str, changes: dict[str, Any]
) -> None:
    world.release(**changes)
    assert world.answer(taken, "accepted", **CLIENT).state == "kept", which
    world.answer(taken, "started", **CLIENT)
    assert world.send() == 0 and world.source.asked == []


def test_without_the_age_a_release_must_be_signed_like_a_minors(world: World, taken: Inbound) -> None:
    world.release()
    said = world.answer(taken, "accepted", client={"id": "S-1"})
    assert said.state == "kept"
    assert any("date of birth" in one for one in said.needed)


def test_without_an_agreement_in_force_no_release_opens_a_way_back(world: World, taken: Inbound) -> None:
    world.release()
    (file,) = (world.shelter.settings.agreements).glob(f"{HOSPITAL}-{ALIAS}*.json")
    file.write_text(json.dumps(json.loads(file.read_text("utf-8")) | {"status": "suspended"}), "utf-8")
    assert world.shelter.refresh()
    said = world.answer(taken, "accepted", **CLIENT)
    assert said.state == "kept"
    assert "An agreement in force that lets Elm City Hospital refer people" in " ".join(said.needed)


def test_an_agreement_alone_lets_nothing_go(world: World, taken: Inbound) -> None:
    with world.shelter.store.work() as work:
        decision = may_tell(world.shelter, work, taken)
    assert (decision.permit, decision.code) == (False, "consent-missing")
    assert [one.outcome for one in decision.reasons if one.step == "agreement"] == ["pass"]


def test_what_is_kept_can_be_seen_by_its_people(world: World, taken: Inbound) -> None:
    world.answer(taken, "accepted", **CLIENT)
    config = str(world.shelter.settings.path)
    world.shelter.close()
    shown = CliRunner().invoke(app, ["status", taken.id, "--config", config])
    said = " ".join(shown.output.split())
    assert "received from Elm City Hospital: accepted" in said
    assert "The agency that referred sees: accepted. Answers kept here, not sent" in said
    assert "until a release lets them go: 1." in said
    assert "No consent of this person is on file." in said


# ------------------------------------------------------------------ other agencies


@pytest.mark.parametrize(("quiet", "state"), [(True, "kept"), (False, "in-progress")])
def test_any_agency_may_answer_quietly_and_none_other_must(world: World, quiet: bool, state: str) -> None:
    kinds = frozenset({"community-organization"})
    world.shelter.settings = replace(world.shelter.settings, kinds=kinds, quiet=quiet)
    assert receives_under(world.shelter, world.shelter.home.organization)
    known = world.refer()
    world.pull(known)
    assert (world.at_source(known).status == "accepted") == quiet
    world.answer(known, "accepted", **CLIENT)
    world.send()
    assert world.answer(known, "started", **CLIENT).state == state


# ------------------------------------------------------------------ with one


def test_with_a_release_the_state_is_told_and_no_words(world: World, taken: Inbound) -> None:
    world.release()
    world.answer(taken, "accepted", **CLIENT)
    said = world.answer(taken, "on hold", reason={"text": "Our shelter is full."}, **CLIENT)
    assert said.decided[0] == "On its way: Elm City Hospital is told where the referral stands."
    world.send()
    (change,) = world.source.changes()  # that its people accepted is nothing new there
    assert (change["status"], change["statusReason"]) == ("on-hold", {"text": "No reason is given."})
    assert world.kept(taken) == 0
    assert world.at_source(taken).status == "on-hold"


def test_a_no_after_the_receipt_is_told_as_cancelled(world: World, taken: Inbound) -> None:
    world.release()
    world.answer(taken, "declined", reason={"code": "no capacity", "text": "Full."}, **CLIENT)
    world.send()
    (change,) = world.source.changes()
    assert (change["status"], change["statusReason"]) == ("cancelled", {"text": "No reason is given."})
    assert world.own_view(taken).expected == "rejected"
    assert world.own_view(taken).subject_digest is None


def test_what_came_of_it_takes_an_item_of_its_own(world: World, taken: Inbound) -> None:
    world.release(items=["referral-status", "referral-outcome"])
    world.answer(taken, "accepted", **CLIENT)
    world.answer(taken, "started", service="food", **CLIENT)
    world.answer(taken, "completed", outcome="need met", **CLIENT)
    world.send()
    procedure, *_, last = world.source.changes()
    assert set(procedure) == {"resourceType", "status", "code", "basedOn", "subject"}
    assert [one["code"] for one in procedure["code"]["coding"]] and "text" not in procedure["code"]
    assert last["status"] == "completed"
    outcomes = [one for one in last["output"] if "valueCodeableConcept" in one]
    assert [one["valueCodeableConcept"]["coding"][0]["code"] for one in outcomes] == ["met"]
    assert "display" not in json.dumps(outcomes)


def test_what_came_of_it_waits_here_until_a_release_lists_it(world: World, taken: Inbound) -> None:
    world.release()
    world.answer(taken, "accepted", **CLIENT)
    said = world.answer(taken, "started", service="food", **CLIENT)
    assert "Kept here, not sent: what came of it" in said.decided[1]
    world.send()
    assert [one["status"] for one in world.source.changes()] == ["in-progress"]
    assert world.kept(taken) == 1

    world.release(items=["referral-status", "referral-outcome"])
    world.send()
    assert [one["resourceType"] for one in world.source.changes()[1:]] == ["Procedure", "Task"]
    assert world.kept(taken) == 0


def test_a_release_that_comes_later_lets_everything_go_in_its_order(world: World, taken: Inbound) -> None:
    world.answer(taken, "accepted", **CLIENT)
    world.answer(taken, "started", **CLIENT)
    world.answer(taken, "completed", **CLIENT)
    _, told = world.release()
    assert [(one.referral, one.state) for one in told] == [(taken.id, "completed")]
    world.send()
    assert [one["status"] for one in world.source.changes()] == ["in-progress", "completed"]
    assert world.kept(taken) == 0


def test_a_release_of_someone_else_lets_nothing_go(world: World, taken: Inbound) -> None:
    world.answer(taken, "accepted", **CLIENT)
    _, told = world.release("S-2")
    assert told == [] and world.send() == 0


def test_withdrawn_between_the_decision_and_the_sending_it_stays(world: World, taken: Inbound) -> None:
    release, _ = world.release()
    world.answer(taken, "accepted", **CLIENT)
    world.answer(taken, "started", **CLIENT)
    permission.withdraw_consent(world.shelter, world.operator, release)
    attempts = world.send()
    assert attempts >= 2, "they were on their way"
    assert world.source.asked == [] and world.kept(taken) == 2
    refused = [one for one in audit_of(world, taken) if one["outcome"] == "4"]
    assert len(refused) == attempts


def test_after_the_withdrawal_the_next_answer_stays(world: World, taken: Inbound) -> None:
    release, _ = world.release()
    world.answer(taken, "accepted", **CLIENT)
    world.answer(taken, "started", **CLIENT)
    world.send()
    permission.withdraw_consent(world.shelter, world.operator, release)
    assert world.answer(taken, "completed", **CLIENT).state == "kept"
    world.send()
    assert world.at_source(taken).status == "in-progress"


def test_a_release_that_ends_by_itself_ends_the_telling(world: World, taken: Inbound) -> None:
    world.release()
    world.answer(taken, "accepted", **CLIENT)
    assert isinstance(world.shelter.now, Clock)
    world.shelter.now.ahead += timedelta(days=32)
    assert world.answer(taken, "started", **CLIENT).state == "kept"


def test_the_number_in_the_answer_finds_a_release_that_was_there_before(world: World, taken: Inbound) -> None:
    world.release("S-7")
    said = world.answer(taken, "accepted", client={"id": "S-7", "birth_date": ADULT})
    assert said.state == "accepted"
    assert world.own_view(taken).subject_digest == world.subject("S-7")


# ------------------------------------------------------------------ the end


def test_if_the_hospital_takes_it_back_they_are_told_and_answer_nothing(world: World, taken: Inbound) -> None:
    world.answer(taken, "accepted", **CLIENT)
    with world.shelter.store.work() as work:
        ((answer_id, _),) = kept.of_inbound(work, taken.id)
    permission.cancel_referral(world.hospital, world.operator, world.at_source(taken).referral_id)
    world.pull(taken)

    notice = world.records()[-1]
    assert (notice["type"], notice["status"]) == ("notice", "cancelled")
    assert world.source.changes() == []
    assert world.kept(taken) == 0
    with pytest.raises(Erased):
        world.shelter.store.vault.seal(answer_id, "answer", {})
    world.release()
    assert world.send() == 0


def test_what_they_have_declined_is_read_like_any_other_but_not_handed_on(
    world: World, taken: Inbound
) -> None:
    world.answer(taken, "declined", **CLIENT)
    before = len(world.records())
    with world.shelter.store.work() as work:
        inbound.change(work, taken.id, seen_at="earlier", handed="something else")
    world.pull(taken)
    assert {path.split("/")[2] for _, path, _ in world.source.asked} >= {"Task", "ServiceRequest", "Patient"}
    assert len(world.records()) == before


def test_what_was_told_is_accounted_for_and_names_nobody(world: World, taken: Inbound) -> None:
    world.release()
    world.answer(taken, "accepted", **CLIENT)
    world.answer(taken, "started", **CLIENT)
    world.send()
    entries = audit_of(world, taken)
    told = [one for one in entries if {"type": "item", "valueString": "referral-status"} in details(one)]
    assert [one["subtype"][0]["code"] for one in told] == ["update"]
    assert "S-1" not in json.dumps(entries) and ADULT not in json.dumps(entries)
    with world.shelter.store.work() as work:
        assert audit.first_break(work) is None


def details(entry: dict[str, Any]) -> list[dict[str, str]]:
    return [detail for entity in entry["entity"] for detail in entity.get("detail", ())]


def audit_of(world: World, known: Inbound) -> list[dict[str, Any]]:
    with world.shelter.store.work() as work:
        return audit.of_referral(work, known.id)
