"""JSON documents as columns: every path that leads to a value in some record."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from mappings.infer.column import Column, Table
from mappings.paths import compile_path
from mappings.record import PathError, refuse

MOST_RECORDS: Final = 5_000
MOST_PATHS: Final = 300


def json_table(records: Sequence[Any], name: str, title: str) -> Table:
    """The columns of a list of JSON objects.

    Raises RecordError where it holds none, or so many different members that their names must be data.
    """
    looked_at = records[:MOST_RECORDS]
    objects = [record for record in looked_at if isinstance(record, dict)]
    if not objects:
        raise refuse("structure", "there is no JSON object in it", field=title)
    found: dict[tuple[str, ...], _Found] = {}
    dotted = False
    for record in objects:
        for steps, value, repeats in _leaves(record, (), repeats=False):
            dotted = dotted or any("." in step for step in steps)
            if any("." in step or not step for step in steps):
                continue
            at = found.setdefault(steps, _Found())
            at.repeats |= repeats
            if value is not None:
                at.values.append(value)
        if len(found) > MOST_PATHS:
            raise refuse(
                "too-costly", f"more than {MOST_PATHS} different members: are some names data?", field=title
            )
    if not found:
        raise refuse("required", "the objects have no members", field=title)
    doubts = []
    if dotted:
        doubts.append("Some members have a dot in their name or none; a record that has one is refused.")
    if len(objects) < len(looked_at):
        doubts.append(f"{len(looked_at) - len(objects)} of {len(looked_at)} records are no objects.")
    columns = tuple(
        Column(".".join(steps), steps, at.values, at.repeats, _is_path(".".join(steps)))
        for steps, at in found.items()
    )
    return Table(name, title, {}, columns, len(objects), tuple(doubts))


@dataclass(slots=True)
class _Found:
    values: list[Any] = field(default_factory=list)
    repeats: bool = False


def _leaves(
    value: Any, steps: tuple[str, ...], *, repeats: bool
) -> Iterator[tuple[tuple[str, ...], Any, bool]]:
    """Every single value with the names that lead to it, and whether a list is on the way."""
    if isinstance(value, Mapping) and value:
        for name, member in value.items():
            yield from _leaves(member, (*steps, name), repeats=repeats)
    elif isinstance(value, list):
        for item in value or [None]:
            yield from _leaves(item, steps, repeats=True)
    elif steps:
        yield steps, _plain(value), repeats


def _plain(value: Any) -> Any:
    """None for what is empty."""
    if isinstance(value, str):
        return value.strip() or None
    return None if isinstance(value, Mapping) else value


def _is_path(text: str) -> bool:
    try:
        compile_path(text)
    except PathError:
        return False
    return "[" not in text
