"""The keys of an identity in plain words: how each of them stands, what comes next, and what is wrong."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from gateway.signing.operational_pace import Pace
from gateway.signing.operational_reading import Held
from gateway.signing.operational_state import OperationalKey, State

_SOON: Final = timedelta(days=3)
FEDERATION: Final = "federation key"
OPERATIONAL: Final = "operational key"


class Line(NamedTuple):
    """One key: its name, what it is, how it stands, and what comes next and when, where that is known."""

    kid: str
    kind: str
    state: str
    next: str = ""
    when: datetime | None = None


def lines(held: Held, federation_is_here: bool, pace: Pace, now: datetime) -> list[Line]:
    """Every key that `held` knows of, the federation key first, then in the order in which they sign."""
    state = held.state
    if state is None:
        return [Line(held.signing.thumbprint(), "key", "signs everything; it stands in the directory")]
    return [*_federation(held, state, federation_is_here, pace), *_operational(held, state, pace, now)]


def alarms(held: Held, federation_is_here: bool, now: datetime) -> tuple[str, ...]:
    """What is wrong, for an operator. Without the federation key the keys last as long as was prepared."""
    state = held.state
    if state is None or federation_is_here:
        return ()
    found = []
    mend = "make keys for the days to come with waymeet keys rotate --federation-key FILE --days 14"
    if held.set is None or not held.set.in_force(now):
        found.append(
            f"the signed key set is over and the federation key is not at hand, so partners refuse us: {mend}"
        )
    elif held.set.expires - now < _SOON:
        found.append(
            f"the signed key set is over on {_day(held.set.expires)}, no federation key is at hand: {mend}"
        )
    if not state.waiting:
        found.append(f"no operational key waits to follow and the federation key is not at hand: {mend}")
    return tuple(found)


def _federation(held: Held, state: State, is_here: bool, pace: Pace) -> Iterator[Line]:
    noted = state.federation
    public = [] if noted is None else [str(noted["kid"])]
    if is_here and held.signing.thumbprint() not in held.private:
        first = min((_start(key, pace) for key in state.waiting), default=None)
        kid = held.signing.thumbprint()
        yield Line(kid, FEDERATION, "signs everything, for now", "an operational key signs", first)
    elif public and is_here:
        yield Line(public[0], FEDERATION, "signs the set of the others")
    elif public:
        end = held.set.expires if held.set is not None else None
        yield Line(public[0], FEDERATION, "kept elsewhere", "what it signed is over", end)
    for one in state.former:
        yield Line(
            str(one.jwk["kid"]), FEDERATION, "given up, still accepted", "forgotten", one.retired + pace.kept
        )


def _operational(held: Held, state: State, pace: Pace, now: datetime) -> Iterator[Line]:
    in_set = held.set.kids if held.set is not None else frozenset[str]()
    for key in sorted((key for key in state.keys if key.retired and not key.revoked), key=_since):
        over = (key.retired or now) + pace.kept
        yield Line(key.kid, OPERATIONAL, "used before, still accepted", "deleted", over)
    current, free = state.current, now
    if current is not None:
        free = (current.used or now) + pace.term(current.kid)
        if waiting := state.waiting:
            free = max(free, _start(waiting[0], pace))
            yield Line(current.kid, OPERATIONAL, _urgently("signs", current), "the next one signs", free)
        else:
            yield Line(current.kid, OPERATIONAL, _urgently("signs", current))
    for key in state.waiting:
        if key.published is None or key.kid not in in_set:
            yield Line(key.kid, OPERATIONAL, "made, not yet published")
            continue
        start = max(_start(key, pace), free)
        yield Line(key.kid, OPERATIONAL, "published, waits", "signs", start)
        free = start + pace.term(key.kid)
    for key in sorted((key for key in state.keys if key.revoked), key=_since):
        still = ", but still in the signed set" if key.kid in in_set else ""
        yield Line(key.kid, OPERATIONAL, f"taken back: refused{still}")


def _urgently(said: str, key: OperationalKey) -> str:
    return f"{said}, used without waiting" if key.urgent else said


def _start(key: OperationalKey, pace: Pace) -> datetime:
    return (key.published or key.made) + pace.ahead


def _since(key: OperationalKey) -> datetime:
    return key.revoked or key.retired or key.made


def _day(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d, %H:%M UTC")
