"""What a law may demand of a consent, and how to say in plain words that it is missing."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

# Each is checked when a Consent is compiled: it counts as stated only when every permit in it states it.
ELEMENTS: Final = {
    "discloser": "names the agency that gives the information",
    "recipient": "names who may receive it",
    "items": "lists which items may be shared",
    "purpose": "says what for",
    "end": "has an end date",
    "evidence": "says how and where the signed form is kept",
}


def in_words(elements: Iterable[str]) -> str:
    """`["recipient", "end"]` as "names who may receive it and has an end date"."""
    wanted = frozenset(elements)
    parts = [words for element, words in ELEMENTS.items() if element in wanted]
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 2 else parts)
