"""Who must never see a referral: organisations, and people of whom one must know where they work.

It stands in the referral's sealed record, since whom a person fears is about that person. A name of which
nobody knows the organisation keeps everybody out until somebody says it: better nobody reads it than they.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from gateway.node import Node
from gateway.trust.directory import Called, Directory
from mappings import Mapped

PART: Final = "excluded"


@dataclass(frozen=True, slots=True)
class Exclusions:
    """organizations: directory URLs. named: a person, or an organisation that is not known by its name, as
    the agency calls them → the directory URLs that this closes; None while nobody has said which.
    """

    organizations: frozenset[str] = frozenset()
    named: Mapping[str, tuple[str, ...] | None] = field(default_factory=dict)

    @property
    def closed(self) -> frozenset[str]:
        """Every organisation that must never see it."""
        return self.organizations.union(*(found for found in self.named.values() if found))

    @property
    def undecided(self) -> tuple[str, ...]:
        """The names of which nobody has said where they work."""
        return tuple(name for name, found in self.named.items() if found is None)

    def plus(self, more: Exclusions) -> Exclusions:
        """These and more; nothing is ever taken away, and what was said of a name stays said."""
        named = dict(self.named)
        for name, found in more.named.items():
            before = named.get(name)
            if found is None or before is None:
                named[name] = found if before is None else before
            else:
                named[name] = tuple(dict.fromkeys((*before, *found)))
        return Exclusions(self.organizations | more.organizations, named)

    def sealed(self) -> dict[str, Any]:
        """What stands in the record."""
        return {
            "organizations": sorted(self.organizations),
            "named": {name: None if found is None else list(found) for name, found in self.named.items()},
        }


def of(record: Mapping[str, Any]) -> Exclusions:
    """Those in a referral's record."""
    held = record.get(PART) or {}
    named = {name: None if found is None else tuple(found) for name, found in held.get("named", {}).items()}
    return Exclusions(frozenset(held.get("organizations", ())), named)


def in_record(node: Node, system: str, mapped: Mapped) -> Exclusions:
    """Those that a local record names: organisations as its system calls them, people as it calls them."""
    names = node.settings.systems[system].recipients
    return _found(node, names, mapped.excluded).plus(people(node, mapped.excluded_people))


def organizations(node: Node, wanted: Iterable[str]) -> Exclusions:
    """Those of the command line: names that any of the node's systems uses, the directory's, or its URLs."""
    names = {name: url for one in node.settings.systems.values() for name, url in one.recipients.items()}
    return _found(node, names, wanted)


def people(node: Node, names: Iterable[str]) -> Exclusions:
    """People, and where they work as far as the directory tells, which names each organisation's contacts."""
    asked = list(names)
    works_at = _where(node.directory, asked, _contacts)
    return Exclusions(named={name: works_at.get(_plain(name)) for name in asked})


def _found(node: Node, names: Mapping[str, str], wanted: Iterable[str]) -> Exclusions:
    """An organisation that is not known by its name here may be known to others by another: nobody decides
    but a person.
    """
    asked = {one: names.get(one, one) for one in wanted}
    known = {url for url in asked.values() if "/Organization/" in url}
    by_name = [one for one, url in asked.items() if url not in known]
    found = _where(node.directory, by_name, _names)
    known.update(*found.values())
    return Exclusions(frozenset(known), {one: None for one in by_name if _plain(one) not in found})


def _where(
    directory: Directory, wanted: Iterable[str], words_of: Callable[[Called], Iterable[str]]
) -> dict[str, tuple[str, ...]]:
    """Of what is wanted, as it is compared: the organisations that have it among their words."""
    sought = {_plain(one) for one in wanted}
    found: dict[str, tuple[str, ...]] = {}
    if sought:  # very many may stand in the directory
        for one in directory.called:
            for word in sought.intersection(map(_plain, words_of(one))):
                found[word] = (*found.get(word, ()), one.organization)
    return found


def _names(one: Called) -> tuple[str, str]:
    return one.name, one.organization.rpartition("/")[2]


def _contacts(one: Called) -> Iterator[str]:
    return (word for contact in one.contacts.values() for word in contact.values())


def _plain(text: str) -> str:
    """A name or address as it is compared: without case, `mailto:` or `tel:`, and with single blanks."""
    return " ".join(text.casefold().removeprefix("mailto:").removeprefix("tel:").split())
