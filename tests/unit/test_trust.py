"""Whom a node trusts, as directories and suspension lists come, stay away, and contradict each other."""

from __future__ import annotations

import logging
import shutil
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from threading import Event

import pytest
from directory_world import CLINIC, ISSUER, NEXT_ANCHOR, PANTRY
from joserfc import jws
from joserfc.jwk import RSAKey
from sqlalchemy.exc import OperationalError
from trust_world import GRACE, SHELTER, Body, Clock, counting, named, trusting

from gateway.signing import keys
from gateway.store import directories
from gateway.store.work import Store
from gateway.trust.directory import DirectoryError
from gateway.trust.directory_files import MANIFEST, SUSPENSIONS
from gateway.trust.succession import hand_over
from gateway.trust.trusted import Trust

DAY = timedelta(days=1)


@pytest.fixture
def body(tmp_path: Path, clock: Clock) -> Body:
    """A convening body that has published once, with an empty suspension list."""
    made = Body(tmp_path / "directory", clock)
    made.publish()
    made.suspend()
    return made


@pytest.fixture
def trust(store: Store, body: Body) -> Trust:
    """The node's view, with the pantry as a partner."""
    found = trusting(store, body)
    found.pin(PANTRY)
    return found


def test_a_directory_and_a_list_in_force_raise_no_alarm(trust: Trust, body: Body) -> None:
    pantry = trust.entry(PANTRY)
    assert pantry is not None
    assert (pantry.status, pantry.thumbprints) == ("active", named(body.keys[PANTRY]))
    assert trust.entry(f"{ISSUER}/Organization/nobody") is None
    assert trust.standing() == "in force"
    assert trust.opens_dossiers()
    assert trust.alarms == ()
    assert trust.said() == f"1:{body.digests[0]}"


# --- which directory ---------------------------------------------------------------------------------


def test_the_next_directory_is_taken_up_when_it_follows_and_is_noticed_once(trust: Trust, body: Body) -> None:
    assert not trust.refresh()
    body.publish()
    assert trust.refresh()
    assert trust.directory.sequence == 2
    assert not trust.refresh()
    assert trust.alarms == ()


def test_a_node_that_slept_through_several_takes_the_last(trust: Trust, body: Body) -> None:
    for _ in range(32):
        body.publish()
    assert trust.refresh()
    assert (trust.directory.sequence, trust.alarms) == (33, ())


def test_a_directory_signed_with_the_next_anchor_is_taken_up(trust: Trust, body: Body) -> None:
    body.publish(anchor=NEXT_ANCHOR)
    assert trust.refresh()
    assert trust.directory.sequence == 2


def test_an_older_directory_is_refused_now_and_after_a_restart(
    store: Store, trust: Trust, body: Body, tmp_path: Path
) -> None:
    shutil.copytree(body.folder, tmp_path / "old")
    body.publish()
    assert trust.refresh()
    body.folder = tmp_path / "old"
    with pytest.raises(DirectoryError, match="1 is older than 2"):
        trusting(store, body)

    body.folder = trust_folder = tmp_path / "directory"
    shutil.copytree(tmp_path / "old", trust_folder, dirs_exist_ok=True)
    assert not trust.refresh()
    assert trust.directory.sequence == 2
    assert "1 is older than 2" in _only(trust.alarms)


def _only(alarms: tuple[str, ...]) -> str:
    assert len(alarms) == 1, alarms
    return alarms[0]


def test_another_directory_under_the_same_number_is_refused_and_stays_an_alarm(
    store: Store, trust: Trust, body: Body
) -> None:
    good = trust.said()
    body.new_key(CLINIC, signed=False)
    other = body.publish(sequence=1, previous=())
    assert not trust.refresh()
    assert trust.said() == good != f"1:{other.digest}"
    assert "another directory was used here under this number" in _only(trust.alarms)
    with pytest.raises(DirectoryError, match="another directory was used here"):
        trusting(store, body)

    body.digests = (trust.directory.digest,)
    body.publish()
    assert trust.refresh()
    assert "another directory was used here under this number" in _only(trust.alarms)
    assert trusting(store, body).alarms == ()


