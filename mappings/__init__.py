"""Local records to FHIR and back: readers, the mapping language, code tables, lineage.

`load(shipped("shelter-csv"))` gives a LocalMapping: `read` bytes into records (or take `records` from a
Source, one after the other), `map` a record to FHIR content, `render` an event as the system's own message.
Knows nothing of consent, networks or databases.
"""

from mappings.lineage import lineage_csv
from mappings.record import Record, RecordError
from mappings.result import Lineage, Mapped, Rendered
from mappings.table import LocalMapping, load, shipped

__all__ = [
    "Lineage",
    "LocalMapping",
    "Mapped",
    "Record",
    "RecordError",
    "Rendered",
    "lineage_csv",
    "load",
    "shipped",
]
