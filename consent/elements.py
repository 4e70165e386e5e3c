"""What a law may demand of a consent, and how to say in plain words that it is missing."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

# Each is checked when a Consent is compiled. What a provision states counts only when every permit states it.
ELEMENTS: Final = {
    "patient": "says whose information it is",
    "discloser": "names the agency that gives the information",
    "recipient": "names who may receive it",
    "items": "lists which items may be shared",
    "purpose": "says what for",
    "end": "has an end date",
    "expiry": "says when it ends, or that it has no end",
    "date": "says on which day it was signed",
    "evidence": "says how and where the signed form is kept",
    "right-to-revoke": "says that it can be taken back, and how",
    "consequences": "says what follows from not signing",
    "redisclosure-statement": "says that the recipient may pass the information on, or may not",
    "voluntary": "says that no service depends on signing it",
    "signed-by-patient": "is signed by the person",
    "signed-by-guardian": "is signed by the person's parent or guardian",
}

# Those that a provision states; the others stand once, for the whole Consent.
STATED_BY_PROVISIONS: Final = frozenset({"recipient", "items", "purpose", "end"})

# That the person is of age: no law demands it, but it counts where the record does not tell.
ADULT: Final = "adult"

# Those that stand as a `consent-statement` extension.
STATEMENTS: Final = frozenset(
    {"right-to-revoke", "consequences", "redisclosure-statement", "voluntary", "no-expiry", ADULT}
)


def in_words(elements: Iterable[str]) -> str:
    """`["recipient", "end"]` as "names who may receive it and has an end date"."""
    wanted = frozenset(elements)
    parts = [words for element, words in ELEMENTS.items() if element in wanted]
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 2 else parts)
