"""Print docs/reference/minimum-sets.md, drawn from the minimum sets and the items.

    python scripts/minimum_pages.py > docs/reference/minimum-sets.md

`consent/policies/minimum/*.yaml` say what each kind of service needs and why, the comment at the top of each
what it leaves out; `consent/policies/items.yaml` says what the items are. A test compares what this prints
with the page.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from itertools import takewhile
from pathlib import Path

from consent.items import ItemTable, shipped
from consent.minimum import Entry, MinimumSet, load_minimum
from consent.policy import SHIPPED

_HEAD = """\
# Minimum sets

<!-- Drawn from consent/policies: python scripts/minimum_pages.py > docs/reference/minimum-sets.md -->

What each kind of service is sent at most: the **offer** before it has accepted, the **dossier** once it
has. Each item has its reason. Agreement, law and the person's own consent can only take away from it: [how
it is decided](../explanation/deciding.md).

- An offer never names a person. A dossier holds its offer too.
- **must**: without it there is no referral. Only the need itself is one: whatever a person keeps to
  themselves, the referral goes on.
- People without an address are served. A set that lists an address must say what could not be done without
  one, or it does not load.
- An item that the record does not hold is not sent, and nothing shows that it is missing.

A community writes its own sets beside these, one file for each kind of service, in the `minimum` folder of
its policy. A file lists one `referral-type` or several `referral-types`: codes of the Gravity Project's
SDOH categories, or of our code system `referral-type`, which stands in `ServiceRequest.category` beside
`sdoh-category-unspecified`.
"""


def page() -> str:
    """The whole page."""
    items = shipped()
    found = sorted(
        ((load_minimum(path, items), path) for path in (SHIPPED / "minimum").glob("*.yaml")),
        key=lambda one: one[0].title,
    )
    parts = [_HEAD, _overview([one for one, _ in found])]
    parts += [_section(one, path, items) for one, path in found]
    parts.append(_in_no_set(items))
    return "\n".join(parts)


def _overview(sets: Iterable[MinimumSet]) -> str:
    rows = ((f"[{one.title}](#{_anchor(one.title)})", _codes(one.referral_types)) for one in sets)
    return _table(("Service", "Referral types"), rows)


def _section(one: MinimumSet, path: Path, items: ItemTable) -> str:
    words = path.read_text(encoding="utf-8").splitlines()
    comment = [line.removeprefix("#").strip() for line in takewhile(lambda line: line.startswith("#"), words)]
    where = f"[`{path.name}`](../../consent/policies/minimum/{path.name}), for {_codes(one.referral_types)}."
    rows = (
        *(_row("offer", entry, items) for entry in one.offer),
        *(_row("dossier", entry, items) for entry in one.dossier),
    )
    return "\n".join(
        [f"## {one.title}\n", *comment, "", where, "", _table(("View", "Item", "Code", "Why"), rows)]
    )


def _row(view: str, entry: Entry, items: ItemTable) -> tuple[str, ...]:
    said = [entry.why]
    if entry.required:
        said.append("**must**")
    if entry.unless:
        said.append(f"not where the record holds {items.display(entry.unless)}")
    if entry.only_with:
        said.append(f"never without {items.display(entry.only_with)}")
    if entry.otherwise:
        said.append(f"otherwise {entry.otherwise}")
    return view, items.display(entry.item), f"`{entry.item}`", "; ".join(said)


def _in_no_set(items: ItemTable) -> str:
    rows = (
        (item.display, f"`{code}`", item.in_no_set) for code, item in items.entries.items() if item.in_no_set
    )
    return "## In none of them\n\n" + _table(("Item", "Code", "Why not"), rows)


def _codes(codes: Iterable[str]) -> str:
    return ", ".join(f"`{code}`" for code in codes)


def _anchor(title: str) -> str:
    return title.lower().replace(" ", "-")


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    return "".join(_lines(head, rows))


def _lines(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    for line in (head, tuple("---" for _ in head), *rows):
        yield f"| {' | '.join(line)} |\n"


if __name__ == "__main__":
    sys.stdout.write(page())
