"""A new agreement from a template and plain answers; what they leave out stays as the template has it."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any, Final

from consent import agreement
from profiles.document import read_schema

TEMPLATES: Final = Path(__file__).parent / "templates"
_ROLES: Final = ("source", "recipient")
_RECORDS: Final = ("request", "approvals")


def templates() -> tuple[str, ...]:
    """The names of the shipped templates."""
    return tuple(sorted(path.stem for path in TEMPLATES.glob("*.json")))


def referral_types(template: str) -> tuple[str, ...]:
    """The referral types that a template has clauses for. Raises ValueError for one that there is not."""
    return tuple(dict.fromkeys(one["referralType"] for one in _template(template)["data"]))


def _template(name: str) -> Mapping[str, Any]:
    if name not in templates():
        raise ValueError(f"There is no template {name}; there are {', '.join(templates())}.")
    return agreement.read(TEMPLATES / f"{name}.json")


def answers_schema() -> Mapping[str, Any]:
    """The JSON Schema of complete answers."""
    return read_schema(Path(__file__).parent / "agreement_answers.schema.json")


def draft(template: str, answers: Mapping[str, Any]) -> dict[str, Any]:
    """The draft of an agreement, unsigned.

    answers: of the shape of `answers_schema`, of a party at least `organization`, `name` and `keys`. Raises
    ValueError for a template or a referral type that there is not, and where no referral type is chosen: an
    agreement about every need is not one that anybody has thought through.
    """
    document: dict[str, Any] = deepcopy(dict(_template(template)))
    document["id"] = answers["id"]
    document["title"] = answers.get("title", document["title"])
    document["period"] = {**document["period"], "start": answers["start"], "end": answers["end"]}
    document["period"]["zone"] = answers.get("zone", document["period"]["zone"])
    document["consentRequired"] = answers.get("consentRequired", document["consentRequired"])
    document["data"] = _data(document["data"], answers.get("referralTypes"))
    for number, role in enumerate(_ROLES):
        _put_party(document, number, answers[role])
    document["approvals"] = [
        {"organization": answers[role]["organization"], **answers[role]["approved"]}
        for role in _ROLES
        if "approved" in answers[role]
    ]
    asked = answers.get("request")
    document["request"] = {"organization": answers["source"]["organization"], **asked} if asked else None
    # Neither is invented: where nobody has said who asked and who approved, the agreement does not say it.
    return {name: value for name, value in document.items() if name not in _RECORDS or value}


def next_version(document: Mapping[str, Any]) -> dict[str, Any]:
    """The same terms as a draft of the next version, which replaces this one once all have signed it."""
    kept = {name: value for name, value in document.items() if name not in ("signatures", "statements")}
    before = document["version"]
    return {**kept, "version": before + 1, "supersedes": before, "status": "draft"}


def _put_party(document: dict[str, Any], number: int, party: Mapping[str, Any]) -> None:
    organization, name = party["organization"], party["name"]
    old = document["parties"][number]
    document["parties"][number] = {
        "organization": organization,
        "name": name,
        "roles": old["roles"],
        "keys": list(party["keys"]),
    }
    general = f"of the {old['roles'][0].replace('-', ' ')}"

    def person(role: str, template: Mapping[str, Any]) -> dict[str, Any]:
        unnamed = {"name": template["name"].replace(general, f"of {name}")}
        return {"organization": organization, **party.get(role, unnamed)}

    document["stewards"][number] = person("steward", document["stewards"][number])
    contacts = document["contacts"][number]
    document["contacts"][number] = {
        "organization": organization,
        "primary": person("primary", contacts["primary"]),
        "backup": person("backup", contacts["backup"]),
    }


def _data(clauses: list[dict[str, Any]], wanted: list[str] | None) -> list[dict[str, Any]]:
    held = {clause["referralType"] for clause in clauses}
    for one in wanted or ():
        if one not in held:
            raise ValueError(f"The template has no referral type {one}; it has {', '.join(sorted(held))}.")
    if held and not wanted:
        raise ValueError(f"referralTypes: choose those that it is for, of {', '.join(sorted(held))}.")
    return [clause for clause in clauses if clause["referralType"] in (wanted or ())]


def party_of_entry(entry: Mapping[str, Any]) -> dict[str, Any]:
    """What a directory entry says of a party: organization, name, thumbprints of its keys, whom to call."""
    return {
        "organization": entry["organization"],
        "name": entry["name"],
        "keys": [key["kid"] for key in entry["jwks"]["keys"]],
        **{role: _person(entry["contacts"][role]) for role in ("primary", "backup")},
    }


def _person(contact: Mapping[str, str]) -> dict[str, str]:
    scheme, _, value = contact["telecom"].partition(":")
    return {"name": contact["name"], "email" if scheme == "mailto" else "phone": value}
