"""Step 3 of deciding: what the law says for this source, recipient, purpose and content.

Several regimes may be about one item: those of the source's kind, and those of the item's labels, whoever
holds it. The strictest requirement counts, and what each of them asks of a consent is asked.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from consent.course import Course
from consent.decision import Obligation
from consent.regimes import STRICTNESS, ConsentRule, Regime, Requirement


@dataclass(frozen=True, slots=True)
class Applied:
    """The rules that are about these items."""

    mask: int
    rules: tuple[tuple[Regime, ConsentRule], ...]

    @property
    def requirement(self) -> Requirement:
        """The strictest of them."""
        return max((rule.consent for _, rule in self.rules), key=STRICTNESS.index)

    @property
    def demanded(self) -> frozenset[str]:
        """What all of them ask of a consent."""
        return frozenset().union(*(rule.must_contain for _, rule in self.rules))

    @property
    def implied(self) -> frozenset[str]:
        """The items that each of them takes as meant."""
        return frozenset.intersection(*(rule.implied_items for _, rule in self.rules))


def check_law(course: Course) -> None:
    """3. The strictest rule counts, and what no rule allows is denied."""
    facts = course.facts
    kinds = facts.source.kinds
    applying = [regime for regime in facts.policy.regimes.values() if regime.covers(kinds)]
    whole = [regime for regime in applying if regime.whole]
    if not kinds or any(not _about(kind, whole) for kind in kinds):
        course.deny(
            "law",
            "law-unlisted",
            "No rule is on file for this kind of source, and what is not allowed is denied.",
            ["A regime for every kind of agency that the source is."],
        )
        return
    if course.view == "task":
        _check_closed(course, whole)
        return
    applied = [Applied(course.matter.all, ())]
    for regime in applying:
        about = course.matter.all if regime.about is None else course.matter.labelled(regime.about)
        # What is served in place of an item is not what a law about labels is about. A law about everything
        # that such a source holds is about it all the same.
        instead = 0 if regime.whole else _replaced(course, regime)
        applied = _apply(course, regime, about & ~instead, applied)
        if course.denied:
            return
    course.applied = [one for one in applied if one.mask and one.rules]
    _refuse(course)
    if not course.denied:
        _agreements_wish(course)
        _attach(course, applying)


def _about(kind: str, whole: list[Regime]) -> bool:
    return any(regime.kinds is None or kind in regime.kinds for regime in whole)


def _check_closed(course: Course, whole: list[Regime]) -> None:
    for regime in whole:
        closed = regime.closed
        if closed is None:
            continue
        if closed.answer == "nothing":
            course.deny("law", "closed-vsp", closed.text, basis=regime.basis(closed))
            return
        course.note("law", "law-closed", closed.text, regime.basis(closed))


def _apply(course: Course, regime: Regime, about: int, applied: list[Applied]) -> list[Applied]:
    """Add a regime's rules to those of the items that it is about; an item that none of them fits is out."""
    for minor in course.ages if regime.asks_age else (False,):
        left = about
        for rule in regime.rules:
            if not rule.fits(course.facts.purpose, course.facts.recipient.kinds, minor):
                continue
            mine = left & (course.matter.all if rule.labels is None else course.matter.labelled(rule.labels))
            if mine:
                applied = list(_split(applied, mine, regime, rule))
                left &= ~mine
        if left and regime.whole and left == about:
            course.deny(
                "law",
                "law-purpose",
                f"{regime.title} has no rule that lets this kind of source share for this purpose.",
                ["Another purpose, if the referral truly serves it."],
                regime.id,
            )
            return applied
        if left:
            gone = course.matter.named(left)
            course.keep(
                "law",
                course.items - gone,
                "law-unlisted",
                lambda listed, title=regime.title: f"{title} has no rule that lets these go: {listed}.",  # type: ignore[misc]
            )
    return applied


def _replaced(course: Course, regime: Regime) -> int:
    """The items in whose place the regime has something else served."""
    mask = 0
    for rule in regime.substitutions:
        mask |= course.matter.labelled(rule.labels) & course.matter.mask(rule.items)
    return mask


def _split(applied: list[Applied], mine: int, regime: Regime, rule: ConsentRule) -> Iterator[Applied]:
    for one in applied:
        inside, outside = one.mask & mine, one.mask & ~mine
        if inside:
            more = one.rules if (regime, rule) in one.rules else (*one.rules, (regime, rule))
            yield Applied(inside, more)
        if outside:
            yield Applied(outside, one.rules)


def _refuse(course: Course) -> None:
    """Withhold what a rule refuses whatever the person says, and note every other rule."""
    noted: set[tuple[str, str]] = set()
    for one in course.applied:
        if not course.matter.named(one.mask) & course.items:
            continue
        for regime, rule in one.rules:
            if rule.consent == "refused":
                course.basis.append(regime.basis(rule))
                course.keep(
                    "law",
                    course.items - course.matter.named(one.mask),
                    "law-refused",
                    lambda listed, text=rule.text: f"{text} Withheld: {listed}.",  # type: ignore[misc]
                )
            elif (regime.id, rule.id) not in noted:
                noted.add((regime.id, rule.id))
                course.note("law", f"law-{rule.consent}", rule.text, regime.basis(rule))
    course.applied = [one for one in course.applied if one.requirement != "refused"]
    if course.facts.items and not course.items and "law-refused" in course.withheld.values():
        course.deny("law", "law-refused", "The law lets none of this go, whatever the person has signed.")


def _agreements_wish(course: Course) -> None:
    if course.consent_required_by and any(one.requirement != "required" for one in course.applied):
        course.note(
            "law",
            "agreement-asks-consent",
            "The law would allow this without a consent, but the agreement asks for one.",
            *course.consent_required_by,
        )


def _attach(course: Course, applying: list[Regime]) -> None:
    """The notices that travel with the dossier, and what is served in place of the record's own."""
    for regime in applying:
        about = course.matter.all if regime.about is None else course.matter.labelled(regime.about)
        for notice in regime.notices if course.view == "dossier" else ():
            mine = about if notice.labels is None else about & course.matter.labelled(notice.labels)
            # One about certain labels tells that something carries them, so it goes only with what does.
            always = regime.whole and notice.labels is None
            if mine and (always or course.matter.named(mine) & course.items):
                course.attach(Obligation(notice.notice, notice.says, notice.citation), mine, always)
        for rule in regime.substitutions:
            mine = about & course.matter.labelled(rule.labels)
            for item in sorted(course.matter.named(mine) & rule.items & course.items):
                course.substitutes[item] = rule.value
                course.note("law", "law-substitute", rule.text, regime.basis(rule))
