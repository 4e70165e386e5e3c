"""A first mapping for an agency's own records, proposed from a sample of them, and honest about its doubts.

Of the sample's values none is in the proposal but the codes of columns with few different values, each of
which stands in the sample twice or more.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from mappings.infer.code_tables import code_table
from mappings.infer.decide import choose
from mappings.infer.layout import DOUBT, mapping_text, read_codes
from mappings.infer.samples import read_sample
from mappings.infer.yaml_text import scalar
from mappings.readers.source import Source
from mappings.record import refuse

__all__ = ["DOUBT", "Proposal", "propose"]

_LONGEST = 1000  # characters of a name in YAML, which allows 1024 for a key


@dataclass(frozen=True, slots=True)
class Proposal:
    """A mapping's name and its files; how many columns it reads and leaves, how many doubts it has."""

    system: str
    files: Mapping[str, str]
    read: int
    left: int
    doubts: int


def propose(source: Source, name: str) -> Proposal:
    """A mapping for records such as those in `source`. Raises RecordError where nothing can be made of them.

    name: of the system, of which a name for the mapping is made.
    """
    sample = read_sample(source)
    for column in sample.columns:
        if len(scalar(column.name)) > _LONGEST:
            raise refuse("too-long", "a name is so long that it must be something else")
    choices = choose(sample)
    system = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    system = system if re.match("[a-z]", system) else f"system-{system}".rstrip("-")
    text = mapping_text(system, sample, choices)
    tables = {
        f"codes/{role}.csv": code_table(role, f"{system}: {role}", found)
        for role, found in read_codes(choices).items()
    }
    read = sum(bool(each.role) for each in choices)
    doubts = sum(line.lstrip().startswith(DOUBT) for line in text.splitlines())
    return Proposal(system, {"mapping.yaml": text} | tables, read, len(choices) - read, doubts)
