"""How the keys of an identity follow one another, by a turned clock, and whatever stops or damages them."""

from __future__ import annotations

import itertools
import multiprocessing
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from key_world import (
    BEGAN,
    DAY,
    HOUR,
    MINUTE,
    PANTRY,
    World,
    away,
    changes_of_files,
    kid,
    killed_before,
)

from gateway.signing import keys
from gateway.signing.operational import PACE, KeyRing

TOKEN = timedelta(seconds=300)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.fixture
def week_on(world: World) -> KeyRing:
    """A node that has run for a week."""
    ring = world.ring()
    world.forward(ring, 7 * DAY)
    return ring


# ------------------------------------------------------------------ one key for everything


def test_one_key_signs_and_is_recognised_and_there_is_no_signed_set() -> None:
    key = keys.generate()
    ring = KeyRing.of(key)
    assert kid(ring) == key.thumbprint() == ring.federation
    assert ring.verifying(key.thumbprint()) is key
    assert ring.verifying(keys.generate().thumbprint()) is None
    assert ring.jwks() == keys.public_jwks(key)
    assert ring.published() is None
    assert [line.state for line in ring.lines(BEGAN)] == ["signs everything; it stands in the directory"]
    with pytest.raises(keys.KeyFileError, match="has no operational keys"):
        ring.rotation(BEGAN)
    assert ring.rotate_if_due(BEGAN) == () and ring.alarms(BEGAN) == () and not ring.refresh()


# ------------------------------------------------------------------ from day to day


def test_on_the_first_day_the_federation_key_signs_as_partners_have_no_other_yet(world: World) -> None:
    ring = world.ring()
    assert (kid(ring), ring.published()) == (world.federation.thumbprint(), None)
    world.forward(ring, DAY - MINUTE)
    assert kid(ring) == world.federation.thumbprint()
    (first,) = world.partners_have(ring)
    world.forward(ring, MINUTE)
    assert kid(ring) == first


def test_every_key_was_published_a_day_before_it_signs_and_signs_a_day(world: World) -> None:
    ring = world.ring()
    published, used = {}, {}
    for _ in range(14 * 24 * 2):
        ring.rotate_if_due(world.now)
        for name in world.partners_have(ring):
            published.setdefault(name, world.now)
        used.setdefault(kid(ring), world.now)
        world.now += 30 * MINUTE
    times = [used[name] for name in used]
    assert len(used) == 1 + 13, "the federation key, and a key a day"
    assert all(used[name] - published[name] >= DAY for name in used if name != ring.federation)
    lasted = [after - before for before, after in itertools.pairwise(times[1:])]
    assert all(DAY <= span <= DAY + HOUR + 30 * MINUTE for span in lasted)
    assert len(set(lasted)) > 1, "two names of one agency must not change their keys at one moment"


def test_what_a_key_signed_is_recognised_while_it_may_be_shown_and_then_the_key_is_gone(
    world: World, week_on: KeyRing
) -> None:
    before = kid(week_on)
    while kid(week_on) == before:
        world.forward(week_on, MINUTE, MINUTE)
    world.forward(week_on, PACE.kept - MINUTE, MINUTE)
    assert PACE.kept - MINUTE > TOKEN + timedelta(seconds=300), "a token's life, and that of a cached set"
    assert week_on.verifying(before) is not None
    assert before in world.partners_have(week_on) and before in world.files()
    world.forward(week_on, 2 * MINUTE, MINUTE)
    assert week_on.verifying(before) is None
    assert before not in world.partners_have(week_on) and before not in world.files()
    assert not list(world.folder.glob(f"*{before}*")) and before not in str(world.state())


def test_the_plain_set_has_the_operational_keys_and_the_federation_key(
    world: World, week_on: KeyRing
) -> None:
    public = {key["kid"]: key for key in week_on.jwks()["keys"]}
    assert public.keys() == world.partners_have(week_on) | {world.federation.thumbprint()}
    assert all("d" not in key for key in public.values())


