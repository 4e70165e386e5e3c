"""People and organisations that must never see a referral: whoever hurts someone may work there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hospital_world import make_hospital, offered
from sample_records import shelter_release, shelter_row
from typer.testing import CliRunner

from gateway import audit, excluding, exclusion, permission, settings
from gateway.cli.main import app
from gateway.demo.agencies import HOSPITAL, NAMES, PANTRY, SHELTER, found, organization
from gateway.errors import Refused
from gateway.exchange import Exchange
from gateway.node import Node
from gateway.offering import Receipt
from gateway.recording import Ask
from gateway.release_answers import build
from gateway.route import candidates
from gateway.store import contents, disclosures, exclusions, referrals, tasks
from mappings import Mapped

SOMEONE = "Rafael Qzxperson Ortega"
PANTRY_URL, HOSPITAL_URL = organization(PANTRY), organization(HOSPITAL)


@pytest.fixture
def hospital(tmp_path: Path) -> Node:
    return make_hospital(tmp_path)


@pytest.fixture
def shelter(tmp_path: Path) -> Node:
    ports = {name: 9101 + number for number, name in enumerate(NAMES)}
    return Node(settings.read(found(tmp_path, ports, "http://127.0.0.1:9/none")[SHELTER].config))


def operator(node: Node) -> Ask:
    return Ask("operator", node.home, "00000000-0000-4000-8000-000000000007")


def with_columns(row: bytes, **more: str) -> bytes:
    """A row of the shelter's with columns that its header may do without."""
    header, line = row.decode().strip().split("\r\n")
    return f"{header},{','.join(more)}\r\n{line},{','.join(more.values())}\r\n".encode()


def send(node: Node, number: int, **more: str) -> Receipt:
    """The shelter refers a client, who has signed a release, to the pantry."""
    client = f"C-{number}"
    permission.record_consent(node, operator(node), build(node.settings, shelter_release(client)))
    row = shelter_row(referral_ref=f"R-{number}", client_ref=client)
    body = with_columns(row, **more) if more else row
    (receipt,) = Exchange(node).hand_in(operator(node), "shelter-csv", body)
    assert isinstance(receipt, Receipt), receipt
    return receipt


def only_task(node: Node, referral: str) -> tasks.Task:
    with node.store.work() as work:
        (task,) = tasks.of_referral(work, referral)
    return task


def log_of(node: Node, referral: str) -> list[dict[str, Any]]:
    with node.store.work() as work:
        return audit.of_referral(work, referral)


def codes_in(log: list[dict[str, Any]]) -> list[str]:
    """The code of every decision in an audit, oldest first."""
    return [
        detail["valueString"]
        for entry in log
        for entity in entry["entity"]
        for detail in entity.get("detail", ())
        if detail["type"] == "decision"
    ]


# ------------------------------------------------------------------ in the record


def test_without_anybody_named_it_goes_its_way(shelter: Node) -> None:
    assert send(shelter, 1).state == "offered"


@pytest.mark.parametrize("named", [PANTRY, PANTRY_URL, "Harbor Food Pantry", "harbor food  pantry"])
def test_an_organisation_that_the_record_names_is_never_told(shelter: Node, named: str) -> None:
    receipt = send(shelter, 1, never_to=f"{HOSPITAL}; {named}")
    assert receipt.state == "held"
    assert any("must never reach" in one for one in receipt.decided)
    assert codes_in(log_of(shelter, receipt.referral)) == ["recipient-excluded"]
    assert only_task(shelter, receipt.referral).status == "draft"


def test_another_organisation_does_not_stand_in_its_way(shelter: Node) -> None:
    assert send(shelter, 1, never_to=HOSPITAL).state == "offered"


@pytest.mark.parametrize("column", ["never_people", "never_to"])
def test_a_name_that_nobody_can_place_keeps_everybody_out(shelter: Node, column: str) -> None:
    receipt = send(shelter, 1, **{column: SOMEONE})
    assert receipt.state == "held"
    assert any("it is not known where they work" in one for one in receipt.decided)
    assert any("waymeet exclude" in one for one in receipt.needed)
    assert codes_in(log_of(shelter, receipt.referral)) == ["exclusion-undecided"]


@pytest.mark.parametrize(
    "known_as", ["Intake desk", f"intake@{PANTRY}.example", f"MAILTO:intake@{PANTRY}.example"]
)
def test_a_person_whom_the_directory_places_closes_where_they_work(shelter: Node, known_as: str) -> None:
    """Every organisation of this directory has an "Intake desk"; each has an address of its own."""
    receipt = send(shelter, 1, never_people=known_as)
    assert receipt.state == "held"
    assert codes_in(log_of(shelter, receipt.referral)) == ["recipient-excluded"]


