"""What the published text says may not go, written down as plainly as possible and apart from both engines.

Only what is certain: where R4 or IHE PCF leave something open, this forbids nothing. So an engine may hold
back more than this says, and never less. Nothing of `consent`, nor of `readings`, is used.

* FHIR R4 Consent.status: only an active consent is in force; Consent.patient: it is about one person.
* v3-ActCode: a sensitivity means "heightened confidentiality", so at least restricted.
* Consent.provision.period, Period.end: "the timeframe in this rule is valid", its last day included.
* Consent.provision.type: "required in all nested rules"; IHE PCF: required at the root.
* Element modifierExtension, Resource.implicitRules: what is not understood must not be relied on.
* Consent.provision.type: "when the rule conditions are met": a permit reaches what fits all of them, no more.
* Consent.provision.provision: "rules which provide exceptions to the base rule or subrules".
* IHE PCF: no token "for users not authorized, or requests beyond the set of purpose of use".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from leap.data import Entry, entries, first, last, sensitivities
from leap.generator import Case
from leap.vocabulary import BELOW, CONFIDENTIALITY, LABEL_PARENTS, LEVELS, MEMBERS, RESOURCE_TYPES

Provision = Mapping[str, Any]


def forbidden(case: Case) -> dict[str, str]:
    """The names of the resources that may not go, each with the reason."""
    if len(case.purposes) > 1:  # what goes must be allowed for each of them
        each = [forbidden(replace(case, purposes=(purpose,))) for purpose in case.purposes]
        return dict(item for found in each for item in found.items())
    trees = [one["provision"] for one in case.consents if _counts(one, case)]
    found = {}
    for each in entries(case.entries):
        one = each.with_labels_from_codes().with_sensitive_restricted()
        if one.person != case.patient:
            found[one.name] = "it is about somebody else"
        elif any(_denied(tree, case, one, at_root=True) for tree in trees):
            found[one.name] = "a provision denies it outright"
        elif not any(_permitted(tree, case, one, at_root=True) for tree in trees):
            found[one.name] = "no provision permits it"
    return found


def _counts(consent: Mapping[str, Any], case: Case) -> bool:
    """Whether the consent is this person's, in force, and of a form that can be relied on."""
    return (
        consent["status"] == "active"
        and consent["patient"]["reference"] == case.patient
        and consent["scope"]["coding"][0]["code"] == "patient-privacy"
        and "provision" in consent
        and not {"modifierExtension", "implicitRules"} & set(consent)
        and all("type" in each and "modifierExtension" not in each for each in _all(consent["provision"]))
    )


def _all(provision: Provision) -> Iterator[Provision]:
    yield provision
    for inner in provision.get("provision", ()):
        yield from _all(inner)


def _permitted(provision: Provision, case: Case, one: Entry, *, at_root: bool = False) -> bool:
    """Whether it, or one within it, is a permit that fits."""
    if not _speaks(provision, case):
        return False
    fits = _about(provision, one, permit=True)
    if provision["type"] == "permit" and fits:
        return True
    # PCF, "focused": what an inner permit is about need not be what the root is about.
    return (fits or at_root or provision["type"] == "deny") and any(
        _permitted(inner, case, one) for inner in provision.get("provision", ())
    )


def _denied(provision: Provision, case: Case, one: Entry, *, at_root: bool = False) -> bool:
    """Whether it is, or one within it is, a deny without exceptions that fits."""
    if not _speaks(provision, case):
        return False
    inner = provision.get("provision", ())
    fits = _about(provision, one, permit=False)
    if provision["type"] == "deny" and not inner:
        return fits
    return (fits or at_root) and any(_denied(each, case, one) for each in inner)


def _speaks(provision: Provision, case: Case) -> bool:
    """Whether this purpose, this recipient, this moment and this action are those it speaks of."""
    purposes = [each["code"] for each in provision.get("purpose", ())]
    actors = [each["reference"]["reference"] for each in provision.get("actor", ())]
    actions = [each["coding"][0]["code"] for each in provision.get("action", ())]
    period = provision.get("period", {})
    return (
        (not purposes or any(_within(case.purposes[0], each) for each in purposes))
        and (
            not actors
            or any(asked in (each, *MEMBERS.get(each, ())) for asked in case.actors for each in actors)
        )
        and (not actions or "disclose" in actions or "access" in actions)
        and ("start" not in period or first(period["start"]) <= case.now)
        and ("end" not in period or case.now <= last(period["end"]))
    )


def _within(purpose: str, wider: str) -> bool:
    return purpose == wider or any(_within(purpose, each) for each in BELOW.get(wider, ()))


def _about(provision: Provision, one: Entry, *, permit: bool) -> bool:
    """Whether the resource is among the data it speaks of: every attribute that is stated must fit."""
    return (
        ("securityLabel" not in provision or _labelled(provision["securityLabel"], one, permit=permit))
        and (
            "class" not in provision
            or one.type in [each["code"] for each in provision["class"] if each["system"] == RESOURCE_TYPES]
        )
        and ("code" not in provision or any(_coded(each, one) for each in provision["code"]))
        and ("data" not in provision or any(_named(each, one, permit=permit) for each in provision["data"]))
        and ("dataPeriod" not in provision or _dated(provision["dataPeriod"], one))
    )


def _labelled(stated: list[Mapping[str, str]], one: Entry, *, permit: bool) -> bool:
    """R4: confidentiality is "a high water mark", of other labels subsumption decides.

    R4's comment ("labeled R or lower") and PCF's examples (deny R beside permit N) agree about a deny only
    for the level that it names, so that is all that is asked of one here.
    """
    names = {each["code"] for each in stated if each["system"] != CONFIDENTIALITY}
    mine = sensitivities(one.labels)
    if names & (mine | {LABEL_PARENTS[each] for each in mine if each in LABEL_PARENTS}):
        return True
    levels = [LEVELS.index(each["code"]) for each in stated if each["system"] == CONFIDENTIALITY]
    return one.level >= 0 and bool(levels) and (one.level <= max(levels) if permit else one.level in levels)


def _coded(concept: Mapping[str, Any], one: Entry) -> bool:
    return any((each["system"], each["code"]) in one.codes for each in concept.get("coding", ()))


def _named(data: Mapping[str, Any], one: Entry, *, permit: bool) -> bool:
    """R4's value set says one thing of "related" and PCF's examples another. A permit may mean both; a deny
    means for sure no more than the resource itself.
    """
    meaning, reference = data["meaning"], data["reference"]["reference"]
    if meaning == "authoredby":
        return reference in one.authors
    wider = one.refers | (one.referred_by if meaning == "related" else frozenset())
    sure = meaning == "dependents" or permit
    return reference == one.name or (meaning != "instance" and sure and reference in wider)


def _dated(period: Mapping[str, str], one: Entry) -> bool:
    if one.dated is None:
        return False
    begins, ends = one.dated
    return ("start" not in period or first(period["start"]) <= begins) and (
        "end" not in period or ends <= last(period["end"])
    )
