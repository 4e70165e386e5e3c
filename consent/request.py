"""One question about a person's consents, with all that it takes to answer it: nothing is looked up.

Request: `{now, consents[], agreement?, directory?, query{patient, actor[], purpose[], category?, class?,
location?}, content?}`. `directory` is a Bundle of the organisations, practitioners, roles, groups and
locations that actors refer to; `content` a Bundle of what is asked for. Without an agreement only the consent
step decides.

Answer: `{decision: permit|deny|no-consent, released[], withheld[], obligations[], reasons[], basis[],
until}`.
`released` and `withheld` are references of the content's entries. `permit` means that something may go: where
there is content, some of it; otherwise anything at all, within the obligations. `no-consent` means that no
usable consent of this person is in force.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any, Final, Literal

from consent.actors import Actors, names_of
from consent.consult import Demand, Findings, consult
from consent.matter import RESOURCE_TYPES, Matter, bits
from consent.policy import Policy, load_policy
from consent.provisions import CompiledConsent, Query, earliest
from consent.question import Question, RequestError, read
from consent.r4 import ACTIVE, compile_consent
from consent.request_agreement import Terms, terms
from consent.residual import redact, residual
from consent.resource import datum, provenance_authors, subjects
from profiles.canonical import ACT_REASON
from profiles.outcome import Issue
from profiles.terminology import known

Outcome = Literal["permit", "deny", "no-consent"]

_WORDS: Final = {
    "consent-given": "A consent in force permits this.",
    "consent-denied": "The person has refused this.",
    "consent-unlisted": "No consent in force permits this.",
    "consent-missing": "There is no consent of this person.",
    "consent-recipient": "The consent does not name this recipient.",
    "consent-purpose": "The consent is for another purpose.",
    "consent-items": "The consent permits nothing of this.",
    "consent-revoked": "The person has withdrawn the consent.",
    "consent-expired": "The consent has ended.",
    "consent-not-yet": "The consent has not begun.",
    "consent-not-active": "The consent was never in force.",
    "consent-discloser": "The consent was given to another agency.",
    "consent-unusable": "A consent cannot be read with certainty, and it may hold a limit the person set.",
    "other-person": "This is about another person.",
    "not-asked": "This is of a class that was not asked for.",
    "obligation-inexpressible": "The person's limits cannot be told without the content: send it along.",
}  # fmt: skip


@dataclass(slots=True)
class Answered:
    """An answer in the making. released, withheld: numbers of the content's entries, with the reason."""

    decision: Outcome
    code: str
    released: dict[int, str] = field(default_factory=dict)
    withheld: dict[int, str] = field(default_factory=dict)
    obligations: list[dict[str, Any]] = field(default_factory=list)
    basis: list[str] = field(default_factory=list)
    reasons: list[dict[str, Any]] = field(default_factory=list)
    until: datetime | None = None


def answer(request: Any, policy: Policy | None = None) -> dict[str, Any]:
    """The answer to a request, as plain JSON-able data. Raises RequestError for one that cannot be read."""
    question = read(request)
    return _told(question, decided(question, policy or _shipped()))


def decided(question: Question, policy: Policy) -> Answered:
    """The answer to a Question. Raises RequestError where it is not clear whose consents they are."""
    entries = question.entries or ()
    actors = Actors(question.directory, literal=_literal(question.actors), now=question.now)
    people = Actors({"entry": [{"resource": one} for one in _people(question)]})
    zone = question.now.tzinfo
    assert zone is not None
    compiled = [compile_consent(one, zone=zone, actors=actors) for one in question.consents]
    patient = _patient(question, people, compiled)
    mine = [
        one
        for one in compiled
        if _is_of(one, patient, people)
        and (not question.categories or question.categories & one.categories or not one.usable)
    ]
    keys = _keys(question)
    by = provenance_authors(resource for _, resource in entries)
    data = [
        datum(
            resource,
            key,
            policy.labels,
            zone,
            url=url,
            authors=by.get(url, set()) | by.get(key, set()),
        )
        for key, (url, resource) in zip(keys, entries, strict=True)
    ]
    matter = Matter(data, abstract=question.classes)
    made = _ask(question, matter, mine, actors)
    out = _not_asked(question, people, patient)
    bound = terms(question, policy) if question.agreement is not None else None
    if bound is not None:
        _bind(made, bound, entries, policy)
    for number, code in out.items():
        made.released.pop(number, None)
        made.withheld[number] = code
    if question.entries is not None and made.decision == "permit" and entries and not made.released:
        made.decision, made.code = "deny", next(iter(made.withheld.values()))
    return made


