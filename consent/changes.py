"""When time alone may turn what a person's consents permit into a refusal: what to look at again, and when.

The ends of what permits are known from the provisions themselves. Here are the other changes: a refusal that
begins, one that takes over again when an exception within it ends, a replaced one that comes back.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final

from consent.provisions import CompiledConsent, Rule
from consent.r4 import ACTIVE

Change = tuple[datetime, bool]
"""When, and whether something begins then (otherwise it has ended just after)."""

INSTANT: Final = timedelta(microseconds=1)


def coming(consents: Sequence[CompiledConsent], now: datetime) -> list[datetime]:
    """The last moments before each change after `now`, the first one first, in the zone of `now`."""
    changes = {
        change for one in consents if one.usable and one.status == ACTIVE for change in of_consent(one)
    }
    return sorted({last_before(moment, starts, now) for moment, starts in changes if moment > now})


def last_before(moment: datetime, starts: bool, now: datetime) -> datetime:
    """The last moment before something starts, or after which it has ended, in the zone of `now`."""
    last = moment - INSTANT if starts else moment
    try:
        return last.astimezone(now.tzinfo)
    except OverflowError:  # the last hours of the calendar
        return last


def of_consent(consent: CompiledConsent) -> Iterator[Change]:
    """The changes that one consent brings."""
    refuses = not consent.permit and not consent.permit_list
    if consent.gate.starts and (refuses or _denies(consent.rules)):
        yield consent.gate.starts, True
    if consent.replaces and consent.gate.ends:
        yield consent.gate.ends, False
    yield from _of_rules(consent.rules)


def _of_rules(rules: Iterable[Rule], *, excepted: bool = False) -> Iterator[Change]:
    """excepted: they stand within a deny, which takes over again when a permit in it ends."""
    for rule in rules:
        if rule.gate.starts and (not rule.permit or _denies(rule.rules)):
            yield rule.gate.starts, True
        if rule.gate.ends and rule.permit and excepted:
            yield rule.gate.ends, False
        yield from _of_rules(rule.rules, excepted=excepted or not rule.permit)


def _denies(rules: Iterable[Rule]) -> bool:
    return any(not rule.permit or _denies(rule.rules) for rule in rules)
