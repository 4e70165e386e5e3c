"""Made-up records: what each field holds is said, and nothing else is known of the format.

A path through a repeating group of the mapping reads its first item, so that a field is the same field for
those who read it in the group and those who read it from outside.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any

from mappings.check.wants import Key
from mappings.readers.source import Source
from mappings.record import Getter, Group, Reader, Record, RecordError


def stepped(path: str, groups: Collection[str]) -> Key:
    """`path` as the paths of the groups that it leads through, and one in the last: (PID-13, .7)."""
    through = [
        f"{group}{step}"
        for group in groups
        for step in (".", "/", "[*].", "[*]/")
        if path.startswith(f"{group}{step}")
    ]
    if not through:
        return (path,)
    longest = max(through, key=len)
    return (longest[:-1].removesuffix("[*]"), *stepped(f".{path[len(longest) :]}", groups))


def made_up(fields: Mapping[Key, Any], twice: Key = ()) -> dict[Any, Any]:
    """The values of a record that holds `fields`; the item of the repeating group `twice` is there twice."""
    values: dict[Any, Any] = {}
    for key, value in fields.items():
        inside = values
        for path in key[:-1]:
            inside = inside.setdefault((path,), [{}])[0]
        inside[key[-1]] = value
    if twice:
        inside = values
        for path in twice[:-1]:
            inside = inside[(path,)][0]
        inside[(twice[-1],)] *= 2
    return values


class MadeUpReader:
    """Reads made-up records by the paths of a real reader: a field is where its path says, whatever it is.

    groups: the paths of the repeating groups that it was asked for.
    """

    def __init__(self, real: Reader) -> None:
        self._real = real
        self.keys = real.keys
        self.groups: set[str] = set()

    def records(self, _source: Source) -> Iterator[Record | RecordError]:
        """None: made-up records are in no file."""
        return iter(())

    def getter(self, path: str) -> Getter:
        """What was said of `path`."""
        return self._at(path, lambda inner, last: inner.get(last))

    def group(self, path: str) -> Group:
        """The items that hold what was said of paths inside `path`."""
        return self._group(path, self._real.group(path))

    def place(self, _record: Record, _path: str) -> None:
        """No line: there is no file."""

    def names(self, path: str) -> list[str]:
        """As the real reader says."""
        return self._real.names(path)

    def undeclared(self, _fields: Iterable[str]) -> Callable[[Any], list[str]]:
        """Nothing is there that the mapping did not ask for."""
        return lambda _values: []

    def _group(self, path: str, real: Group) -> Group:
        self.groups.add(path)
        return Group(
            items=self._at(path, lambda inner, last: inner.get((last,), [])),
            getter=self.getter,
            group=lambda inner: self._group(inner, real.group(inner)),
            names=real.names,
        )

    def _at(self, path: str, read: Callable[[Any, str], Any]) -> Getter:
        """`read` of what holds `path`; the groups are known when the whole mapping is compiled."""
        steps: list[str] = []

        def get(values: Any) -> Any:
            if not steps:
                steps.extend(stepped(path, self.groups))
            for group in steps[:-1]:
                items = values.get((group,))
                values = items[0] if items else {}
            return read(values, steps[-1])

        return get