def test_a_person_who_is_placed_elsewhere_does_not_stand_in_its_way(shelter: Node) -> None:
    assert send(shelter, 1, never_people=f"intake@{HOSPITAL}.example").state == "offered"


def test_once_somebody_says_where_they_work_it_goes_on(shelter: Node) -> None:
    receipt = send(shelter, 1, never_people=SOMEONE)
    done = excluding.exclude(shelter, operator(shelter), receipt.referral, [HOSPITAL], SOMEONE)
    assert [one.state for one in done.receipts] == ["offered"]
    assert done.now.closed == {HOSPITAL_URL} and done.now.undecided == ()


def test_or_that_they_work_nowhere_here(shelter: Node) -> None:
    receipt = send(shelter, 1, never_people=SOMEONE)
    done = excluding.exclude(shelter, operator(shelter), receipt.referral, (), SOMEONE, nowhere=True)
    assert [one.state for one in done.receipts] == ["offered"]


def test_one_of_two_decided_is_not_decided(shelter: Node) -> None:
    receipt = send(shelter, 1, never_people=f"{SOMEONE}; Another Person")
    done = excluding.exclude(shelter, operator(shelter), receipt.referral, [HOSPITAL], SOMEONE)
    assert done.receipts == () and done.now.undecided == ("Another Person",)
    assert only_task(shelter, receipt.referral).status == "draft"


def test_where_they_work_may_be_the_very_recipient(shelter: Node) -> None:
    receipt = send(shelter, 1, never_people=SOMEONE)
    done = excluding.exclude(shelter, operator(shelter), receipt.referral, [PANTRY], SOMEONE)
    assert [one.state for one in done.receipts] == ["held"]
    assert codes_in(log_of(shelter, receipt.referral))[-1] == "recipient-excluded"


def test_the_same_record_again_is_the_same_and_with_another_name_another(shelter: Node) -> None:
    first = send(shelter, 1, never_to=HOSPITAL)
    assert send(shelter, 1, never_to=HOSPITAL) == first
    row = with_columns(shelter_row(referral_ref="R-1", client_ref="C-1"), never_to=PANTRY)
    (again,) = Exchange(shelter).hand_in(operator(shelter), "shelter-csv", row)
    assert isinstance(again, Refused) and again.status == 409


def test_routing_passes_over_whom_it_must_not_reach(hospital: Node) -> None:
    need = {"category": [{"coding": [{"system": "", "code": ""}]}]}
    record = (Path(__file__).parents[2] / "gateway" / "demo" / "records" / "1-hospital.hl7").read_bytes()
    mapping = hospital.mappings["hl7v2-referral"]
    (read,) = mapping.read(record)
    mapped = mapping.map(read)
    open_to_all = Mapped("referral", "k", None, mapped.resources or need, None, {}, ())
    system = hospital.settings.systems["hl7v2-referral"]
    assert candidates(hospital, system, open_to_all) == (PANTRY_URL,)
    assert candidates(hospital, system, open_to_all, frozenset({PANTRY_URL})) == ()


# ------------------------------------------------------------------ later, and for good


def read(node: Node, task_id: str) -> Any:
    pantry = Ask(PANTRY_URL, node.home, "00000000-0000-4000-8000-000000000002")
    return Exchange(node).read(pantry, "Task", task_id)


def refused(node: Node, task_id: str) -> int:
    with pytest.raises(Refused) as found_out:
        read(node, task_id)
    return found_out.value.status


def test_who_has_it_already_loses_it_with_the_words_of_any_end(hospital: Node) -> None:
    ask, referral, task_id = offered(hospital)
    answer = read(hospital, task_id)
    hospital.ended.clear()
    with hospital.store.work() as work:
        disclosures.end(work, [answer.disclosure])

    done = excluding.exclude(hospital, ask, referral, [PANTRY])

    assert done.cancelled == (PANTRY_URL,)
    task = only_task(hospital, referral)
    assert (task.status, task.detail["statusReason"]["text"]) == (
        "cancelled",
        "The referral is no longer offered.",
    )
    # Any other recipient of a hospital reads of a cancelled Task that it is; this one reads nothing.
    assert refused(hospital, task_id) == 404
    assert codes_in(log_of(hospital, referral))[-1] == "recipient-excluded"


def test_it_stays_closed_once_the_content_is_erased(hospital: Node) -> None:
    ask, referral, task_id = offered(hospital)
    excluding.exclude(hospital, ask, referral, [PANTRY])
    with hospital.store.work() as work:
        contents.forget(work, referral)
        tasks.forget_details(work, referral)
        referrals.start_erasing(work, referral)
    hospital.store.vault.destroy(referral)
    assert refused(hospital, task_id) == 404
    with hospital.store.work() as work:
        assert exclusions.holds(work, referral, PANTRY_URL)
        assert not exclusions.holds(work, referral, HOSPITAL_URL)
        assert not exclusions.holds(work, "another", PANTRY_URL)
    with pytest.raises(Refused) as late:
        excluding.exclude(hospital, ask, referral, [PANTRY])
    assert late.value.status == 409


