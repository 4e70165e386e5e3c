"""The words of the printed release, in each language that there are words for (`policies/words.*.yaml`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from typing import Final

from consent.items import POLICIES, SCHEMAS
from profiles.document import load, read_schema

LANGUAGES: Final[Mapping[str, str]] = {"en": "English", "es": "español"}


@dataclass(frozen=True, slots=True)
class Words:
    """One language. form: the sentences of the page; items, purposes: each as the person would say it."""

    language: str
    form: Mapping[str, str]
    items: Mapping[str, str]
    purposes: Mapping[str, str]
    months: tuple[str, ...]
    pattern: str

    def day(self, text: str) -> str:
        """The day of a FHIR date or dateTime in words. Raises ValueError for a year or a month alone."""
        try:
            found = date.fromisoformat(text[:10])
        except ValueError:
            raise ValueError("The page needs whole days, not a year or a month alone.") from None
        return self.pattern.format(day=found.day, month=self.months[found.month - 1], year=found.year)


@cache
def words(language: str) -> Words:
    """The words in one of `LANGUAGES`. Raises ValueError for another, DocumentError for a faulty file."""
    if language not in LANGUAGES:
        raise ValueError(f"there are words in {' and '.join(LANGUAGES)} only")
    path = POLICIES / f"words.{language}.yaml"
    data = load(path, read_schema(SCHEMAS / "words.schema.json")).data
    return Words(language, data["form"], data["items"], data["purposes"], tuple(data["months"]), data["day"])
