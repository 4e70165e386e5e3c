"""Everything the engine knows before it is asked: items, regimes, minimum sets, notices. Loaded once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Final, TypeVar

from consent.items import POLICIES, SCHEMAS, ItemTable, shipped
from consent.label_files import load_labels
from consent.labelling import LabelTable
from consent.minimum import MinimumSet, load_minimum
from consent.regimes import Regime, load_regime
from profiles.document import DocumentError, load, read_schema
from profiles.outcome import Issue

SHIPPED: Final = POLICIES
FEDERAL: Final = "US"

_Part = TypeVar("_Part")


@dataclass(frozen=True, slots=True)
class Policy:
    """Law, minimum sets and words, by their ids."""

    items: ItemTable
    regimes: Mapping[str, Regime]
    minimum: Mapping[str, MinimumSet]
    notices: Mapping[str, str]
    purposes: Mapping[str, str]
    labels: LabelTable

    def unlisted(self, kinds: frozenset[str]) -> frozenset[str]:
        """Those kinds of source of which no regime speaks as a whole: nothing of theirs may go."""
        whole = [regime.kinds or kinds for regime in self.regimes.values() if regime.whole]
        return kinds - frozenset().union(*whole)


def load_policy(folder: Path = SHIPPED, *more: Path, state: str | None = None) -> Policy:
    """The policy in `folder` and then in `more`: `regimes/*.yaml`, `minimum/*.yaml` and `labels/` of
    each.

    state: the one whose law counts beside that of the United States (`US-CT`). Where none is said every
    state's counts, which is stricter, but none of them puts anything in the place of the record's own.

    Another state's law is another folder. Words (`notices.yaml`) and items are the project's own. Raises
    DocumentError with file and line for a term that the engine does not know and for an id given twice.
    """
    return _loaded((folder, *more), state) if more or folder != SHIPPED else _shipped(state)


@cache
def _shipped(state: str | None) -> Policy:
    """What comes with the project: read once."""
    return _loaded((SHIPPED,), state)


def _loaded(folders: tuple[Path, ...], state: str | None) -> Policy:
    items = shipped()
    words: Mapping[str, Any] = load(
        SHIPPED / "notices.yaml", read_schema(SCHEMAS / "notices.schema.json")
    ).data
    notices = words["notices"]
    regimes: dict[str, Regime] = {}
    minimum: dict[str, MinimumSet] = {}
    for each in folders:
        if not each.is_dir():
            raise DocumentError([Issue("error", "not-found", "there is no such policy folder")], each.name)
        _add(regimes, each / "regimes", lambda path: load_regime(path, items, notices), lambda one: (one.id,))
        _add(
            minimum, each / "minimum", lambda path: load_minimum(path, items), lambda one: one.referral_types
        )
    return Policy(
        items=items,
        regimes={one.id: one for each in regimes.values() if (one := _of_state(each, state))},
        minimum=minimum,
        notices=notices,
        purposes=words["purposes"],
        labels=load_labels([each / "labels" for each in folders]),
    )


def _of_state(regime: Regime, state: str | None) -> Regime | None:
    """A regime as it counts in a state; None where it is another state's."""
    if regime.jurisdiction in (FEDERAL, state):
        return regime
    return None if state else replace(regime, substitutions=())


def _add(
    known: dict[str, _Part],
    folder: Path,
    read: Callable[[Path], _Part],
    names: Callable[[_Part], tuple[str, ...]],
) -> None:
    for path in sorted(folder.glob("*.yaml")):
        part = read(path)
        for name in names(part):
            if name in known:
                raise DocumentError([Issue("error", "duplicate", "this id is already in use")], path.name)
            known[name] = part
