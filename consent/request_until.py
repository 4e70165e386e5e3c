"""How long an answer holds: whoever keeps a permit must ask again when something begins that may refuse it.

The ends of what permits are known from the provisions themselves. Here are the other changes that time alone
brings: a refusal that begins, a replaced one that comes back, a member who joins or leaves a group.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from consent.provisions import CompiledConsent, Rule
from consent.r4 import ACTIVE
from consent.when import first_moment, last_moment

_MEMBERS: Final = {"Group": "member", "CareTeam": "participant"}
_Change = tuple[datetime, bool]  # when, and whether something begins then
_INSTANT: Final = timedelta(microseconds=1)


def next_change(
    consents: Sequence[CompiledConsent], directory: Mapping[str, Any], now: datetime
) -> datetime | None:
    """The last moment before time alone may turn a permit into a refusal; None where nothing is in sight."""
    moments = [
        *(moment for one in consents if one.usable and one.status == ACTIVE for moment in _of_consent(one)),
        *_of_groups(directory.get("entry") or ()),
    ]
    return min((_last(moment, starts, now) for moment, starts in moments if moment > now), default=None)


def _last(moment: datetime, starts: bool, now: datetime) -> datetime:
    """The last moment before something starts, or after which it has ended, in the zone of `now`."""
    last = moment - _INSTANT if starts else moment
    try:
        return last.astimezone(now.tzinfo)
    except OverflowError:  # the last hours of the calendar
        return last


def _of_consent(consent: CompiledConsent) -> Iterator[_Change]:
    refuses = not consent.permit and not consent.permit_list
    if consent.gate.starts and (refuses or _denies(consent.rules)):
        yield consent.gate.starts, True
    if consent.replaces and consent.gate.ends:
        yield consent.gate.ends, False
    yield from _of_rules(consent.rules)


def _of_rules(rules: Iterable[Rule]) -> Iterator[_Change]:
    for rule in rules:
        if rule.gate.starts and (not rule.permit or _denies(rule.rules)):
            yield rule.gate.starts, True
        yield from _of_rules(rule.rules)


def _denies(rules: Iterable[Rule]) -> bool:
    return any(not rule.permit or _denies(rule.rules) for rule in rules)


def _of_groups(entries: Iterable[Mapping[str, Any]]) -> Iterator[_Change]:
    for entry in entries:
        resource = entry["resource"]
        listed = resource.get(_MEMBERS.get(resource["resourceType"], ""))
        for member in listed if isinstance(listed, list) else ():
            period = member.get("period") if isinstance(member, dict) else None
            if isinstance(period, dict):
                yield from _of_period(period)


def _of_period(period: Mapping[str, Any]) -> Iterator[_Change]:
    try:
        if "start" in period:
            yield first_moment(period["start"], UTC), True
        if "end" in period:
            yield last_moment(period["end"], UTC), False
    except ValueError:
        return  # one that cannot be read makes nobody a member, whenever it is asked
