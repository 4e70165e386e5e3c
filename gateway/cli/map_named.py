"""How the commands of `waymeet map` are told which mapping is meant."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import mappings

Named = Annotated[
    str,
    typer.Argument(
        metavar="MAPPING", help="A mapping.yaml, a folder with one, or the name of a shipped mapping."
    ),
]


def mapping_file(named: str) -> Path:
    """The mapping file that is meant. Raises ValueError when there is none."""
    path = Path(named)
    for each in (path, path / "mapping.yaml"):
        if each.is_file():
            return each
    if path.suffix or path.name != named:
        raise ValueError(f"{path}: there is no such file, and no mapping.yaml in it")
    return mappings.shipped(named)


def mapping_called(named: str) -> mappings.LocalMapping:
    """The mapping that is meant, loaded. Raises ValueError, and DocumentError when it cannot be used."""
    return mappings.load(mapping_file(named))
