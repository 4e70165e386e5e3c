"""Parts of a generated Consent, read alike by both readings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from leap.data import Code, Entry, first, last
from leap.vocabulary import ACTORS, BELOW

JSON = Mapping[str, Any]
_DISCLOSING: Final = frozenset({"access", "disclose"})


def usable(consent: JSON, strangers: bool) -> bool:
    """Whether a consent has the shape that we (and IHE PCF) ask for, as far as the generator breaks it.

    strangers: whether an actor whom the directory does not hold is known to be somebody else than who asks.
    """
    root = consent.get("provision")
    told = not {"modifierExtension", "implicitRules"} & consent.keys()
    return bool(
        told and root and "dateTime" in consent and "policy" in consent and _understood(root, strangers)
    )


def _understood(provision: JSON, strangers: bool) -> bool:
    return (
        "type" in provision
        and not {"modifierExtension", "unless"} & provision.keys()
        and all(each["code"] in BELOW for each in provision.get("purpose", ()))
        and all("coding" in each for each in provision.get("code", ()))
        and (strangers or all(each in ACTORS for each in actors_of(provision)))
        and all(_understood(each, strangers) for each in provision.get("provision", ()))
    )


def actors_of(provision: JSON) -> list[str]:
    """The references of the actors of a provision."""
    return [each["reference"]["reference"] for each in provision.get("actor", ())]


def about_disclosing(provision: JSON) -> bool:
    """Whether a provision is about reading; a deny of use is, as what may not be used is not sent."""
    named = {code_of(each) for each in provision.get("action", ())}
    counted = _DISCLOSING | {"use"} if provision.get("type") == "deny" else _DISCLOSING
    return not named or bool(named & counted)


def with_actions(provision: JSON) -> JSON:
    """The provision with its actions written into those within it that state none, as they inherit them.

    Actions gate what is inside: within one about use alone, everything is about use alone.
    """
    if "provision" not in provision or "action" not in provision:
        inner = [with_actions(each) for each in provision.get("provision", ())]
        return {**provision, "provision": inner} if inner else provision
    stated = {"action": provision["action"]}
    reads = _DISCLOSING & {code_of(each) for each in provision["action"]}
    inner = [{**stated, **each} if reads else {**each, **stated} for each in provision["provision"]]
    return {**provision, "provision": [with_actions(each) for each in inner]}


def meant(data: JSON, one: Entry) -> bool:
    """Whether R4's provision.data means the resource (value set consent-data-meaning).

    What PCF calls related refers to the resource that is named; in R4 that one refers to it. Here both do.
    """
    meaning, name = data["meaning"], data["reference"]["reference"]
    if meaning == "authoredby":
        return name in one.authors
    return (
        name == one.name
        or (meaning != "instance" and name in one.refers)
        or (meaning == "related" and name in one.referred_by)
    )


def dated(period: JSON, surely: bool, one: Entry) -> bool:
    """Whether a resource is from a dataPeriod: surely, so wholly; or perhaps, so touched by it or undated."""
    if one.dated is None:
        return not surely
    begins, ends = one.dated
    earliest = first(period["start"]) if "start" in period else None
    latest = last(period["end"]) if "end" in period else None
    if surely:
        return (earliest is None or earliest <= begins) and (latest is None or ends <= latest)
    return (earliest is None or earliest <= ends) and (latest is None or begins <= latest)


def below(purpose: str) -> set[str]:
    """A purpose and all below it."""
    return {purpose}.union(*(below(each) for each in BELOW.get(purpose, ())))


def codings(codings: Iterable[JSON]) -> list[Code]:
    """Codings as (system, code)."""
    return [(each["system"], each["code"]) for each in codings]


def code_of(concept: JSON) -> str:
    """The code of a CodeableConcept's first coding."""
    return str(concept["coding"][0]["code"])
