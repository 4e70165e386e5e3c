"""`waymeet map run`: files in, FHIR Bundles out; what cannot be mapped is told and the rest goes on."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import typer
from rich.console import Console

from gateway import clock, fhir_json
from gateway.cli.map_named import Named, mapping_called
from gateway.cli.profiles import OfNode, Packages, definitions
from gateway.cli.said import err, out, said
from gateway.cli.stream import a_closed_pipe_ends_it, many, progress, say
from gateway.cli.table import table_of
from gateway.map_records import Made, Rejected, Skipped, each
from gateway.map_sources import bytes_in
from mappings import LocalMapping

Write = Callable[[Made | Skipped | Rejected], None]
MOST_SHOWN = 50  # rejected records; a file has them all


def run(
    named: Named,
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE...", help="Records of that system: files, or a folder or ZIP of tables."
        ),
    ],
    folder: Annotated[
        Path | None,
        typer.Option("--out", help="Write bundles.ndjson and rejected.ndjson here, not to standard output."),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Rejected records and the summary as JSON, one object a line.")
    ] = False,
    package: Packages = None,
    config: OfNode = None,
) -> None:
    """Map records to FHIR: one Bundle for each, one on each line. Works without a node; nothing is sent.

    Exit status: 0 every record, 1 some were rejected, 2 nothing could be read.
    """
    with said(), a_closed_pipe_ends_it():
        mapping = mapping_called(named)
        held = definitions(config, package or ())
        done = _Done()
        beside = out if folder else err  # standard output is the Bundles' where no folder is named
        with progress("mapping", bytes_in(files)) as advance, _written(folder, as_json) as write:
            for found in each(mapping, files, held, clock.stamp(clock.now()), advance):
                done.count(found)
                write(found)
        _say_summary(done, mapping, as_json, beside)
    raise typer.Exit(done.exit_code)


@dataclass(slots=True)
class _Done:
    """What came of the records so far. broken_off: files that could not be read, or not to their end."""

    mapped: int = 0
    rejected: int = 0
    broken_off: int = 0
    skipped: Counter[str] = field(default_factory=Counter)

    def count(self, found: Made | Skipped | Rejected) -> None:
        if isinstance(found, Made):
            self.mapped += 1
        elif isinstance(found, Skipped):
            self.skipped[found.because] += 1
        elif found.broken_off:
            self.broken_off += 1
        else:
            self.rejected += 1

    @property
    def records(self) -> int:
        return self.mapped + self.rejected + self.skipped.total()

    @property
    def exit_code(self) -> int:
        if not self.records:
            return 2
        return 1 if self.rejected or self.broken_off else 0


@contextmanager
def _written(folder: Path | None, as_json: bool) -> Iterator[Write]:
    """Gives what writes one result where it belongs."""
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        with _file(folder / "bundles.ndjson") as bundles, _file(folder / "rejected.ndjson") as rejects:
            yield _writer(bundles, lambda rejected: _line(rejects, as_data(rejected)))
        return
    bundles = sys.stdout.buffer
    if as_json:
        yield _writer(bundles, lambda rejected: say(json.dumps(as_data(rejected)), to=err))
        return
    shown: list[Rejected] = []
    yield _writer(bundles, lambda rejected: shown.append(rejected) if len(shown) < MOST_SHOWN else None)
    _show(shown)


def _writer(bundles: BinaryIO, reject: Callable[[Rejected], None]) -> Write:
    def write(found: Made | Skipped | Rejected) -> None:
        if isinstance(found, Made):
            _line(bundles, found.bundle)
        elif isinstance(found, Rejected):
            reject(found)

    return write


@contextmanager
def _file(path: Path) -> Iterator[BinaryIO]:
    """A new file for its owner only, which stands under its name when it is whole."""
    part = path.with_name(f"{path.name}.part")
    part.touch(0o600)
    with part.open("wb") as file:
        yield file
    part.replace(path)


def _line(file: BinaryIO, value: Mapping[str, Any]) -> None:
    file.write(fhir_json.encode(value) + b"\n")


def as_data(rejected: Rejected) -> dict[str, Any]:
    """A rejected record as it is written down: where it stands and what is wrong, without a value of it."""
    issues = [
        {
            **({"field": issue.field} if issue.field else {}),
            **({"element": issue.expression} if issue.expression else {}),
            **({"line": issue.line} if issue.line is not None else {}),
            "code": issue.code,
            "message": issue.message,
        }
        for issue in rejected.issues
    ]
    line = {"line": rejected.line} if rejected.line is not None else {}
    return {"file": rejected.file, **line, "issues": issues}


def _show(rejected: list[Rejected]) -> None:
    if not rejected:
        return
    rows = [
        (
            found.file,
            str((issue.line if issue.line is not None else found.line) or ""),
            issue.field or issue.expression,
            issue.message,
        )
        for found in rejected
        for issue in found.issues
    ]
    err.print(table_of(("file", "line", "field", "what is wrong"), rows))


def _say_summary(done: _Done, mapping: LocalMapping, as_json: bool, to: Console) -> None:
    if as_json:
        summary = {
            "mapping": mapping.system,
            "version": mapping.version,
            "fingerprint": mapping.fingerprint,
            "records": done.records,
            "mapped": done.mapped,
            "rejected": done.rejected,
            "skipped": dict(done.skipped),
            "broken_off": done.broken_off,
        }
        say(json.dumps({"summary": summary}), to=to)
        return
    counts = f"{many(done.records, 'record')}: {done.mapped} mapped, {done.rejected} rejected"
    say(f"{counts}, {done.skipped.total()} skipped.", "red" if done.exit_code else "green", to)
    for because, count in done.skipped.most_common():
        say(f"  skipped {count}: {because}", to=to)
    if done.broken_off:
        say(f"  {many(done.broken_off, 'file')} could not be read, or not to the end.", "red", to)
