"""What all functions share: their form, what is wrong with an argument, and a value as text."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mappings.record import Rejected

Function = Callable[[Any], Any]


class ArgumentError(ValueError):
    """A function's argument in a mapping that is not usable; the text says what is."""


def must_be_true(argument: Any) -> None:
    """Raises ArgumentError for the argument of a function that has nothing to state."""
    if argument is not True:
        raise ArgumentError("must be true")


def text_of(value: Any) -> str:
    """A value that must be text or a number, as text. Raises Rejected for anything else."""
    if type(value) is str:
        return value
    if isinstance(value, bool | list | dict):
        raise Rejected("value", "is not one text or number")
    return str(value)
