"""Everything the engine knows before it is asked: items, regimes, minimum sets, notices. Loaded once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
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


def load_policy(folder: Path = SHIPPED, *more: Path) -> Policy:
    """The policy in `folder` and then in `more`: `regimes/*.yaml`, `minimum/*.yaml` and `labels/` of
    each.

    Another state's law is another folder. Words (`notices.yaml`) and items are the project's own. Raises
    DocumentError with file and line for a term that the engine does not know and for an id given twice.
    """
    items = shipped()
    words: Mapping[str, Any] = load(
        SHIPPED / "notices.yaml", read_schema(SCHEMAS / "notices.schema.json")
    ).data
    notices = words["notices"]
    regimes: dict[str, Regime] = {}
    minimum: dict[str, MinimumSet] = {}
    for each in (folder, *more):
        if not each.is_dir():
            raise DocumentError([Issue("error", "not-found", "there is no such policy folder")], each.name)
        _add(regimes, each / "regimes", lambda path: load_regime(path, items, notices), lambda one: one.id)
        _add(minimum, each / "minimum", lambda path: load_minimum(path, items), lambda one: one.referral_type)
    return Policy(
        items=items,
        regimes=regimes,
        minimum=minimum,
        notices=notices,
        purposes=words["purposes"],
        labels=load_labels([each / "labels" for each in (folder, *more)]),
    )


def _add(
    known: dict[str, _Part], folder: Path, read: Callable[[Path], _Part], name: Callable[[_Part], str]
) -> None:
    for path in sorted(folder.glob("*.yaml")):
        part = read(path)
        if name(part) in known:
            raise DocumentError([Issue("error", "duplicate", "this id is already in use")], path.name)
        known[name(part)] = part
