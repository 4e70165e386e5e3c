"""One fact of a question changed, to see what it would do to the answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from consent.agreement import Status
from consent.course import VIEWS
from consent.facts import Facts, Party, Person
from consent.matter import Datum, Matter
from consent.sensitivity import label_named, settled
from profiles.canonical import DISCLOSURE_ITEM

_FLAGS: Final = {"true": True, "yes": True, "false": False, "no": False}
_STATUS: Final[Mapping[str, Status]] = {
    "draft": "draft",
    "active": "active",
    "suspended": "suspended",
    "terminated": "terminated",
}
_MINOR: Final = {**_FLAGS, "unknown": None}

# What can be changed, as the command line tells it.
CHANGES: Final[Mapping[str, str]] = {
    "now": "an instant with its time zone, 2026-06-01T12:00:00-04:00",
    "state": "a Task status: requested, accepted, completed, ...",
    "purpose": "a purpose of use: COC, TREAT, ...",
    "referral-type": "food-insecurity, housing-instability, ...",
    "recipient.known": "true or false",
    "recipient.active": "true or false",
    "recipient.suspended": "true or false",
    "recipient.kinds": "what the recipient is in law, separated by commas",
    "source.kinds": "what the source is in law, separated by commas",
    "source.suspended": "true or false",
    "excluded": "true or false: whether the referral must never reach this recipient",
    "person.minor": "true, false or unknown",
    "agreement": "none, or a status: draft, active, suspended, terminated",
    "agreement.signed": "true or false",
    "consent": "none, or withdrawn: all of them",
    "consent.ID": "none, active or withdrawn: the one with this id",
    "item.ITEM": "present or absent",
    "label.ITEM": "a security label that the item would carry: HIV, SDV, ...",
}

_HELP: Final = "`--what-if help` lists what can be changed."


def what_if(facts: Facts, now: datetime, change: str) -> tuple[Facts, datetime]:
    """The facts and the clock with one fact changed: `recipient.suspended=true`.

    Raises ValueError for one that is none.
    """
    name, equals, value = change.partition("=")
    if not equals:
        raise ValueError(f"A change is written NAME=VALUE. {_HELP}")
    try:
        if name == "now":
            return facts, _instant(value)
        return _changed(facts, name, value), now
    except KeyError:
        wanted = CHANGES.get(name, CHANGES.get(f"{name.partition('.')[0]}.ITEM", ""))
        raise ValueError(
            f"{name} takes {wanted}." if wanted else f"Nothing is called {name}. {_HELP}"
        ) from None


def _changed(facts: Facts, name: str, value: str) -> Facts:
    head, _, tail = name.partition(".")
    if head in ("item", "label", "consent") and tail:
        return {"item": _item, "label": _label, "consent": _consent}[head](facts, tail, value)
    return _WAYS[name](facts, value)


def _instant(value: str) -> datetime:
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        raise KeyError(value) from None
    if moment.tzinfo is None:
        raise KeyError(value)
    return moment


def _state(facts: Facts, value: str) -> Facts:
    if value not in VIEWS:
        raise KeyError(value)
    return replace(facts, state=value)


def _party(side: str, part: str) -> Callable[[Facts, str], Facts]:
    def change(facts: Facts, value: str) -> Facts:
        party: Party = getattr(facts, side)
        kinds = part == "kinds"
        new: Any = frozenset(filter(None, value.split(","))) if kinds else _FLAGS[value]
        changes: dict[str, Any] = {side: replace(party, **{part: new})}
        return replace(facts, **changes)

    return change


def _excluded(facts: Facts, value: str) -> Facts:
    mine = frozenset({facts.recipient.organization})
    return replace(facts, excluded=facts.excluded | mine if _FLAGS[value] else facts.excluded - mine)


def _agreement(facts: Facts, value: str) -> Facts:
    if value == "none":
        return replace(facts, agreements=())
    status = _STATUS[value]
    return replace(facts, agreements=tuple(replace(one, status=status) for one in facts.agreements))


def _signed(facts: Facts, value: str) -> Facts:
    signed = _FLAGS[value]
    return replace(facts, agreements=tuple(replace(one, signed=signed) for one in facts.agreements))


def _consents(facts: Facts, value: str) -> Facts:
    if value == "none":
        return replace(facts, consents=())
    if value != "withdrawn":
        raise KeyError(value)
    return replace(facts, consents=tuple(replace(one, status="inactive") for one in facts.consents))


def _consent(facts: Facts, wanted: str, value: str) -> Facts:
    if wanted not in {one.id for one in facts.consents}:
        raise ValueError("No consent of this person has that id.")
    if value == "none":
        return replace(facts, consents=tuple(one for one in facts.consents if one.id != wanted))
    status = {"active": "active", "withdrawn": "inactive"}[value]
    changed = tuple(replace(one, status=status) if one.id == wanted else one for one in facts.consents)
    return replace(facts, consents=changed)


def _item(facts: Facts, code: str, value: str) -> Facts:
    item = facts.policy.items.entries[code]
    left = [datum for datum in facts.record.data if datum.key != code]
    if value == "absent":
        return replace(facts, record=Matter(left, abstract=()))
    if value != "present":
        raise KeyError(value)
    # As the rest of the record is labelled: what comes from one source comes with its labels.
    labels = frozenset.intersection(*(datum.labels for datum in left)) if left else frozenset()
    new = Datum(code, item.resource, frozenset({(DISCLOSURE_ITEM, code)}), labels)
    return replace(facts, record=Matter([*left, new], abstract=()))


def _label(facts: Facts, code: str, value: str) -> Facts:
    label = label_named(value)
    if label is None or code not in facts.items:
        raise KeyError(value)
    data = [
        replace(datum, labels=settled((*datum.labels, label))) if datum.key == code else datum
        for datum in facts.record.data
    ]
    return replace(facts, record=Matter(data, abstract=()))


_WAYS: Final[Mapping[str, Callable[[Facts, str], Facts]]] = {
    "state": _state,
    "purpose": lambda facts, value: replace(facts, purpose=value),
    "referral-type": lambda facts, value: replace(facts, referral_type=value),
    "recipient.known": _party("recipient", "known"),
    "recipient.active": _party("recipient", "active"),
    "recipient.suspended": _party("recipient", "suspended"),
    "recipient.kinds": _party("recipient", "kinds"),
    "source.kinds": _party("source", "kinds"),
    "source.suspended": _party("source", "suspended"),
    "excluded": _excluded,
    "person.minor": lambda facts, value: replace(facts, person=Person(_MINOR[value])),
    "agreement": _agreement,
    "agreement.signed": _signed,
    "consent": _consents,
}