def test_a_name_added_later_shuts_it_until_somebody_decides(hospital: Node) -> None:
    ask, referral, task_id = offered(hospital)
    excluding.exclude(hospital, ask, referral, (), SOMEONE)
    assert refused(hospital, task_id) == 404
    assert only_task(hospital, referral).status == "requested"
    excluding.exclude(hospital, ask, referral, (), SOMEONE, nowhere=True)
    assert read(hospital, task_id).resource["status"] == "requested"


def test_nothing_takes_an_exclusion_back() -> None:
    before = exclusion.Exclusions(frozenset({"a"}), {"one": ("b",), "two": None})
    after = before.plus(exclusion.Exclusions(named={"one": None, "two": ()}))
    assert after.closed == {"a", "b"} and after.undecided == ()
    assert after.plus(exclusion.Exclusions(named={"two": None})) == after
    assert after.plus(exclusion.Exclusions(named={"two": ("c",)})).closed == {"a", "b", "c"}
    assert exclusion.of({"excluded": after.sealed()}) == after
    assert exclusion.of({}) == exclusion.Exclusions()


def test_an_amendment_of_the_record_keeps_what_was_excluded_here(hospital: Node) -> None:
    ask, referral, task_id = offered(hospital)
    excluding.exclude(hospital, ask, referral, [HOSPITAL])
    first = Path(__file__).parents[2] / "gateway" / "demo" / "records" / "1-hospital.hl7"
    text = first.read_text("utf-8").replace("\n", "\r")
    later = text.replace("REF^I12^REF_I12", "REF^I13^REF_I12").replace(
        "ECH-20261116-0042", "ECH-20261117-0001"
    )
    (done,) = Exchange(hospital).hand_in(ask, "hl7v2-referral", later.encode())
    assert isinstance(done, Receipt) and done.state == "amended"
    with hospital.store.work() as work:
        assert exclusion.of(contents.get(work, referral, referrals.RECORD) or {}).closed == {HOSPITAL_URL}
    assert read(hospital, task_id).resource["status"] == "requested"


@pytest.mark.parametrize(
    ("wanted", "person", "nowhere", "status"),
    [
        (["nobody-knows-it"], "", False, 422),
        ([], "", False, 422),
        ([], "", True, 422),
        (["nobody-knows-it"], SOMEONE, False, 422),
    ],
)
def test_what_cannot_be_meant_is_refused(
    hospital: Node, wanted: list[str], person: str, nowhere: bool, status: int
) -> None:
    ask, referral, task_id = offered(hospital)
    with pytest.raises(Refused) as found_out:
        excluding.exclude(hospital, ask, referral, wanted, person, nowhere=nowhere)
    assert found_out.value.status == status
    assert read(hospital, task_id).resource["status"] == "requested"


def test_a_referral_that_is_not_here_is_not_found(hospital: Node) -> None:
    with pytest.raises(Refused) as found_out:
        excluding.exclude(hospital, operator(hospital), "none", [PANTRY])
    assert found_out.value.status == 404


# ------------------------------------------------------------------ who learns of it


def test_the_audit_and_the_files_name_no_person(shelter: Node, tmp_path: Path) -> None:
    receipt = send(shelter, 1, never_people=SOMEONE)
    excluding.exclude(shelter, operator(shelter), receipt.referral, [HOSPITAL], SOMEONE)
    log = json.dumps(log_of(shelter, receipt.referral))
    assert HOSPITAL_URL in log and "excluded-by-name" in log
    assert "Qzxperson" not in log
    shelter.close()
    holding = [path for path in tmp_path.rglob("*") if path.is_file() and b"Qzxperson" in path.read_bytes()]
    assert holding == []


def test_at_the_command_line(shelter: Node) -> None:
    receipt = send(shelter, 1, never_people=SOMEONE)
    config = ["--config", str(shelter.settings.path)]
    shelter.close()

    def run(*words: str) -> tuple[int, str]:
        done = CliRunner().invoke(app, [*words, *config])
        return done.exit_code, " ".join(done.output.split())

    code, said = run("status", receipt.referral)
    assert code == 0 and f"Must never see it: {SOMEONE}. Nobody can read it until you say" in said
    code, said = run("exclude", receipt.referral, HOSPITAL, "--person", SOMEONE)
    assert code == 0 and f"{SOMEONE}, who works at Elm City Hospital" in said and "offered" in said
    code, said = run("exclude", receipt.referral, PANTRY)
    assert code == 0 and "Must never see it: Harbor Food Pantry" in said
    assert "It was with one of them already: that is cancelled" in said
    code, said = run("exclude", receipt.referral, "nobody-knows-it")
    assert code == 2 and "not known here" in said