@pytest.mark.parametrize(
    ("sequence", "previous"),
    [
        pytest.param(4, lambda one, two, three: (), id="it names none before it"),
        pytest.param(4, lambda one, two, three: (two, one), id="it leads past ours"),
        pytest.param(4, lambda one, two, three: ("0" * 64, three, two), id="ours stands in the wrong place"),
        pytest.param(5, lambda one, two, three: (three, two, one), id="ours stands too early"),
        pytest.param(5, lambda one, two, three: ("0" * 64,), id="its list ends too soon"),
        pytest.param(35, lambda one, two, three: ("0" * 64,) * 32, id="the last that can lead back"),
    ],
)
def test_a_directory_that_does_not_lead_back_to_ours_is_refused_with_an_alarm(
    sequence: int, previous: object, trust: Trust, body: Body
) -> None:
    for _ in range(2):
        body.publish()
        assert trust.refresh()
    assert callable(previous)
    body.publish(sequence=sequence, previous=previous(*reversed(body.digests)))
    assert not trust.refresh()
    assert trust.directory.sequence == 3
    assert "does not lead back" in _only(trust.alarms)


def test_the_same_number_of_steps_with_ours_in_its_place_is_taken(trust: Trust, body: Body) -> None:
    body.publish(sequence=33, previous=("0" * 64,) * 31 + body.digests)
    assert trust.refresh()
    assert trust.directory.sequence == 33


def test_a_directory_too_far_ahead_to_be_followed_back_is_taken_and_logged(
    trust: Trust, body: Body, caplog: pytest.LogCaptureFixture
) -> None:
    body.publish(sequence=34, previous=("0" * 64,) * 32)
    assert trust.refresh()
    assert (trust.directory.sequence, trust.alarms) == (34, ())
    assert "directory 34 is taken without being followed back" in caplog.text


def test_the_last_64_directories_are_remembered(store: Store, trust: Trust, body: Body) -> None:
    for _ in range(69):
        body.publish()
        assert trust.refresh()
    with store.work() as work:
        seen = directories.seen(work)
    assert seen == {70 - place: digest for place, digest in enumerate(body.digests[:64])}


# --- files that are not to be used -------------------------------------------------------------------


