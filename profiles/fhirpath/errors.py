"""What can go wrong, said without a value of the record and without the expression."""

from __future__ import annotations


class Unsupported(Exception):  # noqa: N818 - it is the answer to a question, not a failure
    """A constraint that can be evaluated neither here nor by the library; the message names the function."""


class NotNative(Unsupported):
    """An expression with a part that has no native form, and that the library may know."""


class EvaluationError(Exception):
    """A constraint whose truth cannot be told for this record; the message says why."""