def test_when_nothing_is_due_nothing_is_written(world: World, week_on: KeyRing) -> None:
    before = {path: path.stat().st_mtime_ns for path in world.folder.iterdir()}
    for _ in range(3):
        assert week_on.rotate_if_due(world.now) == ()
    assert {path: path.stat().st_mtime_ns for path in world.folder.iterdir()} == before


def test_a_node_that_was_off_for_three_weeks_signs_and_publishes_again_at_once(
    world: World, week_on: KeyRing
) -> None:
    world.now += 21 * DAY
    ring = world.ring()
    assert (kid(ring), ring.published()) == (world.federation.thumbprint(), None), "the set is over"
    ring.rotate_if_due(world.now)
    ring.rotate_if_due(world.now)
    assert kid(ring) in world.partners_have(ring)
    assert len(world.partners_have(ring)) >= 2


def test_the_set_is_signed_anew_long_before_it_is_over(world: World, week_on: KeyRing) -> None:
    for _ in range(25):
        world.forward(week_on, DAY, 12 * HOUR)
        assert world.partners_have(week_on)


# ------------------------------------------------------------------ at once


def test_an_urgent_key_signs_at_once_and_is_in_the_set_already(world: World, week_on: KeyRing) -> None:
    before = kid(week_on)
    week_on.rotation(world.now).run(urgent=True)
    after = kid(week_on)
    assert after != before and {before, after} <= world.partners_have(week_on)
    assert world.key(after)["urgent"] and week_on.verifying(before) is not None


def test_another_replica_recognises_an_urgent_key_without_being_told(world: World, week_on: KeyRing) -> None:
    other = KeyRing(PANTRY, world.folder, world.federation_file, now=lambda: world.now, look_seconds=3600.0)
    week_on.rotation(world.now).run(urgent=True)
    assert kid(other) != kid(week_on), "it has not looked yet"
    assert other.verifying(kid(week_on)) is not None, "but for a name that it does not know it looks"
    assert kid(other) == kid(week_on)


def test_what_a_replica_serves_is_never_older_than_the_key_that_another_signs_with(
    world: World, week_on: KeyRing
) -> None:
    serving = KeyRing(PANTRY, world.folder, world.federation_file, now=lambda: world.now, look_seconds=3600.0)
    week_on.rotation(world.now).run(urgent=True)
    assert kid(week_on) in world.partners_have(serving), "a partner that asks in vain does not ask again soon"
    week_on.rotation(world.now).run(urgent=True)
    assert kid(week_on) in {key["kid"] for key in serving.jwks()["keys"]}


def test_a_key_made_now_waits_for_its_day_like_every_other(world: World, week_on: KeyRing) -> None:
    before, waiting = kid(week_on), len(world.partners_have(week_on))
    (made, _signed) = week_on.rotation(world.now).run(more=1)
    assert kid(week_on) == before and len(world.partners_have(week_on)) == waiting + 1
    world.forward(week_on, DAY - MINUTE)
    assert kid(week_on) != made.kid


def test_no_more_keys_are_made_than_a_set_may_hold(world: World) -> None:
    ring = world.ring()
    with pytest.raises(keys.KeysError, match="at most 32"):
        ring.rotation(world.now).run(ahead=33)
    ring.rotate_if_due(world.now)
    assert len(world.partners_have(ring)) == 32


# ------------------------------------------------------------------ taken back


def test_a_key_that_is_taken_back_is_refused_at_once_and_another_signs(
    world: World, week_on: KeyRing
) -> None:
    other, lost = world.ring(), kid(week_on)
    week_on.rotation(world.now).revoke(lost)
    for ring in (week_on, other):
        assert ring.verifying(lost) is None
        assert kid(ring) != lost
        assert lost not in world.partners_have(ring) and lost not in {
            key["kid"] for key in ring.jwks()["keys"]
        }
    assert lost not in world.files()
    world.forward(week_on, 2 * DAY)
    assert week_on.verifying(lost) is None and kid(week_on) != week_on.federation
    assert "taken back: refused" in {line.state for line in week_on.lines(world.now) if line.kid == lost}