def _ask(question: Question, matter: Matter, consents: Sequence[CompiledConsent], actors: Actors) -> Answered:
    """Ask the consents for each purpose; what is to go must be permitted for every one of them."""
    asking = actors.asking(question.actors)
    places = frozenset(question.places) or actors.places(asking)
    released, denied = matter.all, 0
    grounds: dict[int, tuple[str, datetime | None]] = {}
    refusals: dict[int, str] = {}
    in_force = True
    problem = ""
    unusable: list[CompiledConsent] = []
    queries = [
        Query(
            frozenset(),
            asking,
            purpose,
            question.now,
            widely=actors.asking_widely(asking),
            places=places,
            known=purpose is None or (purpose[0] == ACT_REASON and known(*purpose)),
        )
        for purpose in question.purposes or (None,)
    ]
    for query in queries:
        found = consult(consents, matter, query, [Demand(matter.all)])
        released &= found.permitted & ~found.denied
        denied |= found.denied
        grounds |= found.grounds
        refusals |= found.refusals
        in_force = in_force and found.in_force
        problem = problem or found.problem
        unusable = found.unusable
    made = Answered("deny", problem)
    if unusable:
        made.code = "consent-unusable"
        made.basis = [one.reference for one in unusable]
        made.reasons = [
            {"code": "consent-unusable", "text": _WORDS["consent-unusable"], "basis": one.reference,
             "issues": [f"{issue.expression} {issue.message}" for issue in one.issues]}
            for one in unusable
        ]  # fmt: skip
        released = 0
    elif not in_force:
        made.decision = "no-consent"
    anything = bool(released & matter.abstract)
    for number in range(len(matter.data)):
        bit = 1 << number
        if released & bit:
            made.released[number] = "consent-given"
        elif unusable:
            made.withheld[number] = "consent-unusable"
        else:
            made.withheld[number] = "consent-denied" if denied & bit else _unlisted(found, problem)
    if made.decision == "deny" and (made.released if question.entries else anything):
        made.decision, made.code = "permit", "consent-given"
    elif made.decision == "deny" and not unusable and denied & matter.all:
        made.code = "consent-denied"
    used = [number for number in bits(released) if number in grounds]
    made.basis += sorted({grounds[number][0] for number in used})
    made.basis += sorted(
        {refusals[number] for number in bits(denied) if number in refusals} - set(made.basis)
    )
    for number in used:
        made.until = earliest(made.until, grounds[number][1])
    if made.decision == "permit" and not question.entries:
        _limit(made, consents, queries)
    return made


def _unlisted(found: Findings, problem: str) -> str:
    return problem if problem != "consent-missing" or not found.in_force else "consent-unlisted"


def _limit(made: Answered, consents: Sequence[CompiledConsent], queries: Sequence[Query]) -> None:
    """Without content, say what of it must be taken out; where that cannot be said, deny."""
    told = residual([one for one in consents if one.usable and one.status == ACTIVE], queries)
    if told is None:
        made.decision, made.code = "deny", "obligation-inexpressible"
        made.basis = []
    else:
        made.obligations += told


def _bind(
    made: Answered, bound: Terms, entries: Sequence[tuple[str, Mapping[str, Any]]], policy: Policy
) -> None:
    """Narrow by the agreement."""
    made.reasons.insert(0, bound.reason)
    made.basis.insert(0, bound.basis)
    made.obligations += bound.obligations
    made.until = earliest(made.until, bound.until)
    for number in list(made.released):
        if not bound.covers(entries[number][1], policy):
            del made.released[number]
            made.withheld[number] = "agreement"
    if bound.denied:
        made.decision, made.code = "deny", bound.denied