def test_a_file_that_is_no_directory_changes_nothing_and_is_logged_once(
    trust: Trust, body: Body, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    (body.folder / MANIFEST).write_text("nonsense")
    for _ in range(3):
        assert not trust.refresh()
        clock.forward(timedelta(seconds=6))
    assert trust.directory.sequence == 1
    assert trust.entry(PANTRY) is not None
    assert "not a compact JWS" in _only(trust.alarms)
    assert len([one for one in caplog.records if one.levelno == logging.ERROR]) == 1
    body.publish()
    assert trust.refresh()
    assert trust.alarms == ()


def test_shards_that_come_after_their_manifest_are_waited_for(
    trust: Trust, body: Body, clock: Clock, tmp_path: Path
) -> None:
    body.new_key(CLINIC, signed=False)
    body.publish()
    shutil.copytree(body.folder / "shards", tmp_path / "aside")
    shutil.rmtree(body.folder / "shards")
    assert not trust.refresh()
    shutil.copytree(tmp_path / "aside", body.folder / "shards")
    assert not trust.refresh()
    clock.forward(timedelta(seconds=5))
    assert trust.refresh()
    assert counting(trust, CLINIC) == named(body.keys[CLINIC])


def test_a_bad_directory_does_not_keep_a_suspension_out(trust: Trust, body: Body) -> None:
    (body.folder / MANIFEST).write_text("nonsense")
    body.suspend(PANTRY)
    assert trust.refresh()
    assert _status(trust, PANTRY) == "suspended"


def test_a_change_that_came_while_the_store_was_away_is_not_lost(
    store: Store, trust: Trust, body: Body, monkeypatch: pytest.MonkeyPatch
) -> None:
    body.publish()
    with monkeypatch.context() as away:
        away.setattr(store, "work", _away)
        with pytest.raises(OperationalError):
            trust.refresh()
    assert trust.directory.sequence == 1
    assert trust.refresh()
    assert trust.directory.sequence == 2


def _away() -> None:
    raise OperationalError("BEGIN IMMEDIATE", {}, Exception("database is locked"))


def test_a_node_with_no_directory_does_not_start(store: Store, body: Body) -> None:
    (body.folder / MANIFEST).unlink()
    with pytest.raises(DirectoryError, match="cannot be read"):
        trusting(store, body)


# --- suspensions -------------------------------------------------------------------------------------


def _status(trust: Trust, organization: str) -> str | None:
    entry = trust.entry(organization)
    return entry.status if entry else None


@pytest.mark.parametrize("organization", [PANTRY, CLINIC])
def test_an_organization_on_the_list_is_suspended_at_once_partner_or_not(
    organization: str, trust: Trust, body: Body
) -> None:
    body.suspend(organization)
    assert trust.refresh()
    assert _status(trust, organization) == "suspended"
    body.suspend()
    assert trust.refresh()
    assert _status(trust, organization) == "active"


def test_one_that_the_directory_suspends_is_suspended_without_a_list(trust: Trust, body: Body) -> None:
    body.suspended = {PANTRY}
    body.publish()
    assert trust.refresh()
    assert _status(trust, PANTRY) == "suspended"


def test_an_older_list_is_refused_now_and_after_a_restart(store: Store, trust: Trust, body: Body) -> None:
    old = (body.folder / SUSPENSIONS).read_text()
    body.suspend(PANTRY)
    assert trust.refresh()
    (body.folder / SUSPENSIONS).write_text(old)
    assert not trust.refresh()
    assert _status(trust, PANTRY) == "suspended"
    assert "1 is older than 2" in _only(trust.alarms)

    again = trusting(store, body)
    assert again.suspensions is None
    assert not again.opens_dossiers()


def test_another_list_under_the_same_number_is_refused_and_stays_an_alarm(trust: Trust, body: Body) -> None:
    body.suspend(PANTRY)
    assert trust.refresh()
    body.suspend(sequence=2)
    assert not trust.refresh()
    assert _status(trust, PANTRY) == "suspended"
    assert "another list was used here" in _only(trust.alarms)


def test_without_a_fresh_list_nothing_new_opens_and_what_is_under_way_goes_on(
    trust: Trust, body: Body, clock: Clock
) -> None:
    body.suspend(CLINIC)
    assert trust.refresh()
    clock.forward(timedelta(hours=24))
    assert not trust.opens_dossiers()
    assert _only(trust.alarms) == "there is no suspension list in force: no new dossier is opened"
    assert _status(trust, PANTRY) == "active"
    assert _status(trust, CLINIC) == "suspended"  # nobody has said that it is not
    body.suspend(CLINIC)
    assert trust.refresh()
    assert trust.opens_dossiers()


def test_a_list_that_is_missing_or_taken_away_opens_nothing_and_frees_nobody(
    store: Store, trust: Trust, body: Body, clock: Clock
) -> None:
    body.suspend(PANTRY)
    assert trust.refresh()
    (body.folder / SUSPENSIONS).unlink()
    assert not trust.refresh()
    assert _status(trust, PANTRY) == "suspended"
    assert "cannot be read" in _only(trust.alarms)
    assert not trusting(store, body).opens_dossiers()


def test_a_list_of_another_than_the_named_suspender_is_refused(trust: Trust, body: Body) -> None:
    body.suspend(PANTRY, key=keys.generate())
    assert not trust.refresh()
    assert _status(trust, PANTRY) == "active"
    assert "not signed by the key that the directory names" in _only(trust.alarms)


def test_when_the_suspender_changes_its_old_list_still_holds_but_opens_nothing(
    trust: Trust, body: Body
) -> None:
    body.suspend(CLINIC)
    assert trust.refresh()
    new = keys.generate()
    body.publish(suspender=keys.public_jwk(new))
    assert trust.refresh()
    assert _status(trust, CLINIC) == "suspended"
    assert not trust.opens_dossiers()
    body.suspend(PANTRY, key=new)
    assert trust.refresh()
    assert (_status(trust, CLINIC), _status(trust, PANTRY)) == ("active", "suspended")
    assert trust.opens_dossiers()


def test_a_stolen_suspenders_number_is_not_in_the_way_of_the_next_one(trust: Trust, body: Body) -> None:
    body.suspend(PANTRY, sequence=2**53 - 1)
    trust.refresh()
    new = keys.generate()
    body.publish(suspender=keys.public_jwk(new))
    body.suspend(sequence=3, key=new)
    trust.refresh()
    assert trust.opens_dossiers()
    assert trust.suspensions is not None
    assert not trust.suspensions.holds(PANTRY)


def test_a_directory_that_names_no_suspender_needs_no_list(trust: Trust, body: Body) -> None:
    body.publish(suspender=None)
    assert trust.refresh()
    (body.folder / SUSPENSIONS).unlink()
    assert not trust.refresh()
    assert trust.opens_dossiers()
    assert trust.alarms == ()


# --- when the convening body is away -----------------------------------------------------------------


def test_in_grace_partners_go_on_and_nobody_new_is_trusted(trust: Trust, clock: Clock) -> None:
    clock.forward(7 * DAY)
    assert trust.standing() == "grace"
    assert _status(trust, PANTRY) == "active"
    assert trust.entry(CLINIC) is None
    assert "nobody new is trusted, and partners until 2026-12-11" in trust.alarms[0]


def test_nobody_becomes_a_partner_in_grace(trust: Trust, body: Body, clock: Clock) -> None:
    clock.forward(7 * DAY)
    trust.pin(CLINIC)
    with pytest.raises(DirectoryError, match="mill-street-clinic: no directory in force holds it"):
        trust.pin_again(CLINIC)
    assert [one.organization for one in trust.pins()] == [PANTRY]
    trust.pin_again(PANTRY)


def test_a_suspension_counts_in_grace_too(trust: Trust, body: Body, clock: Clock) -> None:
    clock.forward(7 * DAY)
    body.suspend(PANTRY)
    assert trust.refresh()
    assert _status(trust, PANTRY) == "suspended"
    assert trust.opens_dossiers()


def test_after_grace_nobody_is_trusted_until_there_is_a_directory_again(
    store: Store, trust: Trust, body: Body, clock: Clock
) -> None:
    clock.forward(7 * DAY + GRACE - timedelta(seconds=1))
    assert _status(trust, PANTRY) == "active"
    clock.forward(timedelta(seconds=1))
    assert trust.standing() == "over"
    assert trust.entry(PANTRY) is None
    assert "nobody is trusted" in trust.alarms[0]
    assert trusting(store, body).entry(PANTRY) is None
    body.publish()
    assert trust.refresh()
    assert _status(trust, PANTRY) == "active"
    assert _status(trust, CLINIC) == "active"


def test_a_node_that_starts_in_grace_knows_its_partners(
    store: Store, trust: Trust, body: Body, clock: Clock
) -> None:
    clock.forward(8 * DAY)
    again = trusting(store, body)
    assert _status(again, PANTRY) == "active"
    assert again.entry(CLINIC) is None


# --- keys that change --------------------------------------------------------------------------------


def test_keys_that_the_old_ones_signed_over_are_taken_over_several_changes(
    store: Store, trust: Trust, body: Body
) -> None:
    for _ in range(3):
        body.new_key(PANTRY, signed=True)
    body.publish()
    assert trust.refresh()
    assert counting(trust, PANTRY) == named(body.keys[PANTRY])
    assert trust.alarms == ()
    # The pin has moved: the next change is followed from there.
    body.changes.clear()
    body.new_key(PANTRY, signed=True)
    body.publish()
    assert trust.refresh()
    assert counting(trust, PANTRY) == counting(trusting(store, body), PANTRY) == named(body.keys[PANTRY])


def test_keys_that_nobody_signed_over_do_not_count_until_the_operator_says_so(
    store: Store, trust: Trust, body: Body
) -> None:
    old = body.keys[PANTRY]
    new = body.new_key(PANTRY, signed=False)
    body.publish()
    assert trust.refresh()
    for one in (trust, trusting(store, body)):
        assert counting(one, PANTRY) == named(old)
        assert _only(one.alarms).startswith(
            "harbor-food-pantry: the directory names keys that no old key has"
        )
        assert [(pin.organization, pin.keys, pin.held_back) for pin in one.pins()] == [
            (PANTRY, named(old), True)
        ]
    trust.pin_again(PANTRY)
    assert counting(trust, PANTRY) == named(new)
    assert trust.alarms == ()


def test_a_second_key_of_another_kind_is_a_change_too(trust: Trust, body: Body) -> None:
    old, rsa = body.keys[PANTRY], RSAKey.generate_key(2048)
    both = keys.public_jwks(old)["keys"] + [rsa.as_dict(private=False, kid="rsa-1", alg="RS384", use="sig")]
    body.jwks[PANTRY] = {"keys": both}
    body.publish()
    assert trust.refresh()
    assert counting(trust, PANTRY) == named(old)
    body.changes[PANTRY] = [hand_over(PANTRY, {"keys": both}, old, body.clock.now)]
    body.publish()
    assert trust.refresh()
    assert counting(trust, PANTRY) == named(old) | {rsa.thumbprint()}
    assert trust.alarms == ()


def test_first_use_does_not_pin_anew(trust: Trust, body: Body) -> None:
    old = body.keys[PANTRY]
    body.new_key(PANTRY, signed=False)
    body.publish()
    assert trust.refresh()
    trust.pin(PANTRY, CLINIC)
    assert counting(trust, PANTRY) == named(old)
    assert [one.organization for one in trust.pins()] == [PANTRY, CLINIC]


def test_one_who_was_never_a_partner_is_taken_with_the_keys_of_the_day(trust: Trust, body: Body) -> None:
    body.new_key(CLINIC, signed=False)
    body.publish()
    assert trust.refresh()
    assert counting(trust, CLINIC) == named(body.keys[CLINIC])


def test_a_partner_that_leaves_and_comes_back_is_held_to_its_old_keys(trust: Trust, body: Body) -> None:
    old = body.keys.pop(PANTRY)
    body.publish()
    assert trust.refresh()
    assert trust.entry(PANTRY) is None
    body.keys[PANTRY] = keys.generate()
    body.publish()
    assert trust.refresh()
    assert counting(trust, PANTRY) == named(old)


def test_only_keys_are_held_back_not_what_else_the_directory_says(trust: Trust, body: Body) -> None:
    body.new_key(PANTRY, signed=False)
    body.suspended = {PANTRY}
    body.publish()
    assert trust.refresh()
    assert _status(trust, PANTRY) == "suspended"


@pytest.mark.parametrize("organization", [SHELTER, CLINIC])
def test_who_is_unknown_or_suspended_is_not_pinned(organization: str, trust: Trust, body: Body) -> None:
    body.suspend(CLINIC)
    assert trust.refresh()
    trust.pin(organization)
    assert [one.organization for one in trust.pins()] == [PANTRY]


def test_what_another_process_pins_is_taken_up(store: Store, trust: Trust, body: Body, clock: Clock) -> None:
    new = body.new_key(PANTRY, signed=False)
    body.publish()
    assert trust.refresh()
    trusting(store, body).pin_again(PANTRY)
    assert not trust.refresh()
    clock.forward(timedelta(seconds=5))
    assert trust.refresh()
    assert counting(trust, PANTRY) == named(new)


# --- what peers say ----------------------------------------------------------------------------------


def test_a_peer_with_the_same_or_with_an_unknown_directory_is_no_alarm(trust: Trust, body: Body) -> None:
    old = trust.said()
    body.publish()
    assert trust.refresh()
    for said in (trust.said(), old, f"3:{'0' * 64}"):
        trust.heard(PANTRY, said)
    assert trust.alarms == ()


@pytest.mark.parametrize("sequence", [1, 2])
def test_a_peer_that_was_shown_another_directory_is_an_alarm_until_a_restart(
    sequence: int, trust: Trust, store: Store, body: Body
) -> None:
    body.publish()
    assert trust.refresh()
    trust.heard(PANTRY, f"{sequence}:{'0' * 64}")
    trust.heard(PANTRY, trust.said())
    assert _only(trust.alarms) == (
        f"harbor-food-pantry holds another directory than this node under the same number {sequence}"
    )
    assert trusting(store, body).alarms == ()


NOTHING = "0" * 64


@pytest.mark.parametrize(
    "said",
    [
        *("", ":", "1", "1:", f"one:{NOTHING}", f"-1:{NOTHING}", f"01:{NOTHING}", f"1:{NOTHING}\n"),
        *(f"1:{NOTHING[1:]}", f"1:{'G' * 64}", f"1:{'é' * 64}", f"{chr(0x661)}:{NOTHING}", "\ud800"),
        f"{'9' * 5000}:{NOTHING}",
    ],
)
def test_what_a_peer_says_in_no_known_form_says_nothing(said: str, trust: Trust) -> None:
    trust.heard(PANTRY, said)
    assert trust.alarms == ()


# --- on the hot path, and beside one another ---------------------------------------------------------


def test_asking_for_an_entry_touches_neither_store_nor_folder_nor_signatures(
    store: Store, trust: Trust, body: Body, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbidden(*_: object, **__: object) -> None:
        raise AssertionError("not while a request is waiting")

    monkeypatch.setattr(jws, "deserialize_compact", forbidden)
    monkeypatch.setattr(store, "work", forbidden)
    shutil.rmtree(body.folder)
    assert (_status(trust, PANTRY), _status(trust, CLINIC)) == ("active", "active")
    assert trust.entry(f"{ISSUER}/Organization/nobody") is None
    trust.heard(PANTRY, f"1:{'0' * 64}")
    assert len(trust.alarms) == 1


def test_readers_beside_a_refresh_see_what_was_published_and_nothing_between(
    trust: Trust, body: Body
) -> None:
    said, signed = {trust.said()}, {named(body.keys[PANTRY])}
    over = Event()

    def watch() -> int:
        rounds = 0
        while not over.is_set():
            assert trust.said() in said
            assert counting(trust, PANTRY) in signed
            assert {one.keys for one in trust.pins()} <= signed
            assert trust.alarms == ()
            rounds += 1
        return rounds

    with ThreadPoolExecutor(3) as readers:
        watching = [readers.submit(watch) for _ in range(3)]
        try:
            for _ in range(12):
                signed.add(named(body.new_key(PANTRY, signed=True)))
                body.changes[PANTRY] = body.changes[PANTRY][-1:]
                body.publish()
                said.add(f"{body.sequence}:{body.digests[0]}")
                assert trust.refresh()
        finally:
            over.set()
        assert all(one.result() > 0 for one in watching)


def test_two_processes_with_one_store_agree_on_one_directory(
    store: Store, body: Body, tmp_path: Path
) -> None:
    ours = trusting(store, body)
    shutil.copytree(body.folder, tmp_path / "theirs")
    theirs = Body(tmp_path / "theirs", body.clock)
    theirs.keys, theirs.sequence, theirs.digests = body.keys, body.sequence, body.digests
    other = trusting(store, theirs)
    body.publish()
    assert ours.refresh()
    theirs.publish(days=8)
    assert not other.refresh()
    assert "another directory was used here under this number" in _only(other.alarms)