def test_all_operational_keys_can_be_taken_back_and_the_federation_key_signs(
    world: World, week_on: KeyRing
) -> None:
    for name in world.partners_have(week_on):
        week_on.rotation(world.now).revoke(name)
    assert kid(week_on) == week_on.federation
    assert world.partners_have(week_on) == world.files() and len(world.files()) == 1, "a new one waits"
    world.forward(week_on, DAY)
    assert kid(week_on) in world.files()


@pytest.mark.parametrize("which", ["unknown", "federation", "taken back before"])
def test_what_is_no_operational_key_is_not_taken_back(world: World, week_on: KeyRing, which: str) -> None:
    name = {"unknown": "x" * 43, "federation": week_on.federation, "taken back before": kid(week_on)}[which]
    if which == "taken back before":
        week_on.rotation(world.now).revoke(name)
    before = world.state()
    with pytest.raises(keys.KeysError, match="no operational key of this name"):
        week_on.rotation(world.now).revoke(name)
    assert world.state() == before


# ------------------------------------------------------------------ the federation key kept elsewhere


def prepared(world: World, days: int) -> KeyRing:
    """A node whose federation key lies elsewhere, with keys made for so many days."""
    ring = world.ring()
    world.forward(ring, 2 * DAY)
    federation = keys.load(world.federation_file)
    world.federation_file.rename(world.safe)
    assert ring.federation_key is not None
    ring.refresh()
    assert ring.federation_key is None and ring.federation == federation.thumbprint()
    ring.rotation(world.now, federation).run(ahead=days)
    return ring


def test_with_keys_made_in_advance_a_node_runs_for_days_without_the_federation_key(world: World) -> None:
    ring = prepared(world, days=14)
    used = set()
    for _ in range(14 * 12):
        ring.rotate_if_due(world.now)
        used.add(kid(ring))
        assert kid(ring) in world.partners_have(world.ring()), "also when it is started again"
        world.now += 2 * HOUR
    assert len(used) == 1 + 13 and ring.federation not in used
    assert ring.verifying(ring.federation) is not None


def test_it_says_in_time_that_the_prepared_keys_come_to_an_end(world: World) -> None:
    ring = prepared(world, days=14)
    assert ring.alarms(world.now) == ()
    world.forward(ring, 13 * DAY)
    assert [alarm for alarm in ring.alarms(world.now) if "the signed key set is over on 2026-12-10" in alarm]
    world.forward(ring, 3 * DAY)
    said = " ".join(ring.alarms(world.now))
    assert "so partners refuse us" in said and "no operational key waits" in said
    last = kid(ring)
    assert last in world.files() and ring.published() is None, (
        "it goes on with what it has, for its own systems"
    )
    ring.rotation(world.now, keys.load(world.safe)).run(ahead=14)
    assert ring.alarms(world.now) == () and last in world.partners_have(ring)


def test_prepared_once_more_only_what_is_missing_is_made(world: World) -> None:
    ring = prepared(world, days=5)
    world.forward(ring, 3 * DAY)
    federation = keys.load(world.safe)
    done = ring.rotation(world.now, federation).run(ahead=5)
    assert 2 <= sum(step.what == "made" for step in done) <= 3
    assert ring.rotation(world.now, federation).run(ahead=5) == ()


def test_taken_back_without_the_federation_key_it_is_refused_here_and_the_next_prepared_key_signs(
    world: World,
) -> None:
    ring = prepared(world, days=3)
    lost = kid(ring)
    ring.rotation(world.now).revoke(lost)
    assert ring.verifying(lost) is None and kid(ring) in world.partners_have(ring)
    assert lost in world.partners_have(ring), "partners learn it when the set is signed anew"
    (line,) = (line for line in ring.lines(world.now) if line.kid == lost)
    assert line.state == "taken back: refused, but still in the signed set"
    ring.rotation(world.now, keys.load(world.safe)).run()
    assert lost not in world.partners_have(ring)


def test_without_the_federation_key_the_last_published_key_is_not_taken_back(world: World) -> None:
    ring = prepared(world, days=1)
    for name in world.partners_have(ring) - {kid(ring)}:
        ring.rotation(world.now).revoke(name)
    before = world.state()
    with pytest.raises(keys.KeysError, match=r"the only key that is published.*--federation-key"):
        ring.rotation(world.now).revoke(kid(ring))
    assert world.state() == before and ring.verifying(kid(ring)) is not None


