"""Consents and the accounting of disclosures are kept for their time, and then there is nothing to find."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from consent_store_world import (
    PATIENT,
    another_consent,
    audit_is_whole,
    last_events,
    later,
    look,
    pantry,
    read,
    request_of,
    the_consent,
    withdraw,
)
from hospital_world import make_hospital, offered
from sample_records import HOSPITAL_PATIENTS
from sqlalchemy import select, update
from typer.testing import CliRunner

from gateway import disclosed, forgetting, notify, outbox, permission, settings
from gateway.cli import main as cli
from gateway.exchange import Exchange
from gateway.judge import judge
from gateway.node import Node
from gateway.outbox import Done
from gateway.recording import record
from gateway.retention import SIX_YEARS, THREE_YEARS, Retention
from gateway.store import consents, persons, referrals, schema, tasks
from gateway.store.vault import Erased
from gateway.store.work import Work
from profiles.document import DocumentError

PERSON = (HOSPITAL_PATIENTS, PATIENT)


@pytest.fixture
def hospital(tmp_path: Path) -> Node:
    return make_hospital(tmp_path)


def held(node: Node, consent_id: str) -> consents.Held:
    found = look(node, lambda work: consents.get(work, consent_id))
    assert found is not None
    return found


def sealed(node: Node, consent_id: str) -> bytes:
    wanted = select(schema.consent.c.sealed).where(schema.consent.c.id == consent_id)
    return look(node, lambda work: bytes(work.tx.execute(wanted).scalar_one()))


def erase_referral(node: Node, ask: Any, referral_id: str) -> None:
    """Close a referral and erase its content, as the worker does once its grace is over."""
    permission.cancel_referral(node, ask, referral_id)
    with node.store.work() as work:
        for entry in outbox.lease(work, 10):
            if entry.lane == notify.write_back_lane(referral_id):
                outbox.settle(work, entry, Done())
    assert Exchange(node).erase_closed() == 1
    found = look(node, lambda work: referrals.get(work, referral_id))
    assert found is not None and (found.state, found.subject_digest) == ("erased", "")


# ------------------------------------------------------------------ how long


@pytest.mark.parametrize(
    ("said", "kinds", "consent_days", "disclosure_days"),
    [
        ({}, ["covered-entity"], {"hipaa": SIX_YEARS, "vawa": THREE_YEARS}, SIX_YEARS),
        ({}, ["part-2-program"], {"part-2": SIX_YEARS}, THREE_YEARS),
        ({}, ["part-2-program", "covered-entity"], {}, SIX_YEARS),
        ({}, ["victim-service-provider"], {"vawa": THREE_YEARS}, THREE_YEARS),
        ({"consent_days": {"other": 10}}, ["covered-entity"], {"hipaa": 10, "vawa": THREE_YEARS}, SIX_YEARS),
        ({"consent_days": {"vawa": 30}}, ["victim-service-provider"], {"vawa": 30}, THREE_YEARS),
        ({"disclosure_days": 400}, ["covered-entity"], {"hipaa": SIX_YEARS}, 400),
    ],
)
def test_the_longest_period_that_applies_holds_unless_the_operator_says_otherwise(
    said: dict[str, Any], kinds: list[str], consent_days: dict[str, int], disclosure_days: int
) -> None:
    found = Retention.stated(said, kinds)
    now = datetime(2030, 1, 1, tzinfo=UTC)
    assert found.disclosure_days == disclosure_days
    for regime, days in consent_days.items():
        assert found.consent_until(regime, now) - now == timedelta(days=days)


def test_a_law_that_nobody_wrote_down_stops_the_start(hospital: Node, tmp_path: Path) -> None:
    config = hospital.settings.path
    text = config.read_text("utf-8")
    config.write_text(f"{text}\nretention:\n  consent_days: {{vawwa: 30}}\n", "utf-8")
    with pytest.raises(DocumentError, match=r"retention\.consent_days\.vawwa: there is no such law"):
        Node(settings.read(config))


def test_a_system_cannot_be_called_consent(hospital: Node) -> None:
    config = hospital.settings.path
    text = config.read_text("utf-8")
    assert "  hl7v2-referral:" in text
    config.write_text(text.replace("hl7v2-referral:", "consent:", 1), "utf-8")
    with pytest.raises(DocumentError, match=r"systems\.consent: is where consents are handed in"):
        settings.read(config)


# ------------------------------------------------------------------ the end of a consent


def test_after_its_retention_only_that_there_was_one_stays(hospital: Node) -> None:
    ask, _, _ = offered(hospital)
    consent_id = the_consent(hospital)
    withdraw(hospital, ask, consent_id)
    content = sealed(hospital, consent_id)

    later(hospital, SIX_YEARS - 1)
    assert forgetting.sweep(hospital) == 0
    assert held(hospital, consent_id).resource["provision"]

    later(hospital, 2)
    assert forgetting.sweep(hospital) == 1
    stays = held(hospital, consent_id)
    assert stays.resource == {"resourceType": "Consent", "id": consent_id, "status": "inactive"}
    assert stays.subject_digest == "" and stays.erased_at and stays.recorded_at < stays.modified_at
    assert sealed(hospital, consent_id) == b""
    with pytest.raises(Erased):
        hospital.store.vault.open(consent_id, "consent", content)
    assert consent_id not in hospital.compiled._kept
    assert last_events(hospital, 1)[0]["consent"] == consent_id
    assert audit_is_whole(hospital)
    assert forgetting.sweep(hospital) == 0


def test_one_that_ends_by_itself_is_kept_from_its_last_day_on(hospital: Node) -> None:
    offered(hospital)  # with a consent that ends tomorrow
    later(hospital, SIX_YEARS - 1)
    assert forgetting.sweep(hospital) == 0
    later(hospital, 4)
    assert forgetting.sweep(hospital) == 1


def test_one_in_force_is_kept_however_old_it_is(hospital: Node) -> None:
    ask, _, _ = offered(hospital)
    resource = another_consent(hospital)
    del resource["meta"], resource["provision"]["period"]["end"]
    open_ended, _ = permission.record_consent(hospital, ask, resource)
    later(hospital, 3 * SIX_YEARS)
    forgetting.sweep(hospital)
    assert held(hospital, open_ended).status == "active"
    assert held(hospital, open_ended).resource["provision"]


def test_one_that_replaces_another_is_kept_until_the_other_is_over(hospital: Node) -> None:
    """Without it the wider consent in whose place it was given would speak again."""
    ask, _, _ = offered(hospital)
    wide = another_consent(hospital)
    del wide["meta"], wide["provision"]["period"]["end"]
    wide_id, _ = permission.record_consent(hospital, ask, wide)
    narrow = another_consent(hospital)
    narrow["extension"] = [replaces(valueReference={"reference": f"Consent/{wide_id}"})]
    narrow_id, _ = permission.record_consent(hospital, ask, narrow)
    withdraw(hospital, ask, narrow_id)

    later(hospital, 2 * SIX_YEARS)
    forgetting.sweep(hospital)
    assert held(hospital, narrow_id).resource["provision"]

    withdraw(hospital, ask, wide_id)
    later(hospital, SIX_YEARS + 1)
    forgetting.sweep(hospital)  # the one that was replaced first, then the other
    forgetting.sweep(hospital)
    assert [held(hospital, one).erased_at is not None for one in (wide_id, narrow_id)] == [True, True]


def replaces(**value: Any) -> dict[str, Any]:
    return {"url": "https://waymeet.example/fhir/StructureDefinition/consent-replaces", **value}


def test_what_an_earlier_version_kept_is_looked_up_first(hospital: Node) -> None:
    offered(hospital)
    look(hospital, lambda work: work.tx.execute(update(schema.consent).values(regime=None, ends_at=None)))
    later(hospital, SIX_YEARS + 4)
    assert forgetting.sweep(hospital) == 1


def test_a_sweep_that_was_cut_short_is_taken_up_again(hospital: Node) -> None:
    ask, _, _ = offered(hospital)
    consent_id = the_consent(hospital)
    withdraw(hospital, ask, consent_id)
    look(hospital, lambda work: consents.empty(work, consent_id))  # and the process dies here

    assert forgetting.sweep(hospital) == 1
    assert held(hospital, consent_id).erased_at


# ------------------------------------------------------------------ what was disclosed


def disclose(node: Node, task_id: str) -> None:
    """The pantry reads the request of an offer, twice."""
    for _ in range(2):
        read(node, "ServiceRequest", request_of(node, task_id))


def test_what_was_disclosed_under_a_consent_outlives_the_referral(hospital: Node) -> None:
    ask, referral_id, task_id = offered(hospital)
    consent_id = the_consent(hospital)
    disclose(hospital, task_id)
    erase_referral(hospital, ask, referral_id)

    story = disclosed.of_consent(hospital, consent_id)
    assert story is not None and story.status == "active"
    assert len(story.disclosures) == 2
    (first, _) = story.disclosures
    assert first.recipient == "Harbor Food Pantry"
    assert set(first.items) >= {"need", "area", "language"} and "given-name" not in first.items
    assert (first.referral, first.consents, first.what) == (referral_id, (consent_id,), "ServiceRequest")
    assert "coordination" in first.purpose
    assert disclosed.of_person(hospital, PERSON) == list(story.disclosures)
    assert disclosed.of_person(hospital, (HOSPITAL_PATIENTS, "EC-000000")) == []


def test_it_is_told_of_a_consent_that_is_erased_itself(hospital: Node) -> None:
    hospital.settings = replace(
        hospital.settings, retention=Retention({"other": 1, "vawa": 1}, disclosure_days=SIX_YEARS)
    )
    ask, referral_id, task_id = offered(hospital)
    consent_id = the_consent(hospital)
    disclose(hospital, task_id)
    erase_referral(hospital, ask, referral_id)
    later(hospital, 5)
    assert forgetting.sweep(hospital) == 1

    story = disclosed.of_consent(hospital, consent_id)
    assert story is not None and (story.status, story.recipients) == ("erased", ())
    assert len(story.disclosures) == 2
    assert len(disclosed.of_person(hospital, PERSON)) == 2


def test_a_read_that_showed_nothing_of_the_person_is_no_disclosure(hospital: Node) -> None:
    offered_id = offered(hospital)[2]
    read(hospital, "Task", offered_id)
    assert disclosed.of_person(hospital, PERSON) == []


def test_a_consent_that_only_refused_is_not_what_a_disclosure_rested_on(hospital: Node) -> None:
    ask, _, task_id = offered(hospital)
    refusal = another_consent(hospital, items=["language"])
    (permit,) = refusal["provision"].pop("provision")
    refusal["provision"]["code"] = permit["code"]  # a root deny that permits nothing refuses these items
    refused, _ = permission.record_consent(hospital, ask, refusal)
    disclose(hospital, task_id)

    assert [one.consents for one in disclosed.of_person(hospital, PERSON)] == [(the_consent(hospital),)] * 2
    story = disclosed.of_consent(hospital, refused)
    assert story is not None and story.disclosures == ()


def test_a_disclosure_without_a_consent_is_accounted_for_by_its_ground(hospital: Node) -> None:
    """As where HIPAA lets a hospital refer without one."""
    ask, referral_id, task_id = offered(hospital)

    def step(work: Work) -> None:
        found, task = referrals.get(work, referral_id), tasks.get(work, task_id)
        assert found is not None and task is not None
        decision = judge(hospital, work, found, task).decision
        lawful = tuple(one for one in decision.reasons if one.step != "consent")
        by_law = replace(decision, reasons=lawful, basis=("hipaa#treatment (45 CFR 164.506(c))",))
        record(work, pantry(hospital), "read", "R", found, task, by_law, what="Patient", items=["phone"])

    look(hospital, step)
    erase_referral(hospital, ask, referral_id)
    (one,) = disclosed.of_person(hospital, PERSON)
    assert (one.items, one.consents) == (("phone",), ())
    assert one.grounds == ("hipaa#treatment (45 CFR 164.506(c))",)


def test_only_the_last_years_are_listed_when_asked_so(hospital: Node) -> None:
    _, _, task_id = offered(hospital)
    disclose(hospital, task_id)
    later(hospital, 400)
    assert len(disclosed.of_person(hospital, PERSON, years=2)) == 2
    assert disclosed.of_person(hospital, PERSON, years=1) == []


def test_the_accounting_ends_with_its_own_retention_and_the_person_is_forgotten(hospital: Node) -> None:
    ask, _, task_id = offered(hospital)
    disclose(hospital, task_id)
    withdraw(hospital, ask, the_consent(hospital))
    with hospital.store.work() as work:
        for entry in outbox.lease(work, 10):
            outbox.settle(work, entry, Done())
    later(hospital, 2)
    assert Exchange(hospital).erase_closed() == 1

    later(hospital, SIX_YEARS - 3)
    forgetting.sweep(hospital)
    assert len(disclosed.of_person(hospital, PERSON)) == 2
    (person_id,) = look(hospital, lambda work: [one.id for one in work.tx.execute(schema.person.select())])

    later(hospital, 5)
    forgetting.sweep(hospital)
    assert disclosed.of_person(hospital, PERSON) == []
    assert look(hospital, lambda work: work.tx.execute(schema.accounting.select()).all()) == []
    assert look(hospital, lambda work: work.tx.execute(schema.person.select()).all()) == []
    with pytest.raises(Erased):
        hospital.store.vault.pseudonym(person_id, "anybody")
    assert audit_is_whole(hospital)


def test_a_copy_of_the_database_tells_nobody_whom_a_disclosure_was_about(hospital: Node) -> None:
    """The accounting names the person by a key: with it gone, the rows in a backup name nobody."""
    _, _, task_id = offered(hospital)
    disclose(hospital, task_id)
    with closing(sqlite3.connect(hospital.settings.data / "node.db")) as copy:
        names = {name for (name,) in copy.execute("select subject from accounting")}
        digests = {name for (name,) in copy.execute("select subject_digest from person")}
    assert len(names) == 1 and not names & digests
    (person_id,) = look(hospital, lambda work: [one.id for one in work.tx.execute(schema.person.select())])
    assert hospital.store.vault.destroy(person_id)
    with pytest.raises(Erased):
        look(hospital, lambda work: persons.known_in_accounting(work, next(iter(digests))))


# ------------------------------------------------------------------ at the command line


def run(node: Node, *args: str) -> str:
    result = CliRunner().invoke(cli.app, [*args, "--config", str(node.settings.path)])
    assert result.exit_code == 0, result.output
    return result.output


def test_a_person_can_be_told_who_saw_what(hospital: Node) -> None:
    ask, referral_id, task_id = offered(hospital)
    disclose(hospital, task_id)
    erase_referral(hospital, ask, referral_id)
    consent_id = the_consent(hospital)

    said = run(hospital, "disclosures", "--identifier", *PERSON)
    assert "Harbor Food Pantry: " in said and "2 times, for coordination of the person's care" in said
    assert f"by consent {consent_id}" in said and PATIENT not in said
    listed = json.loads(run(hospital, "disclosures", "--identifier", *PERSON, "--json"))["disclosures"]
    assert [one["referral"] for one in listed] == [referral_id] * 2

    said = run(hospital, "consent", "show", consent_id)
    assert f"Consent {consent_id}: in force" in said and "Harbor Food Pantry: " in said
    shown = json.loads(run(hospital, "consent", "show", consent_id, "--json"))
    assert shown["disclosures"] == listed and shown["regime"] == "hipaa" and shown["kept_until"] is None

    withdraw(hospital, ask, consent_id)
    said = run(hospital, "consent", "show", consent_id)
    assert f"Consent {consent_id}: withdrawn" in said and "its content is kept until" in said


def test_nothing_disclosed_and_no_such_consent_are_said(hospital: Node) -> None:
    assert run(hospital, "disclosures", "--identifier", *PERSON).strip() == (
        "Nothing about this person has been disclosed."
    )
    result = CliRunner().invoke(
        cli.app, ["consent", "show", "no-such-id", "--config", str(hospital.settings.path)]
    )
    assert result.exit_code == 2 and "There is no consent with this id here." in result.output