def _not_asked(question: Question, people: Actors, patient: frozenset[str]) -> dict[int, str]:
    """The entries that are about another person, or of a class that was not asked for."""
    out: dict[int, str] = {}
    for number, (_, resource) in enumerate(question.entries or ()):
        about = subjects(resource)
        if about and patient and _other(people.asking(about), patient):
            out[number] = "other-person"
        elif question.classes and (RESOURCE_TYPES, resource["resourceType"]) not in question.classes:
            out[number] = "not-asked"
    return out


def _patient(question: Question, people: Actors, consents: Sequence[CompiledConsent]) -> frozenset[str]:
    """The names of the person: as asked for, or whom all the consents are of."""
    if question.patient:
        return people.asking(question.patient)
    named = {people.asking(one.patient) for one in consents if one.patient}
    if len(named) > 1:
        raise RequestError(
            [
                Issue(
                    "error",
                    "required",
                    "is required: the consents are of several people",
                    expression="query.patient",
                )
            ]
        )
    return next(iter(named), frozenset())


def _is_of(consent: CompiledConsent, patient: frozenset[str], people: Actors) -> bool:
    """Whether a consent is this person's. The caller sends consents of one person: one that is named in a way
    that cannot be compared is taken for theirs, one that names somebody else is not.
    """
    return not _other(people.asking(consent.patient), patient)


def _other(one: frozenset[str], other: frozenset[str]) -> bool:
    """Whether two parties are known to be different: they have names of the same kind, and share none."""
    return one.isdisjoint(other) and bool({_kind(name) for name in one} & {_kind(name) for name in other})


def _kind(name: str) -> str:
    """What names can be compared with: identifiers of one system, relative references, URLs."""
    if "|" in name:
        return name.rpartition("|")[0] + "|"
    return "url" if ":" in name else "literal"


def _literal(actors: Iterable[Any]) -> bool:
    """Whether a literal reference in a consent can be told from the party that asks."""
    names = [name for actor in actors for name in names_of(actor)]
    return not names or any(_kind(name) == "literal" for name in names)


def _people(question: Question) -> Iterable[Mapping[str, Any]]:
    for bundle in (
        question.directory.get("entry") or (),
        ({"resource": one} for _, one in question.entries or ()),
    ):
        for entry in bundle:
            resource = entry.get("resource")
            if isinstance(resource, Mapping) and resource.get("resourceType") == "Patient":
                yield resource


def _keys(question: Question) -> list[str]:
    """What each entry of the content is called in the answer."""
    return [
        f"{resource['resourceType']}/{resource['id']}" if resource.get("id") else url or f"entry[{number}]"
        for number, (url, resource) in enumerate(question.entries or ())
    ]


def _told(question: Question, made: Answered) -> dict[str, Any]:
    keys = _keys(question)
    withheld = {keys[number]: code for number, code in made.withheld.items()}
    # Two entries of one name: what is withheld of the one is withheld of both.
    released = [keys[number] for number in made.released if keys[number] not in withheld]
    if withheld:
        made.obligations.append(redact())
    reasons = made.reasons or [{"code": made.code, "text": _WORDS.get(made.code, made.code)}]
    for code in dict.fromkeys(withheld.values()):
        listed = [key for key, why in withheld.items() if why == code]
        reasons.append({"code": code, "text": _WORDS.get(code, code), "withheld": listed})
    return {
        "decision": made.decision,
        "released": list(dict.fromkeys(released)),
        "withheld": list(withheld),
        "obligations": made.obligations,
        "reasons": reasons,
        "basis": list(dict.fromkeys(made.basis)),
        "until": made.until.isoformat() if made.until and made.decision == "permit" else None,
    }


@cache
def _shipped() -> Policy:
    return load_policy()
