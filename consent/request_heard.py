"""What a person's consents say for all the purposes of one request together, and the answer that makes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from consent.actors import Actors
from consent.consult import Demand, Findings, consult, mark, replaced
from consent.limits import Limits
from consent.matter import Matter, bits
from consent.provisions import CompiledConsent, Query, Rule, earliest
from consent.question import Question, RequestError
from consent.r4 import ACTIVE
from consent.request_answer import WORDS, Answered
from consent.residual import residual
from consent.resource import Content
from profiles.canonical import ACT_REASON
from profiles.outcome import Issue
from profiles.terminology import known

_OF_ANOTHER: Final = frozenset({"consent-items", "consent-purpose", "consent-recipient", "consent-discloser"})


MOST_WORK: Final = 5_000_000  # comparisons of one thing with one provision: about a second


@dataclass(slots=True)
class Heard:
    """What the consents say for every purpose together. released, denied: masks of the matter's items.

    findings: for each of the queries. lacking: why an item is not permitted, by its number; problem: why
    nothing at all is.
    """

    queries: list[Query]
    released: int
    denied: int
    findings: list[Findings]
    lacking: dict[int, str]
    problem: str
    in_force: bool
    unusable: list[CompiledConsent]


def hear(question: Question, matter: Matter, consents: Sequence[CompiledConsent], actors: Actors) -> Heard:
    """Ask the consents for each purpose; what is to go must be permitted for every one of them."""
    _check_work(question, matter, consents)
    asking = actors.asking(question.actors)
    places = frozenset(question.places) or actors.places(asking)
    widely = actors.asking_widely(asking)
    heard = Heard([], matter.all, 0, [], {}, "", False, [])
    for purpose in question.purposes or (None,):
        query = Query(
            frozenset(),
            asking,
            purpose,
            question.now,
            widely=widely,
            places=places,
            known=purpose is None or (purpose[0] == ACT_REASON and known(*purpose)),
        )
        found = consult(consents, matter, query, [Demand(matter.all)])
        permitted = found.permitted & ~found.denied
        problem = _problem(found)
        for number in bits(matter.all & ~permitted):
            heard.lacking.setdefault(number, problem)
        if not permitted:
            heard.problem = heard.problem or problem
        heard.queries.append(query)
        heard.findings.append(found)
        heard.released &= permitted
        heard.denied |= found.denied
        heard.in_force = heard.in_force or found.in_force
        heard.unusable = found.unusable
    heard.lacking |= dict.fromkeys(bits(heard.denied), "consent-denied")
    return heard


def _check_work(question: Question, matter: Matter, consents: Sequence[CompiledConsent]) -> None:
    """Raises RequestError where the answer would take too long.

    Provisions about single things and dates are put to each thing for each purpose; classes and labels once.
    """
    stated = [limits for one in consents for limits in (one.limits, *_limits(one.rules))]
    anew = sum(len(limits.data or ()) + (limits.dates is not None) for limits in stated)
    once = len({limits.classes for limits in stated}) + len({limits.labels for limits in stated})
    if (anew * max(1, len(question.purposes)) + once) * len(matter.data) > MOST_WORK:
        rule = "has too many entries for so many purposes and provisions; ask in parts"
        raise RequestError([Issue("error", "too-costly", rule, expression="content")])


def _limits(rules: Iterable[Rule]) -> Iterator[Limits]:
    for rule in rules:
        yield rule.limits
        yield from _limits(rule.rules)


def _problem(found: Findings) -> str:
    """Why what is not permitted is not. Where something is, another consent's recipient explains nothing."""
    if found.problem == "consent-missing":
        return "consent-unlisted" if found.in_force else found.problem
    return "consent-unlisted" if found.permitted and found.problem in _OF_ANOTHER else found.problem


def say(heard: Heard, matter: Matter, entries: Sequence[Content]) -> Answered:
    """What was heard, entry by entry: one goes if it is permitted and nothing within it is denied."""
    made = Answered("deny", "")
    used: list[int] = []
    first = 0
    for number, entry in enumerate(entries):
        inside = ((1 << len(entry.data)) - 1) << first
        if heard.released >> first & 1 and not heard.denied & inside:
            made.released.add(number)
            used.append(first)
        else:
            made.withheld[number] = "consent-denied" if heard.denied & inside else heard.lacking[first]
        first += len(entry.data)
    if not entries:
        used = list(bits(heard.released & matter.abstract))
    if used:
        made.decision, made.code = "permit", "consent-given"
    elif not heard.in_force:
        made.decision, made.code = "no-consent", heard.problem or "consent-missing"
    else:
        made.code = "consent-denied" if heard.denied else heard.problem or "consent-unlisted"
    _rest_on(made, heard, used)
    return made


def _rest_on(made: Answered, heard: Heard, used: Sequence[int]) -> None:
    """The provisions that permit what goes, and that deny what does not; how long the former last."""
    grounds: set[str] = set()
    refusals: set[str] = set()
    for found in heard.findings:
        for number in used:
            basis, ends = found.grounds[number]
            grounds.add(basis)
            made.until = earliest(made.until, ends)
        refusals.update(found.refusals.values())
    made.basis = sorted(grounds) + sorted(refusals - grounds)


def tell_unusable(made: Answered, unusable: Sequence[CompiledConsent]) -> None:
    """A consent that cannot be read may hold a limit on anything, so nothing goes; its owner is told why."""
    made.decision, made.code, made.until = "deny", "consent-unusable", None
    made.withheld = dict.fromkeys([*made.released, *made.withheld], "consent-unusable")
    made.released = set()
    made.basis = [one.reference for one in unusable]
    made.reasons = [
        {
            "code": "consent-unusable",
            "text": WORDS["consent-unusable"],
            "basis": one.reference,
            "issues": [f"{issue.expression} {issue.message}" for issue in one.issues],
        }
        for one in unusable
    ]


def limit(made: Answered, heard: Heard, consents: Sequence[CompiledConsent]) -> None:
    """Without content, say what of it must be taken out; where that cannot be said, deny."""
    dead, silent = replaced(consents, heard.queries[0])
    heeded = [
        one
        for one in consents
        if one.usable and one.status == ACTIVE and not one.foreign and mark(one) not in silent
    ]
    permits = [one for one in heeded if mark(one) not in dead]
    limits = residual(permits, heeded, heard.queries)
    if limits is None:
        made.decision, made.code = "deny", "obligation-inexpressible"
        made.basis = []
    else:
        made.obligations += limits
