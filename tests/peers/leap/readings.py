"""Two ways to read a Consent, in one evaluator: LEAP's and ours, switched point by point.

LEAP's reading was written down from what it does (and every run checks that it says what LEAP says); ours
from the published text and our profile (and every run checks that it says what our engine says; nothing of
`consent` is imported). Each switch is one class of difference (differences.yaml), so what a difference comes
from is not guessed at: it is the smallest set of switches that leads from LEAP's answer to ours.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final

from leap.covering import covers, limits
from leap.data import Entry, entries, first, last
from leap.generator import Case
from leap.parts import (
    JSON,
    about_disclosing,
    actors_of,
    below,
    code_of,
    codings,
    usable,
    with_actions,
)
from leap.service import Answer
from leap.vocabulary import (
    ACTORS,
    MEMBERS,
    PARTS,
)

PRIVACY: Final = "patient-privacy"


@dataclass(slots=True)
class Word:
    """What one consent says: a decision in LEAP's sense (None: nothing), and the entries it speaks of."""

    decision: str | None = None
    permits: set[str] = field(default_factory=set)
    denies: set[str] = field(default_factory=set)


class Reader:
    """Reads one case; `ours` are the classes in which it is read as we do, all others as LEAP does."""

    def __init__(self, case: Case, ours: Iterable[str]) -> None:
        self.case = case
        self.ours = frozenset(ours)
        self.entries = [self.labelled_as_read(each) for each in entries(case.entries)]
        self.names = {each.name for each in self.entries}
        self.now = case.now

    def labelled_as_read(self, one: Entry) -> Entry:
        one = one.with_labels_from_codes() if "labels-from-codes" in self.ours else one
        return one.with_sensitive_restricted() if "sensitive-restricted" in self.ours else one

    def answer(self) -> Answer:
        """What is decided, and what goes."""
        if "several-purposes" in self.ours and len(self.case.purposes) > 1:
            return self.for_every_purpose()
        consents = [one for one in self.case.consents if one["patient"]["reference"] == self.case.patient]
        own = [one for one in consents if one["status"] == "active"]
        if "other-scope" in self.ours:
            own = [one for one in own if code_of(one["scope"]) == PRIVACY]
        consents = [one for one in own if self.of_category(one)]
        if "unusable" in self.ours and any(not usable(one, not self.case.by_identifier) for one in own):
            return Answer("deny", frozenset())
        words = [(one, self.word(one)) for one in consents]
        spoken = [(one, word) for one, word in words if word.decision or word.permits or word.denies]
        if "newest-consent" not in self.ours:
            spoken = _newest(spoken)
        permits = set().union(*(word.permits for _, word in spoken))
        denies = set().union(*(word.denies for _, word in spoken))
        released = permits - denies
        if "other-person" in self.ours:
            released -= {each.name for each in self.entries if each.person != self.case.patient}
        if "requested-class" in self.ours and self.case.classes:
            asked = {code for _, code in self.case.classes}
            released -= {each.name for each in self.entries if each.type not in asked}
        decisions = {word.decision for _, word in spoken}
        if "decision-of-what-is-sent" in self.ours:
            decision = "permit" if released else "deny" if self.in_force(words) else "no-consent"
        else:
            decision = next((one for one in ("permit", "deny") if one in decisions), "no-consent")
        return Answer(decision, frozenset(released) if decision == "permit" else frozenset())

    def for_every_purpose(self) -> Answer:
        each = [Reader(replace(self.case, purposes=(one,)), self.ours).answer() for one in self.case.purposes]
        released = frozenset.intersection(*(one.released for one in each))
        decisions = {one.decision for one in each}
        if decisions == {"permit"} and (released or "decision-of-what-is-sent" not in self.ours):
            return Answer("permit", released)
        return Answer("no-consent" if decisions == {"no-consent"} else "deny", frozenset())

    def in_force(self, words: list[tuple[JSON, Word]]) -> bool:
        """Whether a consent holds now that permits something to someone, or denies something of this."""
        return any(
            self.in_period(root) and (root.get("type") == "permit" or self.lists(root) or word.denies)
            for consent, word in words
            if (root := self.with_inherited(consent.get("provision") or {}))
        )

    def with_inherited(self, root: JSON) -> JSON:
        return with_actions(root) if "action" in self.ours else root

    def of_category(self, consent: JSON) -> bool:
        named = {code for concept in consent["category"] for code in codings(concept["coding"])}
        if "category-in-scope" in self.ours:
            named |= set(codings(consent["scope"]["coding"]))
        return not self.case.categories or bool(named & set(self.case.categories))

    # -- one consent -------------------------------------------------------------------------------

    def word(self, consent: JSON) -> Word:
        """What one active consent says; what is denied to an organisation is denied to its parts."""
        word = self._word(consent)
        wider = tuple(PARTS[each] for each in self.case.actors if each in PARTS)
        if "part-of" in self.ours and wider:
            asked = replace(self.case, actors=(*self.case.actors, *wider))
            denies = Reader(asked, self.ours)._word(consent).denies
            word.permits -= denies
            word.denies |= denies
        return word

    def _word(self, consent: JSON) -> Word:
        root = self.with_inherited(consent.get("provision") or {})
        kind = root.get("type")
        if kind is None or not self.in_period(root) or not self.purpose_fits(root):
            return Word()
        if "root-actor" in self.ours and not self.actor_fits(root):
            return Word()
        if "action" in self.ours and not about_disclosing(root):
            return Word()
        rules = list(root.get("provision", ()))
        if self.names_nobody(rules):
            return Word()
        matched = [rule for rule in rules if self.applies(rule)]
        return self.by_permit(root, matched) if kind == "permit" else self.by_deny(root, matched)

    def by_permit(self, root: JSON, matched: list[JSON]) -> Word:
        permits, denies = self.together(matched, "permit", self.names, self.names)
        outright = any(
            self.kind(rule, "permit") == "deny" and not limits(rule, self.ours) for rule in matched
        )
        own = self.covered(root, "permit") if "root-data" in self.ours else set(self.names)
        if "requested-class" not in self.ours and not outright:
            refused = {
                code
                for rule in matched
                if self.kind(rule, "permit") == "deny"
                for code in codings(rule.get("class", ()))
            }
            outright = bool(refused & set(self.case.classes))
            if outright:
                denies = set(self.names)
        return Word("deny" if outright else "permit", (own - denies) | permits, denies)

    def by_deny(self, root: JSON, matched: list[JSON]) -> Word:
        permits, denies = self.together(matched, "deny", self.names, self.names)
        opening = [rule for rule in matched if self.kind(rule, "deny") == "permit"]
        if "limited-permit" not in self.ours:
            limited = [rule for rule in opening if limits(rule, self.ours)]
            if limited and len(limited) < len(opening):
                return Word()  # it fails over this combination and leaves the consent out
            if limited:
                permits = set()
        if "permit-list" in self.ours and self.lists(root):
            return Word("permit" if permits else None, permits, denies)
        own = self.covered(root, "deny") if "root-data" in self.ours else set(self.names)
        return Word("permit" if permits else "deny", permits, denies | (own - permits))

    def lists(self, provision: JSON) -> bool:
        """Whether anything below it permits something (in the reading of types that is in force)."""
        around = provision.get("type", "permit")
        return any(
            (self.kind(rule, around) == "permit" and ("action" not in self.ours or about_disclosing(rule)))
            or ("deeper-nesting" in self.ours and self.lists(rule))
            for rule in provision.get("provision", ())
        )

    def together(
        self, rules: list[JSON], around: str, surely: set[str], perhaps: set[str]
    ) -> tuple[set[str], set[str]]:
        """What provisions side by side permit and deny.

        surely, perhaps: the entries of which the provisions around them speak, without and with those of
        which it is not known. A permit is one of the former only, a deny of the latter too.
        """
        permits: set[str] = set()
        denies: set[str] = set()
        for rule in rules:
            kind = self.kind(rule, around)
            mine = self.covered(rule, kind) & (surely if kind == "permit" else perhaps)
            if "deeper-nesting" in self.ours and rule.get("provision"):
                inner = [each for each in rule["provision"] if self.applies(each)]
                within = surely & self.covered(rule, kind, True), perhaps & self.covered(rule, kind, False)
                more, less = self.together(inner, kind, *within)
                permits |= more
                denies |= less
                mine = within[kind != "permit"] - more - less
            (permits if kind == "permit" else denies).update(mine)
        return permits - denies, denies

    # -- does a provision speak of this question ---------------------------------------------------

    def kind(self, rule: JSON, around: str) -> str:
        if "nested-type" in self.ours and "type" in rule:
            return str(rule["type"])
        return "deny" if around == "permit" else "permit"

    def applies(self, rule: JSON) -> bool:
        if "nested-period" in self.ours and not self.in_period(rule):
            return False
        if "action" in self.ours and not about_disclosing(rule):
            return False
        if "requested-class" not in self.ours and self.case.classes and rule.get("class"):
            asked = set(self.case.classes)
            if not asked & set(codings(rule["class"])):
                return False
        return self.purpose_fits(rule) and self.actor_fits(rule)

    def in_period(self, provision: JSON) -> bool:
        period = provision.get("period", {})
        end = period.get("end")
        until = None if end is None else last(end) if "last-day" in self.ours else first(end)
        return ("start" not in period or first(period["start"]) <= self.now) and (
            until is None or self.now <= until
        )

    def purpose_fits(self, provision: JSON) -> bool:
        if "purpose" not in provision:
            return True
        stated = {each["code"] for each in provision["purpose"]}
        if "purpose-hierarchy" in self.ours:
            stated = {code for each in stated for code in below(each)}
        return not stated.isdisjoint(self.case.purposes)

    def actor_fits(self, provision: JSON) -> bool:
        if "actor" not in provision:
            return True
        stated = set(actors_of(provision))
        if "group" in self.ours:
            stated |= {member for each in stated for member in MEMBERS.get(each, ())}
        return not stated.isdisjoint(self.case.actors)

    def names_nobody(self, rules: list[JSON]) -> bool:
        """LEAP leaves a consent out when one of its actors cannot be fetched."""
        if "unresolved-actor" in self.ours:
            return False
        return any(each not in ACTORS for rule in rules for each in actors_of(rule))

    def covered(self, provision: JSON, kind: str, surely: bool | None = None) -> set[str]:
        """The entries of which a provision speaks; without more said, a permit surely and a deny perhaps."""
        sure = kind == "permit" if surely is None else surely
        return {each.name for each in self.entries if covers(provision, kind, sure, each, self.ours)}


def _newest(spoken: list[tuple[JSON, Word]]) -> list[tuple[JSON, Word]]:
    """LEAP's: the one with the latest dateTime; one without any is taken over whatever came before it."""
    chosen: list[tuple[JSON, Word]] = []
    known: datetime | None = datetime(1970, 1, 1, tzinfo=UTC)
    for consent, word in spoken:
        if word.decision is None and not word.permits and not word.denies:
            continue
        given = first(consent["dateTime"]) if "dateTime" in consent else None
        if given is None or known is None or given >= known:
            chosen, known = [(consent, word)], given
    return chosen
