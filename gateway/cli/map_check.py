"""`waymeet map check`: what is wrong with a mapping, before it runs, for people and for a build."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

import mappings
from consent.items import shipped
from gateway.cli.map_named import mapping_file
from gateway.cli.profiles import OfNode, Packages, definitions
from gateway.cli.said import said
from gateway.cli.stream import a_closed_pipe_ends_it, many, say
from gateway.item_fields import destinations
from gateway.map_sources import opened
from mappings import LocalMapping, Record, RecordError
from mappings.check import Finding
from mappings.check import check as check_mapping
from mappings.infer import DOUBT
from profiles.document import DocumentError
from profiles.outcome import Issue
from profiles.registry import Definitions

_STYLE = {"error": "red", "warning": "yellow", "information": ""}


def check(
    named: Annotated[
        list[str],
        typer.Argument(
            metavar="MAPPING...", help="A mapping.yaml, a folder with one, or the name of a shipped mapping."
        ),
    ],
    sample: Annotated[
        Path | None, typer.Option(help="Records of that system, to see what the mapping makes of its codes.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object for each finding.")] = False,
    package: Packages = None,
    config: OfNode = None,
) -> None:
    """Check mappings without running them. Exit status: 0 no error, 1 errors, 2 nothing checked."""
    with said(), a_closed_pipe_ends_it():
        if sample is not None and len(named) > 1:
            raise ValueError("A --sample is of one system; name one mapping.")
        paths = [mapping_file(each) for each in named]
        held = definitions(config, package or ())
        severities: Counter[str] = Counter()
        for path in paths:
            for finding in _findings(path, held, sample):
                severities[finding.issue.severity] += 1
                _show(finding, as_json)
        if not as_json:
            counts = ", ".join(many(severities[name], name) for name in ("error", "warning"))
            style = "red" if severities["error"] else "green"
            say(
                f"{many(len(paths), 'mapping')} checked: {counts}, {severities['information']} to know.",
                style,
            )
    raise typer.Exit(1 if severities["error"] else 0)


def _findings(path: Path, held: Definitions, sample: Path | None) -> Iterator[Finding]:
    """What is found in the mapping at `path`, and the doubts in it that nobody has settled."""
    try:
        mapping = mappings.load(path)
    except DocumentError as fault:
        yield from (Finding(str(path), issue) for issue in fault.issues)
        return
    files = {Path(told["map"]).name: told["map"] for told in mapping.document.data.get("codes", {}).values()}
    records = _records(mapping, sample) if sample is not None else ()
    for finding in check_mapping(mapping, destinations(shipped()), held, records):
        yield replace(finding, file=str(path.parent / files.get(finding.file, path.name)))
    yield from _unconfirmed(mapping, path)
    yield from _doubts(path)


def _unconfirmed(mapping: LocalMapping, path: Path) -> Iterator[Finding]:
    """The rows of code tables that a proposal has left for somebody to say what they are."""
    for name, document in mapping.table_documents.items():
        told = mapping.document.data["codes"][name]
        for g, group in enumerate(document.data.get("group", [])):
            for e, element in enumerate(group["element"]):
                if any(map(_is_unconfirmed, element.get("target", []))):
                    message = f"nobody has said yet what the code {element['code']!r} is"
                    issue = replace(
                        document.issue(("group", g, "element", e), message, "incomplete"),
                        severity="warning" if told["unmapped"] == "reject" else "information",
                        field=name,
                    )
                    yield Finding(
                        str(path.parent / told["map"]), issue, "say so, and write equivalent for unmatched"
                    )


def _is_unconfirmed(target: Mapping[str, Any]) -> bool:
    return target["equivalence"] == "unmatched" and str(target.get("comment", "")).startswith("?")


def _doubts(path: Path) -> Iterator[Finding]:
    """A proposed mapping says its doubts in comments; whoever has settled one takes it away."""
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if line.lstrip().startswith(DOUBT):
            column = len(line) - len(line.lstrip()) + 1
            doubt = line.lstrip().removeprefix(DOUBT).strip().rstrip(".")
            issue = Issue("information", "informational", f"a doubt: {doubt}", line=number, column=column)
            yield Finding(str(path), issue, "settle it, then delete the comment")


def _records(mapping: LocalMapping, sample: Path) -> list[Record]:
    """The records of a sample that can be read. Raises ValueError when it cannot be read at all."""
    try:
        with opened([sample]) as source:
            return [each for each in mapping.records(source) if isinstance(each, Record)]
    except RecordError as fault:
        raise ValueError(f"{sample}: {fault}") from None


def _show(finding: Finding, as_json: bool) -> None:
    if as_json:
        say(json.dumps(_as_data(finding)))
    else:
        say(str(finding), _STYLE[finding.issue.severity])


def _as_data(finding: Finding) -> dict[str, Any]:
    issue = finding.issue
    told = {
        "file": finding.file,
        "line": issue.line,
        "column": issue.column,
        "severity": issue.severity,
        "code": issue.code,
        "field": issue.field,
        "message": issue.message,
        "suggestion": finding.suggestion,
    }
    return {name: value for name, value in told.items() if value not in (None, "")}
