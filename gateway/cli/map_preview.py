"""`waymeet map preview`: one record, what it becomes and which field went where, on the terminal alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from gateway import clock, fhir_json
from gateway.cli.map_named import Named, mapping_called
from gateway.cli.profiles import OfNode, Packages, definitions
from gateway.cli.said import err, out, said
from gateway.cli.stream import a_closed_pipe_ends_it, many, say
from gateway.cli.table import empty_table
from gateway.map_sources import opened
from mappings import Lineage, LocalMapping, Record, RecordError
from mappings.bundle import linked
from mappings.kind import RecordKind
from mappings.readers import make_reader
from mappings.record import PathError, Rejected
from profiles import validate
from profiles.outcome import Issue

SIDE_BY_SIDE = 120  # columns of the terminal
UNKNOWN = "…"


def preview(
    named: Named,
    file: Annotated[
        Path, typer.Argument(help="Records of that system: a file, or a folder or ZIP of tables.")
    ],
    number: Annotated[int, typer.Option("--record", min=1, help="Which record of the file.")] = 1,
    package: Packages = None,
    config: OfNode = None,
) -> None:
    """Show a record, the resources it makes and the way of each field. Its values are shown and kept nowhere.

    Exit status: 0 it is mapped, 1 it is not, 2 there is no such record.
    """
    with said(), a_closed_pipe_ends_it():
        mapping = mapping_called(named)
        record = _record(mapping, file, number)
        try:
            kind = mapping.kind_of(record)
            mapped = mapping.map(record)
        except RecordError as fault:
            _show_issues(fault.issues)
            raise typer.Exit(1) from None
        if mapped.kind == "skip":
            say(f"Record {number} is passed over: {mapped.because}")
            return
        made = linked(mapping, mapped, clock.stamp(clock.now()))
        values = _Values(mapping, kind, record)
        panels = (
            Panel(_fields(kind, values), title=f"record {number}: {kind.name}"),
            Panel(_resources(made.values()), title="resources"),
            Panel(_ways(kind, values), title="lineage"),
        )
        out.print(_beside(panels) if out.width >= SIDE_BY_SIDE else Group(*panels))
        held = definitions(config, package or ())
        found = [issue for resource in made.values() for issue in validate(resource, held=held)]
        _show_issues([issue for issue in found if issue.code != "not-supported"])


def _record(mapping: LocalMapping, file: Path, number: int) -> Record:
    """The record with this number. Raises ValueError when there is none or it cannot be read."""
    count = 0
    try:
        with opened([file]) as source:
            for count, found in enumerate(mapping.records(source), 1):
                if count == number:
                    if isinstance(found, RecordError):
                        raise found
                    return found
    except RecordError as fault:
        raise ValueError(f"{file}: {fault}") from None
    raise ValueError(f"{file}: there is no record {number}; it has {count}")


def _beside(panels: Sequence[Panel]) -> RenderableType:
    grid = Table.grid(expand=True)
    for ratio in (3, 4, 4):
        grid.add_column(ratio=ratio)
    grid.add_row(*panels)
    return grid


def _fields(kind: RecordKind, values: _Values) -> RenderableType:
    """What the record says, field by field: first what is read, then what stays and why."""
    table = empty_table("field", "value")
    read = dict.fromkeys(line.field for line in kind.lineage)
    for field in read:
        if value := values.at(field):
            table.add_row(Text(field), Text(value))
    unknown = [field for field in kind.fields.ignored if values.at(field) == UNKNOWN]
    for field, because in kind.fields.ignored.items():
        value = values.at(field)
        if value and field not in unknown:
            table.add_row(Text(field, "dim"), Text(value, "dim"))
            table.add_row("", Text(f"stays: {because}", "dim italic"))
    empty = sum(not values.at(field) for field in (*read, *kind.fields.ignored))
    below = [
        *([f"stays too, where it is there: {', '.join(unknown)}"] if unknown else []),
        *([f"empty here: {many(empty, 'field')}"] if empty else []),
    ]
    return Group(table, *(Text(line, "dim") for line in below))


class _Values:
    """The values of a record as text, by the paths that lineage and `ignored` show."""

    def __init__(self, mapping: LocalMapping, kind: RecordKind, record: Record) -> None:
        self._reader = make_reader(mapping.document)
        self._record = record.values
        self._repeated = {field for line in kind.lines if line.repeated for field in line.fields}

    def at(self, field: str) -> str:
        """The value of a field on one line; of a repeating group those of all its items."""
        path = ".".join(f"{name}[*]" for name in field.split(".")) if field in self._repeated else field
        try:
            value = self._reader.getter(path.removesuffix("[*]"))(self._record)
        except (PathError, Rejected):
            return UNKNOWN  # there may be something: a group of another format, a segment, a wildcard
        listed = value if isinstance(value, list) else [value]
        return ", ".join(_printable(one) for one in listed if one is not None)


def _printable(value: Any) -> str:
    """Text that does nothing to a terminal but stand there."""
    text = value if isinstance(value, str) else fhir_json.encode(value).decode()
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)


def _resources(made: Iterable[Mapping[str, Any]]) -> RenderableType:
    table = empty_table("element", "value")
    for resource in made:
        for element, value in _leaves(resource, ""):
            if element == "resourceType":
                table.add_row(Text(value, "bold"))
            else:
                table.add_row(Text(f"  {element}"), Text(value))
    return table


def _leaves(value: Any, element: str) -> Iterator[tuple[str, str]]:
    """Every single value in a resource, with its path."""
    if isinstance(value, dict):
        for name, member in value.items():
            yield from _leaves(member, f"{element}.{name}" if element else name)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _leaves(item, f"{element}[{index}]")
    else:
        yield element, _printable(value)


def _ways(kind: RecordKind, values: _Values) -> RenderableType:
    """The ways of the fields that have a value in this record, field by field."""
    ways: dict[str, list[Lineage]] = {}
    for way in kind.lineage:
        if values.at(way.field):
            ways.setdefault(way.field, []).append(way)
    lines = []
    for field, taken in ways.items():
        mark = f"  sensitivity {taken[0].sensitivity}" if taken[0].sensitivity else ""
        lines.append(Text.assemble(field, (mark, "yellow")))
        lines += [Text(f"  {way.function} \N{RIGHTWARDS ARROW} {way.element}", "dim") for way in taken]
    return Group(*lines)


def _show_issues(issues: Sequence[Issue]) -> None:
    for issue in issues:
        place = f"{issue.expression}: " if issue.expression else ""
        style = "red" if issue.severity in ("error", "fatal") else "yellow"
        say(f"{issue.severity} {place}{issue.diagnostics()}", style, err)
