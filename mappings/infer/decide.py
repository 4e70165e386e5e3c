"""Column by column: what is read as what, what is left and why, and every doubt about it.

A column is read only when its whole name is known and its values agree. All else is left: a proposal that
nobody has looked at lets nothing out by accident.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from mappings.infer.column import Column, Sample
from mappings.infer.content import MOST_CODES, described, misfits
from mappings.infer.words import Left, Role, Words, holds, vocabulary, words_of

_AGREE: Final = 0.8  # of the values, so that the name is believed
_SEVERAL: Final = ("phone",)  # roles that more than one column may have
_TOO_PLAIN: Final = frozenset({"id", "first", "last", "to", "st", "mail", "state", "created"})
_NOT_YET: Final = "Not looked at yet"


@dataclass(frozen=True, slots=True)
class Choice:
    """What becomes of a column: read as `role`, or left `because`.

    key: rows of tables are found by it; doubts: whole sentences, without a value of the sample.
    """

    column: Column
    role: str = ""
    because: str = ""
    sensitive: str = ""
    doubts: tuple[str, ...] = ()
    key: bool = False


def choose(sample: Sample) -> list[Choice]:
    """A choice for every column of `sample`, in its order."""
    choices = [_choice(column, sample) for column in sample.columns]
    return [replace(each, key=each.column.name in sample.keys) for each in _one_each(choices)]


def _choice(column: Column, sample: Sample) -> Choice:
    whole = tuple(word for step in column.steps for word in words_of(step))
    role = _role(column, sample)
    if role is not None:
        return _as_role(column, role)
    sensitive = _sensitive(whole)
    left = _left(whole)
    if left is not None:
        return Choice(column, because=left.because, sensitive=sensitive or left.sensitive)
    because = f"{_NOT_YET}: {described(column.values)}."
    close = _close(whole)
    doubts = (f"Is it {close.says}? The name is not known as such.",) if close and not sensitive else ()
    return Choice(column, because=because, sensitive=sensitive, doubts=doubts)


def _as_role(column: Column, role: Role) -> Choice:
    """Read it, if the values agree."""
    count, wrong = len(column.values), misfits(column.values, role.looks)
    called = f"The name is that of {role.says}"
    if not count:
        return _unsure(column, f"{called}, but it is empty in the sample.")
    if not column.readable:
        return _unsure(
            column, f"{called}, but it cannot be written as a path: names of letters, digits, - and _."
        )
    if column.repeats:
        return _unsure(
            column, f"{called}, but a record may hold several: see `each` in the mapping language."
        )
    if role.looks in ("name", "line", "email") and not all(isinstance(value, str) for value in column.values):
        return _unsure(column, f"{called}, but there are values that are no text.")
    if role.name == "referral-id" and len({str(value) for value in column.values}) < count:
        return _unsure(column, f"{called}, but some stand in several records.")
    if role.looks == "code" and len({str(value) for value in column.values}) > MOST_CODES:
        return _unsure(
            column, f"{called}, but it has more than {MOST_CODES} different values: is it free text?"
        )
    if count - wrong < _AGREE * count:
        return _unsure(column, f"{called}, but {wrong} of {count} values do not look so.")
    doubts = (f"{wrong} of {count} values do not look like {role.says}.",) if wrong else ()
    return Choice(column, role=role.name, doubts=doubts)


def _unsure(column: Column, doubt: str) -> Choice:
    return Choice(column, because=f"{_NOT_YET}: {described(column.values)}.", doubts=(doubt,))


def _one_each(choices: Iterable[Choice]) -> list[Choice]:
    """The first column of each role; the others are left with a doubt."""
    taken: dict[str, str] = {}
    found = []
    for choice in choices:
        first = taken.get(choice.role)
        if choice.role and first is not None and choice.role not in _SEVERAL:
            says = next(role.says for role in vocabulary().roles if role.name == choice.role)
            choice = _unsure(choice.column, f"It too may be {says}. One column is read as that already.")
        elif choice.role:
            taken[choice.role] = choice.column.name
        found.append(choice)
    return found


def _role(column: Column, sample: Sample) -> Role | None:
    """The role that goes by the name, without words that say whose it is."""
    names = _names(column.steps, sample)
    return next((role for name in names for role in vocabulary().roles if name in role.words), None)


def _names(steps: Sequence[str], sample: Sample) -> Iterable[Words]:
    """The name in every form in which it may stand among the words: with what is around it, and without."""
    parts = [words_of(step) for step in steps]
    known = vocabulary()
    table = words_of(str(sample.format.get("record", "")))
    while parts:
        name = tuple(word for part in parts for word in part)
        yield name
        for owner in known.owners:
            if name[: len(owner)] == owner and len(name) > len(owner):
                yield name[len(owner) :]
        around = parts.pop(0)
        if around not in known.owners | known.around and around != table and not _is_record(around):
            return


def _is_record(words: Words) -> bool:
    singular = (*words[:-1], words[-1].removesuffix("s")) if words else ()
    return words in vocabulary().records or singular in vocabulary().records


def _left(whole: Words) -> Left | None:
    return next(
        (left for left in vocabulary().left if any(whole[-len(words) :] == words for words in left.words)),
        None,
    )


def _sensitive(whole: Words) -> str:
    listed: Mapping[str, frozenset[Words]] = vocabulary().sensitive
    return next((code for code, each in listed.items() if any(holds(whole, words) for words in each)), "")


def _close(whole: Words) -> Role | None:
    """A role of which the name holds a word or more, the longest such."""
    found = [
        (len(words), role)
        for role in vocabulary().roles
        for words in role.words
        if not _TOO_PLAIN.issuperset(words) and holds(whole, words)
    ]
    return max(found, key=lambda pair: pair[0])[1] if found else None
