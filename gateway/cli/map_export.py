"""`waymeet map export`: a mapping in the forms of FHIR, for other tools."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from gateway import fhir_json
from gateway.cli.map_named import Named, mapping_called
from gateway.cli.said import err, said
from gateway.cli.stream import a_closed_pipe_ends_it, say
from mappings import LocalMapping
from mappings.code_files import to_csv
from mappings.structure_map import not_exported, structure_map
from mappings.structure_rules import concept_map_url


def export(
    named: Named,
    structuremap: Annotated[
        bool, typer.Option("--structuremap", help="Each kind of record as a StructureMap.")
    ] = False,
    conceptmap: Annotated[bool, typer.Option("--conceptmap", help="The code tables as ConceptMaps.")] = False,
    table: Annotated[str, typer.Option(help="With --conceptmap: this code table alone.")] = "",
    as_csv: Annotated[
        bool, typer.Option("--csv", help="With --conceptmap: as the CSV that a mapping reads as well.")
    ] = False,
) -> None:
    """Write a mapping as FHIR R4 resources, one on each line. What a StructureMap cannot say is told."""
    with said(), a_closed_pipe_ends_it():
        if structuremap == conceptmap or (structuremap and (table or as_csv)):
            raise ValueError(
                "Choose --structuremap, or --conceptmap with --table and --csv where you need them."
            )
        mapping = mapping_called(named)
        if structuremap:
            _structure_maps(mapping)
            return
        tables = _tables(mapping, table)
        if not as_csv:
            for name in tables:
                whole = {**mapping.concept_maps[name], "url": concept_map_url(mapping, name)}
                sys.stdout.write(fhir_json.encode(whole).decode() + "\n")
        elif len(tables) > 1:
            raise ValueError(f"A CSV holds one code table: --table {'|'.join(tables)}.")
        else:
            sys.stdout.write(to_csv(mapping.concept_maps[tables[0]]))


def _structure_maps(mapping: LocalMapping) -> None:
    for kind in mapping.kinds:
        if kind.resources:
            sys.stdout.write(fhir_json.encode(structure_map(mapping, kind)).decode() + "\n")
            for line, reason in not_exported(mapping, kind):
                say(f"{kind.name}: {line.element} has no transform: {reason}", "yellow", err)


def _tables(mapping: LocalMapping, table: str) -> list[str]:
    """The code tables that are meant. Raises ValueError when there is none."""
    known = list(mapping.concept_maps)
    if not known:
        raise ValueError(f"The mapping {mapping.system} has no code tables.")
    if table and table not in known:
        raise ValueError(f"There is no code table {table}; there are {', '.join(known)}.")
    return [table] if table else known
