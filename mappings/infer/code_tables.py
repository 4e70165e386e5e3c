"""Code tables for a person to fill in: the codes that were found, with a guess where a word suggests one.

No row is in force: each says `unmatched`, so that its code is not mapped until somebody has said otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from mappings.code_files import to_csv
from mappings.infer.words import Words, guesses, holds, words_of

PLACEHOLDER: Final = "a code of yours"


def code_table(name: str, title: str, codes: Sequence[str]) -> str:
    """The table `name` as CSV. codes: those found; where there are none, one row shows what to write."""
    told = guesses()[name]
    elements: dict[bool, list[dict[str, Any]]] = {True: [], False: []}
    for code in codes or [PLACEHOLDER]:
        target = _guess(name, words_of(code)) if codes else None
        elements[target is not None].append({"code": code, "target": [_target(told, target)]})
    groups: list[dict[str, Any]] = []
    if elements[True]:
        groups.append({"target": told["system"], "element": elements[True]})
    if elements[False]:
        groups.append({"element": elements[False]})
    return to_csv({"resourceType": "ConceptMap", "title": title, "status": "draft", "group": groups})


def _target(told: Any, target: str | None) -> dict[str, str]:
    if target is None:
        return {
            "equivalence": "unmatched",
            "comment": "? Say what it is.",
        }
    display = told["targets"][target].get("display")
    return {
        "code": target,
        **({"display": display} if display else {}),
        "equivalence": "unmatched",
        "comment": "? A guess by a word in it: is it right?",
    }


def _guess(name: str, words: Words) -> str | None:
    """The one target of which a word stands in the code; none where there are several."""
    found = {
        target
        for target, told in guesses()[name]["targets"].items()
        if any(_suggests(text, words) for text in told["words"])
    }
    return found.pop() if len(found) == 1 else None


def _suggests(text: str, words: Words) -> bool:
    """Whole words, the last of which may go on where a `*` follows."""
    part = tuple(text.removesuffix("*").split())
    if not text.endswith("*"):
        return holds(words, part)
    return any(
        words[start : start + len(part) - 1] == part[:-1]
        and words[start + len(part) - 1].startswith(part[-1])
        for start in range(len(words) - len(part) + 1)
    )
