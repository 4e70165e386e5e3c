"""Records in which every primitive that can hold it is a value found nowhere else, and how to find one again.

A template (tests/cases/canaries) says what kind of value stands where. All words begin alike, so that one
expression finds them all, as they are or coded; dates are of years that nothing else here is of.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final

import yaml

TEMPLATES = Path(__file__).parent / "cases" / "canaries"
WORD: Final = "qzxcanary"
_FIRST_DAY, _FIRST_BIRTH = date(1600, 1, 1), date(1930, 1, 1)


@dataclass(frozen=True)
class Template:
    """A kind of record, and by hand what of it may reach whom."""

    source: str
    system: str
    release: tuple[str, ...]
    subject: Mapping[str, str]
    coded: str
    offer: Mapping[str, str]
    dossier: Mapping[str, str]
    own: tuple[str, ...]
    spoil: tuple[str, ...]
    record: Any


def template(name: str) -> Template:
    return Template(**yaml.safe_load((TEMPLATES / f"{name}.yaml").read_text("utf-8")))


@dataclass
class Canaries:
    """Every value that was made: which record it is of, and where it stands in it."""

    of: dict[str, tuple[int, str]] = field(default_factory=dict)
    _by_record: dict[int, list[tuple[str, str]]] = field(default_factory=dict)
    _days: int = 0
    _births: int = 0
    _hashes: dict[str, str] = field(default_factory=dict)

    def forget_hashes(self) -> None:
        """Of the values made until now: only what is made from here on is looked for hashed."""
        self._hashes.clear()

    def record(self, made_of: Template, number: int) -> Any:
        """One record."""
        return self._filled(made_of.record, number, "")

    def word(self, number: int, path: str) -> str:
        """One word for some other place."""
        return self._kept(f"{WORD}{len(self.of):07}", number, path)

    def at(self, number: int, *paths: str) -> set[str]:
        """The values at these places of a record; under a path too."""
        return {
            value
            for value, at in self._by_record.get(number, ())
            if any(at == path or at.startswith(f"{path}.") for path in paths)
        }

    def _kept(self, value: str, number: int, path: str) -> str:
        assert value not in self.of
        self.of[value] = number, path
        self._by_record.setdefault(number, []).append((value, path))
        self._hashes |= dict.fromkeys(_digests(value), value)
        return value

    def _filled(self, part: Any, number: int, path: str) -> Any:
        if isinstance(part, dict):
            return {
                name: self._filled(one, number, f"{path}.{name}".lstrip(".")) for name, one in part.items()
            }
        if isinstance(part, list):
            names = _names(part) if not path else [f"{path}.{place}" for place in range(len(part))]
            return [self._filled(one, number, name) for one, name in zip(part, names, strict=True)]
        return self._value(part, number, path) if isinstance(part, str) and "?" in part else part

    def _value(self, kind: str, number: int, path: str) -> Any:
        if kind in ("?date", "?datetime"):
            born = path.lower().endswith(("birthdate", "birth_date"))
            day = _FIRST_BIRTH + timedelta(self._births) if born else _FIRST_DAY + timedelta(self._days)
            self._births, self._days = self._births + born, self._days + (not born)
            value = self._kept(day.isoformat(), number, path)
            return value if kind == "?date" else f"{value}T10:15:00-05:00"
        if kind == "?number":
            return 700_000_000 + len(self.of)  # only FHIR's own; not searched for
        if kind == "?phone":
            value = f"2036{len(self.of) % 1_000_000:06}"
            self._kept(value, number, path)
            return f"({value[:3]}) {value[3:6]}-{value[6:]}"
        word = self.word(number, path)
        return {
            "?uri": f"https://{word}.example/a",
            "?id": word,
            "?base64": base64.b64encode(f"A letter about {word}.".encode()).decode(),
            "?xhtml": f'<div xmlns="http://www.w3.org/1999/xhtml">About {word}</div>',
        }.get(kind, kind.replace("?", word))

    def found_in(self, data: bytes) -> set[str]:
        """Every value that is in these bytes: as it is in any case, coded, or hashed."""
        found = {one.decode().lower() for one in _PLAIN.findall(data)}
        found |= {one.decode() for one in _DAY.findall(data)}
        found |= {re.sub(rb"\D", b"", one).decode() for one in _PHONE.findall(data)}
        found &= self.of.keys()
        if _CODED.search(data):
            found.add("a coded value")
        return found | {
            self._hashes[one] for raw in _HEX.findall(data) if (one := raw.decode().lower()) in self._hashes
        }


def _names(resources: list[Any]) -> Iterator[str]:
    """Of several resources of a type the second is `Observation2`."""
    seen: dict[str, int] = {}
    for one in resources:
        kind = one["resourceType"]
        seen[kind] = seen.get(kind, 0) + 1
        yield kind if seen[kind] == 1 else f"{kind}{seen[kind]}"


def _digests(value: str) -> Iterator[str]:
    for name in ("md5", "sha1", "sha256"):
        yield hashlib.new(name, value.encode()).hexdigest()


def _codings() -> Iterator[bytes]:
    for word in (WORD, WORD.upper(), WORD.capitalize()):
        raw = word.encode()
        for before in range(3):
            # Inside a longer text a word starts at any of three places of base64's groups.
            coded = base64.b64encode(b"\0" * before + raw)
            yield coded[(before * 8 + 5) // 6 : (before + len(raw)) * 8 // 6]
        yield from (raw.hex().encode(), raw.hex().upper().encode())
        yield from (word.encode("utf-16-le"), word.encode("utf-16-be"))
        yield raw[::-1]


_PLAIN = re.compile(WORD.encode() + rb"\d{7}", re.IGNORECASE)
_DAY = re.compile(rb"(?<![0-9])(?:16[0-9]\d|193\d)-\d\d-\d\d")
_PHONE = re.compile(rb"(?<![0-9a-f])(?:1\D?)?(203\D{0,2}6\d\d\D?\d{4})(?![0-9a-f])")
_CODED = re.compile(b"|".join(re.escape(one) for one in _codings()))
_HEX = re.compile(rb"(?<![0-9a-fA-F])[0-9a-fA-F]{32,64}(?![0-9a-fA-F])")
