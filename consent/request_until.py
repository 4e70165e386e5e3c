"""How long an answer holds: whoever keeps a permit must ask again when something begins that may refuse it.

Beside what the consents themselves bring (`consent.changes`): a member who joins or leaves a group, a role
that somebody has until then.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from consent.changes import Change, coming, last_before
from consent.provisions import CompiledConsent
from consent.when import first_moment, last_moment

_MEMBERS: Final = {"Group": "member", "CareTeam": "participant"}


def next_change(
    consents: Sequence[CompiledConsent], directory: Mapping[str, Any], now: datetime
) -> datetime | None:
    """The last moment before time alone may turn a permit into a refusal; None where nothing is in sight."""
    groups = _of_groups(directory.get("entry") or ())
    moments = [last_before(moment, starts, now) for moment, starts in groups if moment > now]
    return min((*coming(consents, now)[:1], *moments), default=None)


def _of_groups(entries: Iterable[Mapping[str, Any]]) -> Iterator[Change]:
    for entry in entries:
        resource = entry["resource"]
        held = resource.get("period") if resource["resourceType"] == "PractitionerRole" else None
        if isinstance(held, dict):
            yield from _of_period(held)
        listed = resource.get(_MEMBERS.get(resource["resourceType"], ""))
        for member in listed if isinstance(listed, list) else ():
            period = member.get("period") if isinstance(member, dict) else None
            if isinstance(period, dict):
                yield from _of_period(period)


def _of_period(period: Mapping[str, Any]) -> Iterator[Change]:
    try:
        if "start" in period:
            yield first_moment(period["start"], UTC), True
        if "end" in period:
            yield last_moment(period["end"], UTC), False
    except ValueError:
        return  # one that cannot be read makes nobody a member, whenever it is asked
