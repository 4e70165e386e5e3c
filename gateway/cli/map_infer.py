"""`waymeet map infer`: a first mapping from a sample of records, for a person to go through."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.said import said
from gateway.cli.stream import many, say
from gateway.map_sources import opened
from mappings import RecordError
from mappings.infer import Proposal, propose


def infer(
    file: Annotated[
        Path, typer.Argument(help="Records: CSV, TSV, JSON, NDJSON, or a folder or ZIP of tables.")
    ],
    name: Annotated[
        str, typer.Option(help="What the system is called; the file's name if nothing is said.")
    ] = "",
    folder: Annotated[
        Path | None,
        typer.Option("--out", help="Where to write it; a folder of the system's name if nothing is said."),
    ] = None,
) -> None:
    """Propose a mapping: mapping.yaml and code tables. What is not surely understood is left out.

    Of the sample's values it shows only codes: those of columns with few different ones, seen twice or more.
    """
    with said():
        called = name or (file.name if file.is_dir() else file.stem)
        try:
            with opened([file]) as source:
                proposal = propose(source, called)
        except RecordError as fault:
            raise ValueError(f"{file}: {fault}") from None
        to = folder or Path(proposal.system)
        _write(proposal, to)
        say(f"Written: {to}/")
        for each in proposal.files:
            say(f"  {each}")
        say(f"{many(proposal.read, 'column')} read, {proposal.left} left, {many(proposal.doubts, 'doubt')}.")
        say(f"Next: waymeet map check {to}")


def _write(proposal: Proposal, folder: Path) -> None:
    """Every file anew. Raises ValueError rather than write over what somebody may have worked on."""
    if folder.is_dir() and any(folder.iterdir()):
        raise ValueError(f"{folder} is not empty; nothing was written. Choose another --out.")
    for name, text in proposal.files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="")
