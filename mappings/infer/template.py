"""The referral that a proposal makes: key, person and resources from the columns that have a role."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from mappings.infer.content import date_formats
from mappings.infer.decide import Choice
from mappings.infer.yaml_text import flow, scalar

_SID: Final = "https://waymeet.example/fhir/sid"
_LANGUAGE: Final = "https://waymeet.example/fhir/StructureDefinition/preferred-language"
_ITEM: Final = "https://waymeet.example/fhir/CodeSystem/disclosure-item"
_DATES: Final = ("birth-date", "created", "from-date", "until-date")
_OTHERWISE_USED: Final = ("status", "reason", "changed_at", "when", "from", "constant")
_NOT_FOUND: Final = {"constant": "not found"}
_ADDRESS: Final = {"city": "city", "county": "district", "state": "state", "zip": "postalCode"}

Comments = Callable[[str, Iterable[str]], Iterator[str]]


class Template:
    """Writes them as lines. `comments` makes those of doubts, at an indent."""

    def __init__(self, system: str, choices: Sequence[Choice], comments: Comments) -> None:
        self._system = system
        self._comments = comments
        self._names = {each.column.name for each in choices}
        self._read: dict[str, list[Choice]] = {}
        self._formats: dict[str, list[str]] = {}
        for each in choices:
            if each.role:
                self._read.setdefault(each.role, []).append(self._with_formats(each))

    def _with_formats(self, choice: Choice) -> Choice:
        """With the doubts about the formats of its dates."""
        if choice.role not in _DATES:
            return choice
        self._formats[choice.role], swapped = date_formats(choice.column.values)
        doubts = ["Month or day first? No day in the sample is above 12."] if swapped else []
        if choice.role == "created" and any(
            "h" in text or text == "ISO" for text in self._formats["created"]
        ):
            doubts.append("Times are taken to be those of New York: put your own zone.")
        return replace(choice, doubts=(*choice.doubts, *doubts))

    def lines(self) -> Iterator[str]:
        """From `key` to the last resource, as they stand in a record kind."""
        client = f"{_SID}/{self._system}-client"
        yield from self._put(
            "    ",
            "key: {}",
            [{"constant": self._system}, self._field("referral-id"), {"constant": "referral"}],
            "referral-id",
        )
        yield "    subject:"
        yield f"      system: {flow({'constant': client})}"
        yield from self._put("      ", "value: {}", self._field("person-id"), "person-id")
        if "recipient" in self._read:
            yield "    # The names in this column must stand under `recipients` in the node's configuration."
            yield from self._put(
                "    ", "recipient: {}", {"from": self._field("recipient"), "required": True}, "recipient"
            )
        if "referral-id" in self._read:
            yield f"    local: {flow({'referral': self._text('referral-id')})}"
        yield "    resources:"
        yield "      Patient:"
        yield "        identifier:"
        yield f"          - system: {client}"
        yield f"            value: {flow(self._person_id())}"
        yield from self._names_of_person()
        yield from self._one("        ", "birthDate: {}", "birth-date", self._dated)
        yield from self._telecom()
        yield from self._address()
        yield "      ServiceRequest:"
        yield f"        status: {self._word('active')}"
        yield f"        intent: {self._word('order')}"
        yield from self._need()
        yield from self._one("        ", "priority: {}", "urgency", lambda role: self._through(role, "code"))
        yield from self._created()
        yield from self._period()
        if "county" in self._read:
            yield "        locationCode:"
            yield f"          - text: {flow(self._from('county'))}"
        if "language" in self._read:
            yield "        extension:"
            yield f"          - url: {_LANGUAGE}"
            yield from self._one(
                "            ", "valueCode: {}", "language", lambda role: self._through(role, "code")
            )
        yield from self._observations()

    def answers(self, kind: str) -> Iterator[str]:
        """How the agency's own system hears what became of a referral, in the form of its own records."""
        if "referral-id" not in self._read:
            return
        own = self._field("referral-id")
        told = {
            own if kind == "csv" and own not in _OTHERWISE_USED else "referral": {
                "from": "local.referral",
                "required": True,
            },
            "status": {"from": "task.status", "required": True},
            "reason": {"from": "task.statusReason.text"},
            "changed_at": {"from": "now", "required": True},
        }
        yield ""
        yield "render:"
        yield "  task:"
        yield "    - name: status of a referral"
        yield f"      {kind}:"
        yield from (f"        {scalar(name)}: {flow(value)}" for name, value in told.items())

    # ---------------------------------------------------------------- the person

    def _names_of_person(self) -> Iterator[str]:
        whole = not {"given-name", "family-name"} & self._read.keys()
        official = [
            *self._one("            ", "family: {}", "family-name", self._from),
            *self._one("            ", "given: [{}]", "given-name", self._from),
        ]
        if whole and "full-name" in self._read:
            official = [
                *self._one(
                    "            ",
                    "family: {}",
                    "full-name",
                    lambda role: self._from(role) | {"name": "family"},
                ),
                f"            given: [{flow(self._from('full-name') | {'name': 'given'})}]",
            ]
        alias = list(self._one("            ", "given: [{}]", "alias", self._from))
        if official or alias:
            yield "        name:"
        if official:
            yield f"          - use: {self._word('official')}"
            yield from official
        if alias:
            yield f"          - use: {self._word('nickname')}"
            yield from alias

    def _telecom(self) -> Iterator[str]:
        if not {"phone", "email"} & self._read.keys():
            return
        yield "        telecom:"
        for each in self._read.get("phone", ()):
            yield from self._comments("          ", each.doubts)
            number = {"from": each.column.name, "phone": "US"}
            yield f"          - {flow({'system': self._constant('phone'), 'value': number})}"
        for each in self._read.get("email", ()):
            yield from self._comments("          ", each.doubts)
            yield f"          - {flow({'system': self._constant('email'), 'value': self._from('email')})}"

    def _address(self) -> Iterator[str]:
        if not {"street", *_ADDRESS} & self._read.keys():
            return
        yield "        address:"
        parts = list(self._one("            ", "line: [{}]", "street", self._from))
        for role, element in _ADDRESS.items():
            parts += self._one("            ", f"{element}: {{}}", role, self._text)
        first = next(number for number, part in enumerate(parts) if not part.lstrip().startswith("#"))
        parts[first] = f"          - {parts[first].lstrip()}"
        yield from parts

    def _person_id(self) -> Any:
        if "person-id" not in self._read:
            return _NOT_FOUND
        return self._text("person-id") | {"required": True}

    # ---------------------------------------------------------------- what is asked

    def _need(self) -> Iterator[str]:
        social = {
            "system": "http://snomed.info/sct",
            "code": self._constant("410606002"),
            "display": self._constant("Social service procedure"),
        }
        yield "        category:"
        yield f"          - coding: {flow([social])}"
        yield from self._one(
            "          ", "- {}", "need", lambda role: self._through(role, "concept") | {"required": True}
        )
        yield f"        code: {flow({'coding': [social]})}"

    def _created(self) -> Iterator[str]:
        if "created" in self._read:
            told = {"formats": self._formats["created"], "zone": "America/New_York"}
            yield from self._put(
                "        ", "authoredOn: {}", self._from("created") | {"datetime": told}, "created"
            )

    def _period(self) -> Iterator[str]:
        if {"from-date", "until-date"} & self._read.keys():
            yield "        occurrencePeriod:"
            yield from self._one("          ", "start: {}", "from-date", self._dated)
            yield from self._one("          ", "end: {}", "until-date", self._dated)

    def _observations(self) -> Iterator[str]:
        facts: Mapping[str, Callable[[str], tuple[str, Any]]] = {
            "household-size": lambda role: (
                "valueInteger",
                self._from(role) | {"integer": {"min": 1, "max": 40}},
            ),
            "diet": lambda role: ("valueCodeableConcept", {"text": self._from(role)}),
            "contact-rule": lambda role: ("valueCodeableConcept", self._through(role, "safe_contact")),
        }
        if not facts.keys() & self._read.keys():
            return
        yield "      Observation:"
        for role, made in facts.items():
            if role in self._read:
                element, value = made(role)
                coding = {"system": _ITEM, "code": self._constant(role)}
                yield f"        - status: {self._word('final')}"
                yield f"          code: {flow({'coding': [coding]})}"
                yield from self._put("          ", f"{element}: {{}}", value, role)

    # ---------------------------------------------------------------- pieces

    def _one(self, indent: str, line: str, role: str, made: Callable[[str], Any]) -> Iterator[str]:
        """The line for a role, under its doubts; none where no column has it."""
        if role in self._read:
            yield from self._put(indent, line, made(role), role)

    def _put(self, indent: str, line: str, value: Any, role: str) -> Iterator[str]:
        doubts = [doubt for each in self._read.get(role, ()) for doubt in each.doubts]
        yield from self._comments(indent, doubts)
        yield indent + line.format(flow(value))

    def _field(self, role: str) -> Any:
        return self._read[role][0].column.name if role in self._read else _NOT_FOUND

    def _from(self, role: str) -> dict[str, Any]:
        return {"from": self._field(role)}

    def _text(self, role: str) -> dict[str, Any]:
        """As text, where the system keeps it as a number."""
        values = self._read[role][0].column.values
        return self._from(role) | ({} if all(isinstance(value, str) for value in values) else {"text": True})

    def _through(self, role: str, function: str) -> dict[str, Any]:
        return self._from(role) | {function: role}

    def _dated(self, role: str) -> dict[str, Any]:
        return self._from(role) | {"date": self._formats[role]}

    def _word(self, word: str) -> str:
        return flow(self._constant(word))

    def _constant(self, word: str) -> Any:
        """A word that a column is called too has to be marked as one."""
        return {"constant": word} if word in self._names else word
