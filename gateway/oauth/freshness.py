"""How long an HTTP answer may be used again without asking: RFC 9111, as a private cache.

Only what shortens is believed without limit: what is missing, unreadable or said twice keeps nothing for
longer. Nothing is ever used stale.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Final

# RFC 9111 section 5.2: `name`, `name=token` or `name="quoted"`, with commas between. A quoted string may hold
# commas, so a plain split would take part of a value for a directive.
_DIRECTIVE: Final = re.compile(
    r"\s*([A-Za-z0-9!#$%&'*+.^_`|~-]+)\s*(?:=\s*(?:\"((?:[^\"\\]|\\.)*)\"|([^\s,\"]*)))?\s*(?:,|$)"
)
_MAX_FIELD: Final = 1_024
_SECONDS: Final = re.compile(r"[0-9]{1,10}")


@dataclass(frozen=True, slots=True)
class Freshness:
    """What an answer's headers allow. seconds: how long it is fresh, from when it was asked for.

    store: whether anything of it may be kept at all, be it only to ask whether it has changed.
    """

    seconds: float
    store: bool = True


def freshness(
    headers: Mapping[str, str], asked: datetime, *, unstated: float = 0.0, most: float = math.inf
) -> Freshness:
    """What `headers` (lower-case names) allow.

    unstated: seconds where they say nothing (no heuristic of RFC 9111 section 4.2.2 is tried). most: the
    upper limit, whatever they say. The age that caches on the way report is taken off, and time runs from
    when the answer was `asked` for, so that a slow answer is not fresh for longer (section 4.2.3).
    """
    directives = _directives(headers.get("cache-control", ""))
    if directives is None or "no-store" in directives:
        return Freshness(0.0, store=False)
    # `Vary: *`: no later request is ever known to be alike (section 4.1).
    if "no-cache" in directives or "*" in headers.get("vary", ""):
        return Freshness(0.0)
    lifetime = unstated
    if "max-age" in directives:
        lifetime = min(_seconds(value) for value in directives["max-age"])
    elif "expires" in headers:
        lifetime = _until_expires(headers, asked)
    age = _seconds(headers.get("age", "0").partition(",")[0], unreadable=math.inf)
    return Freshness(min(max(lifetime - age, 0.0), most))


def _directives(text: str) -> dict[str, list[str]] | None:
    """The directives of a `Cache-Control` field by lower-case name; None where it cannot be read."""
    if len(text) > _MAX_FIELD:
        return None
    found: dict[str, list[str]] = {}
    at = 0
    text = text.strip().strip(",").strip()
    while at < len(text):
        one = _DIRECTIVE.match(text, at)
        if one is None:
            return None
        found.setdefault(one[1].lower(), []).append(one[2] if one[2] is not None else one[3] or "")
        at = one.end()
    return found


def _seconds(text: str, unreadable: float = 0.0) -> float:
    """Delta-seconds (section 1.2.2), or what is to be taken where it is none (section 4.2.1: stale)."""
    return float(text.strip()) if _SECONDS.fullmatch(text.strip()) else unreadable


def _until_expires(headers: Mapping[str, str], asked: datetime) -> float:
    """Section 5.3: `Expires` less `Date`; 0 where either cannot be read."""
    try:
        expires = parsedate_to_datetime(headers["expires"])
        date = parsedate_to_datetime(headers["date"]) if "date" in headers else asked
        return (expires - date).total_seconds()
    except (ValueError, TypeError, OverflowError):
        return 0.0
