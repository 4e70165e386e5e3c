"""Code systems that are told by their form or by a short list: languages, media types, currencies, countries.

BCP 47 (RFC 5646) with the two-letter languages of ISO 639-1 and the regions of ISO 3166-1; BCP 13 (RFC 6838).
The lists are in `base/iso.json`; ISO 4217's has withdrawn codes too, as records hold amounts of the past.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

BCP47: Final = "urn:ietf:bcp:47"
BCP13: Final = "urn:ietf:bcp:13"
CURRENCY: Final = "urn:iso:std:iso:4217"
COUNTRY: Final = "urn:iso:std:iso:3166"

_ISO = json.loads((Path(__file__).parent / "base" / "iso.json").read_text(encoding="utf-8"))
_LANGUAGES = frozenset(_ISO["languages"])
_COUNTRIES = frozenset(_ISO["countries"]) | frozenset(_ISO["countries"].values())
# BCP 47 keeps regions that ISO 3166 gave up, and takes over EU.
_REGIONS = frozenset(_ISO["countries"]) | {"AN", "BU", "CS", "DD", "EU", "SU", "TP", "YU", "ZR"}

LISTS: Final[Mapping[str, frozenset[str]]] = {CURRENCY: frozenset(_ISO["currencies"])}

# The subtags that RFC 5646, 2.1, has beside its grandfathered and wholly private tags.
_TAG = re.compile(
    r"(?P<language>[a-z]{2,3})(?P<extlang>(-[a-z]{3}){1,3})?(-(?P<script>[a-z]{4}))?"
    r"(-(?P<region>[a-z]{2}|[0-9]{3}))?(?P<variant>(-([a-z0-9]{5,8}|[0-9][a-z0-9]{3}))*)"
    r"(?P<extension>(-[a-wy-z0-9](-[a-z0-9]{2,8})+)*)(?P<privateuse>-x(-[a-z0-9]{1,8})+)?",
    re.IGNORECASE | re.ASCII,
)
_PRIVATE = re.compile(r"x(-[a-z0-9]{1,8})+", re.IGNORECASE | re.ASCII)
_GRANDFATHERED = re.compile(
    r"i-(ami|bnn|default|enochian|hak|klingon|lux|mingo|navajo|pwn|ta[oy]|tsu)"
    r"|en-gb-oed|sgn-(be-fr|be-nl|ch-de)",
    re.IGNORECASE | re.ASCII,
)
_LONGEST_TAG = 100
_SHORT_FORMATS = frozenset(
    {"json", "xml", "ttl"}
)  # R4 takes them for media types: CapabilityStatement.format
_NAME = r"[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}"
_MEDIA_TYPE = re.compile(rf'{_NAME}/{_NAME}([ \t]*;[ \t]*{_NAME}=({_NAME}|"[^"\\\x00-\x1f]*"))*', re.ASCII)


def language(code: str) -> bool:
    """Whether a code is a language tag whose language and region exist; of three letters any is taken."""
    if len(code) > _LONGEST_TAG:
        return False
    found = _TAG.fullmatch(code)
    if found is None:
        return bool(_PRIVATE.fullmatch(code) or _GRANDFATHERED.fullmatch(code))
    main, region = found["language"].lower(), found["region"]
    if len(main) == 2 and main not in _LANGUAGES:
        return False
    return region is None or region.isdigit() or region.upper() in _REGIONS or _private_region(region.upper())


def language_part(code: str, part: str) -> bool | None:
    """Whether a language tag has a `region`, `script`, `ext-lang`, ... None for a part BCP 47 has not."""
    found = _TAG.fullmatch(code)
    name = part.replace("-", "")
    if name not in _TAG.groupindex:
        return None
    return bool(found and found[name])


def _private_region(region: str) -> bool:
    return region in ("AA", "ZZ") or "QM" <= region <= "QZ" or region.startswith("X")


def media_type(code: str) -> bool:
    """Whether a code has the form of a media type, with or without parameters, or is a short name for one."""
    return code in _SHORT_FORMATS or _MEDIA_TYPE.fullmatch(code) is not None


def country(code: str) -> bool | None:
    """Whether a code is a country's of two or three letters; of the numeric ones no list is held."""
    return None if len(code) == 3 and code.isdigit() else code in _COUNTRIES


# Of which codes the test of a system cannot tell.
UNTOLD: Final = {COUNTRY: f"no numeric codes of {COUNTRY} are held"}

GRAMMARS: Final[Mapping[str, Callable[[str], bool | None]]] = {
    BCP47: language,
    BCP13: media_type,
    COUNTRY: country,
}