def test_a_node_that_has_nothing_to_sign_with_does_not_start(world: World) -> None:
    with away(world.federation_file), pytest.raises(keys.KeyFileError, match="nothing to sign with"):
        world.ring()
    world.ring().rotate_if_due(world.now)
    with (
        away(world.federation_file),
        pytest.raises(keys.KeyFileError, match="no operational key is in use yet"),
    ):
        world.ring()


def test_an_encrypted_federation_key_without_its_passphrase_is_one_kept_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WAYMEET_PASSPHRASE_FILE", raising=False)
    world = World(tmp_path, "correct horse battery staple")
    ring = world.ring()
    world.forward(ring, 2 * DAY)
    assert all(b"ENCRYPTED" in path.read_bytes() for path in world.folder.glob("*.pem"))
    for path in world.folder.glob("*.pem"):
        path.write_bytes(keys.load(path, world.passphrase).as_pem(private=True))
    world.passphrase = None
    with pytest.raises(keys.KeyFileError, match=r"nothing to sign with.*is encrypted"):
        KeyRing(PANTRY, tmp_path / "empty.operational", world.federation_file)
    without = world.ring()
    assert without.federation_key is None and kid(without) == kid(ring)


def test_a_federation_key_that_others_can_read_stops_the_start(world: World) -> None:
    world.federation_file.chmod(0o640)
    with pytest.raises(keys.KeyFileError, match="0600"):
        world.ring()


# ------------------------------------------------------------------ another federation key


def test_after_a_change_of_the_federation_key_the_set_is_signed_by_the_new_one(
    world: World, week_on: KeyRing
) -> None:
    old, new, names = world.federation, keys.generate(), world.partners_have(week_on)
    keys.save(world.federation_file.with_name("next.pem"), new)
    world.federation_file.with_name("next.pem").replace(world.federation_file)
    assert week_on.federation == old.thumbprint()
    week_on.refresh()
    assert week_on.federation == new.thumbprint(), "without a restart"
    assert world.partners_have(week_on, old) == names, "until it is signed anew, the old signature is served"
    week_on.rotate_if_due(world.now)
    assert world.partners_have(week_on, new) == names
    for ring in (week_on, world.ring()):
        assert ring.verifying(old.thumbprint()) is not None, "what the old one signed may still be shown"
    world.forward(week_on, PACE.kept, MINUTE)
    assert week_on.verifying(old.thumbprint()) is None
    assert old.thumbprint() not in {key["kid"] for key in week_on.jwks()["keys"]}


def test_a_replica_that_has_not_seen_the_new_federation_key_does_not_sign_with_the_old_one_again(
    world: World, week_on: KeyRing
) -> None:
    late = KeyRing(PANTRY, world.folder, world.federation_file, now=lambda: world.now, look_seconds=3600.0)
    new = keys.generate()
    keys.save(world.federation_file.with_name("next.pem"), new)
    world.federation_file.with_name("next.pem").replace(world.federation_file)
    week_on.rotate_if_due(world.now)
    assert late.federation == world.federation.thumbprint()
    late.rotation(world.now).run(more=1)
    assert world.partners_have(week_on, new) and not world.partners_have(week_on, world.federation)


# ------------------------------------------------------------------ clocks


def test_a_clock_that_goes_back_breaks_nothing(world: World, week_on: KeyRing) -> None:
    before = kid(week_on)
    world.now -= 3 * DAY
    week_on.rotate_if_due(world.now)
    assert kid(week_on) == before in world.partners_have(week_on), "signed anew: an iat to come is refused"
    world.forward(week_on, DAY - MINUTE)
    assert kid(week_on) == before, "the next waits a day by this clock"
    world.forward(week_on, 2 * HOUR)
    assert kid(week_on) != before


