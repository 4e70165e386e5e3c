"""Regular expressions that take time in proportion to the text, whatever the text and the pattern.

`matches()` runs on Rust's regex engine, which does not backtrack, through jsonschema-rs' `pattern` keyword.
It refuses what would need backtracking (look-around, back references). Replacing has no such engine: Python's
is used for patterns of a form that cannot backtrack, the others are refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

import jsonschema_rs

from profiles.fhirpath.errors import EvaluationError, Unsupported

# Characters and simple sets of them, and at the very end `.*` or `.+`: each place in the text is tried once.
_NO_BACKTRACKING = re.compile(r"(?:\\[^\w]|\\[dws]|\[[^\[\]\\]+\]|[^\\.^$*+?{}\[\]()|])*(?:\.[*+]?)?")
_SIZE = 1_000_000


@lru_cache(maxsize=256)
def matcher(pattern: str) -> Callable[[str], bool]:
    """Whether a text has a part that matches, as `matches()` asks; `.` is any character, a new line too.

    Raises Unsupported for a pattern that the engine refuses. The function raises EvaluationError for a text
    that is no Unicode text (half a surrogate pair).
    """
    try:
        found = jsonschema_rs.validator_for(
            {"type": "string", "pattern": f"(?s){pattern}"},
            pattern_options=jsonschema_rs.RegexOptions(size_limit=_SIZE),
        ).is_valid
    except (jsonschema_rs.ValidationError, ValueError):
        raise Unsupported("matches() with a pattern that cannot be run in linear time") from None

    def matches(text: str) -> bool:
        try:
            return found(text)
        except UnicodeEncodeError:
            raise EvaluationError("a text that is no Unicode") from None

    return matches


@lru_cache(maxsize=64)
def replacer(pattern: str) -> Callable[[str, str], str]:
    """Every match in a text replaced: (text, replacement). Raises Unsupported for patterns of other forms."""
    if not _NO_BACKTRACKING.fullmatch(pattern):
        raise Unsupported("replaceMatches() with a pattern that might not run in linear time")
    compiled = re.compile(pattern)
    return lambda text, replacement: compiled.sub(lambda _match: replacement, text)
