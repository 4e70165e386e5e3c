"""The demo's agencies as they lie on disk: nobody runs them, and nobody listens on their ports."""

from __future__ import annotations

from pathlib import Path

from gateway.demo.agencies import ALIAS, HOSPITAL, PANTRY, SHELTER, Agency, found


def agencies_in(folder: Path) -> dict[str, Agency]:
    """Their folders, keys and configurations, by the names of `gateway.demo.agencies`."""
    ports = {name: 9001 + number for number, name in enumerate((HOSPITAL, PANTRY, SHELTER, ALIAS))}
    return found(folder, ports, "http://127.0.0.1:9/none")