def test_a_clock_that_was_years_ahead_for_an_hour_breaks_nothing(world: World, week_on: KeyRing) -> None:
    world.now += 3650 * DAY
    world.forward(week_on, HOUR, MINUTE)
    world.now -= 3650 * DAY
    week_on.rotate_if_due(world.now)
    assert kid(week_on) in world.partners_have(week_on)
    names = set()
    for _ in range(4):
        world.forward(week_on, DAY)
        names.add(kid(week_on))
        assert kid(week_on) in world.partners_have(week_on)
    assert len(names) >= 3, "and keys go on following one another"


# ------------------------------------------------------------------ what is found on disk


def test_damaged_while_it_runs_the_node_goes_on_with_what_it_has_and_says_so(
    world: World, week_on: KeyRing
) -> None:
    before, state = kid(week_on), (world.folder / "state.json").read_bytes()
    (world.folder / "state.json").write_bytes(state[: len(state) // 2])
    assert kid(week_on) == before
    assert any("state.json: is damaged" in alarm for alarm in week_on.alarms(world.now))
    with pytest.raises(keys.KeyFileError, match="damaged"):
        week_on.rotate_if_due(world.now)
    with pytest.raises(keys.KeyFileError, match="damaged"):
        world.ring()
    (world.folder / "state.json").write_bytes(state)
    assert week_on.refresh() and week_on.alarms(world.now) == ()


def test_keys_without_their_state_are_not_guessed_about(world: World, week_on: KeyRing) -> None:
    (world.folder / "state.json").unlink()
    with pytest.raises(keys.KeyFileError, match="missing though there are keys"):
        world.ring()
    for path in world.folder.glob("*.pem"):
        path.unlink()
    assert kid(world.ring()) == world.federation.thumbprint(), "moved away, it begins anew"


def test_each_name_has_a_folder_of_its_own(world: World, week_on: KeyRing) -> None:
    with pytest.raises(keys.KeyFileError, match="another organization"):
        KeyRing(f"{PANTRY}-2", world.folder, world.federation_file)


def test_a_key_under_the_name_of_another_is_refused(world: World, week_on: KeyRing) -> None:
    path = world.folder / f"{kid(week_on)}.pem"
    path.unlink()
    keys.save(path, keys.generate())
    with pytest.raises(keys.KeyFileError, match="another key than its name says"):
        world.ring()


def test_a_key_whose_file_was_removed_is_given_up_and_another_signs(world: World, week_on: KeyRing) -> None:
    lost = kid(week_on)
    (world.folder / f"{lost}.pem").unlink()
    ring = world.ring()
    assert kid(ring) == ring.federation
    ring.rotate_if_due(world.now)
    assert lost not in world.partners_have(ring)
    world.forward(ring, DAY)
    assert kid(ring) in world.files()


@pytest.mark.parametrize("content", [b"", b"garbled", b"a.b.c"])
def test_a_signed_set_that_is_garbled_is_signed_anew(world: World, week_on: KeyRing, content: bytes) -> None:
    names = world.partners_have(week_on)
    (world.folder / "signed-jwks.jws").write_bytes(content)
    assert kid(week_on) == week_on.federation and week_on.published() is None
    week_on.rotate_if_due(world.now)
    assert world.partners_have(week_on) == names and kid(week_on) in names


def test_a_full_disk_changes_nothing_and_the_next_run_goes_on(
    world: World, week_on: KeyRing, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    before = kid(week_on)
    world.now += 2 * DAY
    with monkeypatch.context() as patched:
        patched.setattr("os.fsync", full)
        with pytest.raises(OSError, match="No space left"):
            week_on.rotate_if_due(world.now)
        assert kid(week_on) == before
        assert any("No space left" in alarm for alarm in week_on.alarms(world.now))
    week_on.rotate_if_due(world.now)
    assert kid(week_on) != before and week_on.alarms(world.now) == ()


# ------------------------------------------------------------------ killed, and side by side

Act = Callable[[World, KeyRing], object]


def _first(world: World, ring: KeyRing) -> object:
    return ring.rotate_if_due(world.now)


def _next_day(world: World, ring: KeyRing) -> object:
    world.now += DAY + 2 * HOUR
    return ring.rotate_if_due(world.now)


def _deletes(world: World, ring: KeyRing) -> object:
    world.now += 20 * MINUTE
    return ring.rotate_if_due(world.now)


def _urgent(world: World, ring: KeyRing) -> object:
    return ring.rotation(world.now).run(urgent=True)


def _ahead(world: World, ring: KeyRing) -> object:
    return ring.rotation(world.now).run(ahead=4)


def _take_back(world: World, ring: KeyRing) -> object:
    return ring.rotation(world.now).revoke(ring.signing.thumbprint())


def _into_the_safe(world: World, ring: KeyRing) -> object:
    world.federation_file.rename(world.safe)
    return ring.refresh()


def _take_back_fetched(world: World, ring: KeyRing) -> object:
    return ring.rotation(world.now, keys.load(world.safe)).revoke(ring.signing.thumbprint())


@pytest.mark.parametrize(
    ("before", "act"),
    [
        pytest.param([], _first, id="the first key"),
        pytest.param([_first], _next_day, id="the first key is used"),
        pytest.param([_first, _next_day], _next_day, id="a day passes"),
        pytest.param([_first, _next_day, _next_day], _deletes, id="a key is over"),
        pytest.param([_first, _next_day], _urgent, id="urgent"),
        pytest.param([], _urgent, id="urgent, as the first"),
        pytest.param([_first, _next_day], _ahead, id="days ahead"),
        pytest.param([_first, _next_day], _take_back, id="taken back"),
        pytest.param([_first, _next_day, _into_the_safe], _take_back_fetched, id="federation key fetched"),
    ],
)
def test_killed_before_any_change_of_a_file_the_ring_signs_and_the_next_run_finishes(
    tmp_path: Path, before: list[Act], act: Act
) -> None:
    def prepared_world(name: str) -> tuple[World, KeyRing, str]:
        (tmp_path / name).mkdir()
        world = World(tmp_path / name)
        ring = world.ring()
        for each in before:
            each(world, ring)
        return world, ring, kid(ring)

    world, ring, _ = prepared_world("whole")
    total = changes_of_files(lambda: act(world, ring), world.folder)
    assert total >= 3
    for change in range(1, total + 1):
        world, ring, signed_before = prepared_world(str(change))
        killed_before(lambda world=world, ring=ring: act(world, ring), world.folder, change)
        if act in (_next_day, _deletes):
            world.now += DAY + 2 * HOUR if act is _next_day else 20 * MINUTE
        for found in (ring, world.ring()):
            name = kid(found)
            assert name == found.federation or name in world.partners_have(found)
            assert act in (_take_back, _take_back_fetched) or found.verifying(signed_before) is not None
        if world.safe.exists():
            world.safe.rename(world.federation_file)
        ring = world.ring()
        ring.rotate_if_due(world.now)
        ring.rotate_if_due(world.now)
        written = world.state()["keys"]
        counting = {key["kid"] for key in written if key["revoked"] is None}
        assert counting == world.files() == world.partners_have(ring)
        assert all(key["published"] for key in written)
        assert [key for key in written if key["used"] is None], "one waits"
        assert kid(ring) == ring.federation or kid(ring) in counting


def _hurry(world: World, times: int) -> None:
    ring = world.ring()
    for _ in range(times):
        ring.rotation(world.now).run(urgent=True)
        ring.rotate_if_due(world.now)
        assert ring.verifying(kid(ring)) is not None


def test_processes_that_change_one_folder_at_a_time_do_not_disturb_each_other(
    world: World, week_on: KeyRing
) -> None:
    context = multiprocessing.get_context("fork")
    hurried = [context.Process(target=_hurry, args=(world, 5)) for _ in range(4)]
    signed = {kid(week_on)}
    for process in hurried:
        process.start()
    while any(process.is_alive() for process in hurried):
        signed.add(kid(week_on))
        assert all(week_on.verifying(name) is not None for name in signed)
    assert [process.exitcode for process in hurried] == [0] * 4
    week_on.refresh()
    written = world.state()["keys"]
    assert sum(key["urgent"] for key in written) == 20
    assert sum(key["used"] is not None and key["retired"] is None for key in written) == 1
    assert world.files() == {key["kid"] for key in written} == world.partners_have(week_on)
