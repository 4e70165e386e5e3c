"""Whose consents and whose data a request is about: comparing the names that the request gives of people.

Nothing is looked up, so of two names it is often only known that they may be of one person: an identifier of
one system says nothing about a literal reference. What is known to be about somebody else is left out.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final, Literal

from consent.actors import Actors
from consent.provisions import CompiledConsent
from consent.question import Question, RequestError
from profiles.outcome import Issue

Names = frozenset[str]
Relation = Literal["same", "other", "unclear"]
_MOST_NAMES: Final = 20  # ways of naming one person that cannot be compared


class Person:
    """The person of one request, by every name that the request gives of them."""

    def __init__(self, question: Question, consents: Sequence[CompiledConsent]) -> None:
        """Raises RequestError where the consents are of several people and nothing says of whom to decide."""
        self._people = Actors({"entry": list(_patients(question))})
        self._known: dict[Names, Relation] = {}
        self.names = self._people.asking(question.patient)
        unclear = {
            self._people.asking(one.patient)
            for one in consents
            if one.patient and self.compared(one.patient) == "unclear"
        }
        if _several(unclear):
            rule = "does not say whose consents to ask: they are of several people"
            raise RequestError([Issue("error", "required", rule, expression="query.patient")])
        # The caller sends one person's consents: one named in a way that cannot be compared is theirs.
        self.names = self.names.union(*unclear)
        self._known.clear()

    def compared(self, party: Names) -> Relation:
        """What is known of a party: that it is this person, that it is another, or neither."""
        found = self._known.get(party)
        if found is None:
            found = self._known[party] = _relation(self._people.asking(party), self.names)
        return found

    def gives(self, consent: CompiledConsent) -> bool:
        """Whether a consent is taken for this person's: all but those known to be another's."""
        return self.compared(consent.patient) != "other"

    def others(self, about: Sequence[Sequence[Names]]) -> frozenset[int]:
        """Of entries, each about some parties, the numbers of those that are about another person as well.

        Several people of whom nothing is known cannot all be this person: then none of them is.
        """
        relations = {party: self.compared(party) for parties in about for party in parties}
        unclear = {self._people.asking(party) for party, found in relations.items() if found == "unclear"}
        apart = {"other", "unclear"} if _several(unclear) else {"other"}
        return frozenset(
            number
            for number, parties in enumerate(about)
            if any(relations[party] in apart for party in parties)
        )


def _relation(one: Names, other: Names) -> Relation:
    if not one.isdisjoint(other):
        return "same"
    found = {_compared(name, another) for name in one for another in other}
    return "same" if "same" in found else "other" if "other" in found else "unclear"


def _compared(one: str, other: str) -> Relation:
    """Two names that are not equal."""
    one, other = (name.partition("/_history/")[0] for name in (one, other))
    kind, another = kind_of(one), kind_of(other)
    if kind == another:
        return "same" if one == other else "other"
    if {kind, another} == {"url", "literal"}:  # an absolute and a relative reference to the same resource
        return "same" if one.endswith(f"/{other}") or other.endswith(f"/{one}") else "other"
    return "unclear"


def kind_of(name: str) -> str:
    """What a name can be compared with: identifiers of one system, URNs, URLs, relative references."""
    if "|" in name:
        return name.rpartition("|")[0] + "|"
    if name.startswith("urn:"):
        return "urn"
    return "url" if ":" in name else "literal"


def _several(parties: Collection[Names]) -> bool:
    """Whether these cannot all be one person."""
    if len(parties) > _MOST_NAMES:
        return True
    so_far: Names = frozenset()
    for party in sorted(parties, key=sorted):
        if _relation(party, so_far) == "other":
            return True
        so_far |= party
    return False


def _patients(question: Question) -> Iterable[Mapping[str, Any]]:
    """Who is who, as entries of a Bundle: the Patients of the directory and of the content."""
    for entry in question.directory.get("entry") or ():
        if entry["resource"]["resourceType"] == "Patient":
            yield entry
    for url, resource in question.entries or ():
        if resource["resourceType"] == "Patient":
            yield {"fullUrl": url, "resource": resource}
