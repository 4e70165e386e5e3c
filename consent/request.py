"""One question about a person's consents, with all that it takes to answer it: nothing is looked up.

Request: `{now, consents[], agreement?, directory?, query{patient, actor[], purpose[], category?, class?,
location?}, content?}`. `directory` is a Bundle of the organisations, practitioners, roles, groups and
locations that actors refer to; `content` a Bundle of what is asked for. Without an agreement only the consent
step decides.

Answer: `{decision: permit|deny|no-consent, released[], withheld[], obligations[], reasons[], basis[],
until}`.
`released` and `withheld` are references of the content's entries. `permit` means that something may go: where
there is content, some of it; otherwise anything at all, within the obligations. `no-consent` means that no
usable consent of this person is in force. `until` is when to ask again at the latest.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from consent.actors import DIRECTORY
from consent.matter import Matter
from consent.policy import Policy, load_policy
from consent.provisions import CompiledConsent, earliest
from consent.question import Question, read
from consent.r4 import compile_consent
from consent.request_actors import AskedActors
from consent.request_agreement import Terms, terms
from consent.request_answer import Answered, told
from consent.request_heard import hear, limit, say, tell_unusable
from consent.request_person import Person
from consent.request_until import next_change
from consent.residual import redact
from consent.resource import Content, content, provenance_authors
from profiles.canonical import DISCLOSURE_ITEM


def answer(request: Any, policy: Policy | None = None) -> dict[str, Any]:
    """The answer to a request, as plain JSON-able data. Raises RequestError for one that cannot be read."""
    question = read(request)
    return told(decided(question, policy), _keys(question))


def decided(question: Question, policy: Policy | None = None) -> Answered:
    """The answer to a Question. Raises RequestError where it is not clear whose consents they are."""
    policy = policy or _shipped()
    zone = question.now.tzinfo
    assert zone is not None
    actors = AskedActors(question.directory, question.actors, question.now)
    compiled = [compile_consent(one, zone=zone, actors=actors) for one in question.consents]
    person = Person(question, compiled)
    bound = terms(question, policy) if question.agreement is not None else None
    mine = [one for one in compiled if person.gives(one) and _asked_about(one, question)]
    entries = _contents(question, policy, actors)
    matter = Matter(
        (datum for entry in entries for datum in entry.data),
        abstract=None if entries else question.classes,
    )
    heard = hear(question, matter, mine, actors)
    made = say(heard, matter, entries)
    if heard.unusable:
        tell_unusable(made, heard.unusable)
    elif made.decision == "permit" and not entries:
        limit(made, heard, mine)
    made.until = earliest(made.until, next_change(mine, question.directory, question.now))
    if bound is not None:
        _bind(made, bound, question, policy)
    for number, code in _left_out(question, matter, entries, person).items():
        made.withhold(number, code)
    _settle(made, question)
    return made


def _asked_about(consent: CompiledConsent, question: Question) -> bool:
    """Whether a consent is of a category that was asked for; what cannot be read counts whatever it is."""
    return not question.categories or bool(question.categories & consent.categories) or not consent.usable


def _contents(question: Question, policy: Policy, actors: AskedActors) -> list[Content]:
    entries = question.entries or ()
    zone = question.now.tzinfo
    assert zone is not None
    by = provenance_authors(resource for _, resource in entries)
    return [
        content(
            resource,
            key,
            policy.labels,
            zone,
            url=url,
            authors=by.get(url, set()) | by.get(key, set()) if by else (),
            actors=actors if question.directory else DIRECTORY,
        )
        for key, (url, resource) in zip(_keys(question), entries, strict=True)
    ]


def _bind(made: Answered, bound: Terms, question: Question, policy: Policy) -> None:
    """Narrow by the agreement."""
    made.reasons.insert(0, bound.reason)
    made.basis.insert(0, bound.basis)
    made.until = earliest(made.until, bound.until)
    for number in sorted(made.released):
        if not bound.covers((question.entries or ())[number][1], policy):
            made.withhold(number, "agreement")
    if bound.denied:
        made.decision, made.code = "deny", bound.denied
        return
    made.obligations += bound.obligations
    if made.decision == "permit" and not question.entries:
        items = [{"system": DISCLOSURE_ITEM, "code": code} for code in sorted(bound.items)]
        made.obligations.append(redact(exceptAnyOfCodes=items))


def _left_out(
    question: Question, matter: Matter, entries: Sequence[Content], person: Person
) -> dict[int, str]:
    """The entries that cannot go whatever the consents say, and why."""
    out: dict[int, str] = {}
    asked = matter.classed(question.classes, permit=True) if question.classes else matter.all
    first = 0
    for number, entry in enumerate(entries):
        if not entry.whole:
            out[number] = "not-readable"
        elif not asked >> first & 1:
            out[number] = "not-asked"
        first += len(entry.data)
    return out | dict.fromkeys(person.others([entry.about for entry in entries]), "other-person")


def _settle(made: Answered, question: Question) -> None:
    """What is withheld of one entry is withheld of any other of its name; nothing left to go is no permit."""
    keys = _keys(question)
    withheld = {keys[number] for number in made.withheld}
    for number in [one for one in made.released if keys[one] in withheld]:
        made.withhold(number, "duplicate")
    if made.decision == "permit" and question.entries and not made.released:
        made.decision, made.code = "deny", next(iter(made.withheld.values()))
    if made.decision != "permit":
        made.until = None
        for number in sorted(made.released):
            made.withhold(number, made.code)


def _keys(question: Question) -> list[str]:
    """What each entry of the content is called in the answer."""
    return [
        f"{resource['resourceType']}/{resource['id']}" if resource.get("id") else url or f"entry[{number}]"
        for number, (url, resource) in enumerate(question.entries or ())
    ]


@cache
def _shipped() -> Policy:
    return load_policy()
