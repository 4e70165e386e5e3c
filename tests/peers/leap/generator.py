"""Consents and questions drawn from a seed: the same number of cases from the same seed are the same cases.

Most consents are of the shape that both IHE PCF and our profile ask for; of these, everything that R4 lets a
provision say is drawn. A share has one thing that makes a consent unusable for us (`Case.outside` names it).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from leap.odd import ODD
from leap.vocabulary import (
    ACT_CODE,
    ACT_REASON,
    ACTION,
    ACTORS,
    ASKING,
    BELOW,
    CLASSES,
    CODES,
    CONFIDENTIALITY,
    LEVELS,
    LOINC,
    MEMBERS,
    NOT_THERE,
    PARTICIPATION,
    PURPOSES,
    RESOURCE_TYPES,
    SCOPE,
    SENSITIVE,
    coding,
    concept,
)

NOW: Final = datetime(2026, 6, 15, 12, tzinfo=UTC)
SEED: Final = 2012
CATEGORIES: Final = ((LOINC, "59284-0"), (SCOPE, "patient-privacy"), (ACT_CODE, "IDSCL"))

_ACTIONS: Final = {("disclose",): 4, ("access", "disclose"): 3, ("use",): 1, ("correct",): 2}

JSON = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Case:
    """One question about one person.

    consents may hold another person's, as may the content. by_identifier: we too are told by identifier who
    asks, as LEAP always is. outside: what in a consent does not fit our profile.
    """

    number: int
    now: datetime
    person: str
    consents: tuple[JSON, ...]
    actors: tuple[str, ...]
    purposes: tuple[str, ...]
    classes: tuple[tuple[str, str], ...]
    categories: tuple[tuple[str, str], ...]
    by_identifier: bool
    content: JSON
    outside: str

    @property
    def patient(self) -> str:
        """The reference to the person."""
        return f"Patient/{self.person}"

    @property
    def entries(self) -> list[JSON]:
        """The resources that are asked for."""
        return [each["resource"] for each in self.content["entry"]]


def cases(count: int, *, seed: int = SEED, now: datetime = NOW) -> Iterator[Case]:
    """`count` cases. Number n of a seed is the same whatever the count."""
    for number in range(count):
        yield _Maker(random.Random(f"{seed}-{number}"), now).case(number)


class _Maker:
    """Draws one case."""

    def __init__(self, luck: random.Random, now: datetime) -> None:
        self.luck = luck
        self.now = now

    def case(self, number: int) -> Case:
        person = f"person-{number}"
        entries = self._entries(person)
        many = self._weighted({0: 3, 1: 55, 2: 26, 3: 12, 4: 4})
        ages = self.luck.sample(range(1, 700), many)  # no two consents are of the same day
        made = [self._consent(f"{number}-{at}", person, age, entries) for at, age in enumerate(ages)]
        outside = ""
        if made and self._chance(0.12):
            name, spoil = self.luck.choice(list(ODD.items()))
            spoil(self.luck.choice(made))
            outside = name
        if self._chance(0.06):
            made.append(self._consent(f"{number}-other", f"{person}-other", 5, entries))
        asking = self._asking(made)
        with_organization = asking.startswith("Practitioner/") and self._chance(0.3)
        return Case(
            number=number,
            now=self.now,
            person=person,
            consents=tuple(made),
            actors=(asking, "Organization/clinic") if with_organization else (asking,),
            purposes=tuple({self._purpose(made): 1 for _ in range(2 if self._chance(0.06) else 1)}),
            classes=((RESOURCE_TYPES, self.luck.choice(CLASSES)),) if self._chance(0.12) else (),
            categories=(self.luck.choice(CATEGORIES),) if self._chance(0.08) else (),
            by_identifier=number % 2 == 1,
            content={
                "resourceType": "Bundle",
                "type": "collection",
                "entry": [{"resource": one} for one in entries],
            },
            outside=outside,
        )

    def _asking(self, consents: list[JSON]) -> str:
        """Who asks: mostly one that a consent speaks of."""
        named = [
            each["reference"]["reference"]
            for one in _all_provisions(consents)
            for each in one.get("actor", ())
        ]
        named = [each for each in named if each != NOT_THERE]
        if not named or self._chance(0.4):
            return self.luck.choice(ASKING)
        chosen = self.luck.choice(named)
        return self.luck.choice(MEMBERS[chosen]) if chosen in MEMBERS else str(chosen)

    def _purpose(self, consents: list[JSON]) -> str:
        """What for: mostly a purpose that a consent names, or one right below it."""
        named = [each["code"] for one in _all_provisions(consents) for each in one.get("purpose", ())]
        named = [each for each in named if each in BELOW]
        if not named or self._chance(0.2):
            return self.luck.choice(PURPOSES)
        chosen = self.luck.choice(named)
        return self.luck.choice(BELOW[chosen]) if BELOW[chosen] and self._chance(0.3) else str(chosen)

    # -- the data ------------------------------------------------------------------------------------------

    def _entries(self, person: str) -> list[JSON]:
        made = []
        for number in range(self.luck.randint(3, 7)):
            kind = self.luck.choice(CLASSES)
            about = f"{person}-other" if self._chance(0.006) else person
            made.append(self._entry(kind, f"{number + 1}", about))
            if number and self._chance(0.3):
                self._refer(made[-1], self.luck.choice(made[:-1]))
        return made

    def _entry(self, kind: str, name: str, person: str) -> JSON:
        subject = {"reference": f"Patient/{person}"}
        system, code = self.luck.choice(CODES)
        author = {"reference": self.luck.choice(ASKING)}
        found: JSON = {"resourceType": kind, "id": name, "subject": subject}
        labels = self._labels()
        if labels:
            found["meta"] = {"security": labels}
        when = self._day(self.luck.randint(-800, -2)) if self._chance(0.85) else None
        named = concept(system, code)
        if kind == "Observation":
            found |= {"status": "final", "code": named, "performer": [author]}
            found |= {"effectiveDateTime": when} if when else {}
        elif kind == "Condition":
            found |= {"code": named, "asserter": author}
            found |= {"onsetDateTime": when} if when else {}
        elif kind == "MedicationRequest":
            found |= {"status": "active", "intent": "order", "medicationCodeableConcept": named}
            found |= {"requester": author} | ({"authoredOn": when} if when else {})
        else:
            found |= {"status": "completed", "code": named, "performer": [{"actor": author}]}
            found |= {"performedDateTime": when} if when else {}
        return found

    def _refer(self, one: JSON, other: JSON) -> None:
        """Let a resource of the content refer to another."""
        name = {"Observation": "derivedFrom", "Condition": ""}.get(one["resourceType"], "reasonReference")
        if name:
            one[name] = [{"reference": f"{other['resourceType']}/{other['id']}"}]

    def _labels(self) -> list[JSON]:
        found = []
        if self._chance(0.85):
            level = self._weighted({"L": 1, "M": 1, "N": 8, "R": 6, "V": 2})
            found.append(coding(CONFIDENTIALITY, level))
        if self._chance(0.4):
            found.append(coding(ACT_CODE, self.luck.choice(SENSITIVE)))
        return found

    # -- the consents --------------------------------------------------------------------------------------

    def _consent(self, name: str, person: str, age: int, entries: list[JSON]) -> JSON:
        """One consent, given `age` days ago."""
        kind = "permit" if self._chance(0.6) else "deny"
        root: JSON = {"type": kind, **self._root_limits(entries)}
        nested = [self._nested(kind, entries, 2) for _ in range(self._weighted({0: 30, 1: 38, 2: 22, 3: 10}))]
        if nested:
            root["provision"] = nested
        when = self.now - timedelta(days=age)
        return {
            "resourceType": "Consent",
            "id": f"consent-{name}",
            "status": self._weighted(
                {"active": 88, "inactive": 5, "proposed": 3, "rejected": 2, "entered-in-error": 2}
            ),
            "scope": concept(SCOPE, "patient-privacy"),
            "category": [concept(LOINC, "59284-0")],
            "patient": {"reference": f"Patient/{person}"},
            "dateTime": when.strftime("%Y-%m-%dT%H:%M:%SZ") if self._chance(0.5) else when.date().isoformat(),
            "performer": [{"reference": f"Patient/{person}"}],
            "organization": [{"reference": "Organization/clinic"}],
            "sourceAttachment": {"title": "signed form"},
            "policy": [{"uri": "https://policies.example.org/privacy"}],
            "provision": root,
        }

    def _root_limits(self, entries: list[JSON]) -> JSON:
        found: JSON = {}
        if self._chance(0.5):
            found["period"] = self._period()
        if self._chance(0.55):
            found["purpose"] = self._purposes()
        if self._chance(0.25):
            found["actor"] = self._actors()
        if self._chance(0.1):
            found["action"] = self._actions()
        if self._chance(0.25):
            found |= self._about(entries, 1)
        return found

    def _nested(self, around: str, entries: list[JSON], depth: int) -> JSON:
        opposite = "deny" if around == "permit" else "permit"
        kind = opposite if self._chance(0.75) else around
        found: JSON = {"type": kind}
        if self._chance(0.35):
            found["purpose"] = self._purposes()
        if self._chance(0.45):
            found["actor"] = self._actors()
        if self._chance(0.07):
            found["period"] = self._period()
        if self._chance(0.06):
            found["action"] = self._actions()
        if self._chance(0.7):
            found |= self._about(entries, self._weighted({1: 75, 2: 22, 3: 3}))
        if depth < 4 and self._chance(0.14 if depth == 2 else 0.3):
            found["provision"] = [self._nested(kind, entries, depth + 1)]
        return found

    def _about(self, entries: list[JSON], how_many: int) -> JSON:
        """What data a provision is about: one to three of R4's ways to say so."""
        ways: dict[str, Callable[[], Any]] = {
            "securityLabel": self._wanted_labels,
            "class": lambda: [coding(RESOURCE_TYPES, self.luck.choice(CLASSES))],
            "code": lambda: [concept(*self.luck.choice(CODES))],
            "dataPeriod": self._data_period,
            "data": lambda: [self._data(entries)],
        }
        weights = {"securityLabel": 50, "class": 22, "code": 12, "dataPeriod": 9, "data": 7}
        chosen: set[str] = set()
        while len(chosen) < how_many:
            chosen.add(self._weighted(weights))
        return {name: ways[name]() for name in sorted(chosen)}

    def _wanted_labels(self) -> list[JSON]:
        found = []
        if self._chance(0.6):
            found.append(
                coding(CONFIDENTIALITY, self._weighted(dict(zip(LEVELS, (1, 1, 2, 8, 8, 3), strict=True))))
            )
        if not found or self._chance(0.3):
            found.append(coding(ACT_CODE, self.luck.choice(SENSITIVE)))
        return found

    def _data_period(self) -> JSON:
        start = self.luck.randint(-700, -60)
        found = {"start": self._day(start), "end": self._day(start + self.luck.randint(30, 400))}
        if self._chance(0.2):
            del found[self.luck.choice(["start", "end"])]
        return found

    def _data(self, entries: list[JSON]) -> JSON:
        if self._chance(0.3):
            return {"meaning": "authoredby", "reference": {"reference": self.luck.choice(ASKING)}}
        one = self.luck.choice(entries)
        meaning = self._weighted({"instance": 5, "related": 3, "dependents": 2})
        return {"meaning": meaning, "reference": {"reference": f"{one['resourceType']}/{one['id']}"}}

    def _period(self) -> JSON:
        """Mostly around now; some over, some not begun, some whose last day is today."""
        kind = self._weighted({"now": 60, "over": 12, "ahead": 8, "last day": 8, "first day": 4, "open": 8})
        if kind == "over":
            return {"start": self._day(-400), "end": self._day(self.luck.randint(-90, -1))}
        if kind == "ahead":
            return {"start": self._day(self.luck.randint(1, 60)), "end": self._day(400)}
        if kind == "last day":
            return {"start": self._day(-30), "end": self._day(0)}
        if kind == "first day":
            return {"start": self._day(0), "end": self._day(90)}
        if kind == "open":
            return {"start": self._day(-30)} if self._chance(0.5) else {"end": self._day(30)}
        if self._chance(0.3):
            return {"start": self._moment(-48), "end": self._moment(self.luck.randint(2, 900))}
        return {"start": self._day(self.luck.randint(-300, -1)), "end": self._day(self.luck.randint(1, 300))}

    def _purposes(self) -> list[JSON]:
        chosen = self.luck.sample(
            PURPOSES[:4] if self._chance(0.5) else PURPOSES, self._weighted({1: 7, 2: 3})
        )
        return [coding(ACT_REASON, each) for each in chosen]

    def _actors(self) -> list[JSON]:
        chosen = self.luck.sample(ACTORS, self._weighted({1: 7, 2: 3}))
        role = concept(PARTICIPATION, "IRCP")
        return [{"role": role, "reference": {"reference": each}} for each in chosen]

    def _actions(self) -> list[JSON]:
        return [concept(ACTION, each) for each in self._weighted(_ACTIONS)]

    # -- chance --------------------------------------------------------------------------------------------

    def _chance(self, share: float) -> bool:
        return self.luck.random() < share

    def _weighted(self, weights: dict[Any, float]) -> Any:
        return self.luck.choices(list(weights), list(weights.values()))[0]

    def _day(self, days: int) -> str:
        return (self.now + timedelta(days=days)).date().isoformat()

    def _moment(self, hours: int) -> str:
        return (self.now + timedelta(hours=hours)).strftime("%Y-%m-%dT%H:%M:%SZ")


def _all_provisions(consents: list[JSON]) -> list[JSON]:
    waiting = [one["provision"] for one in consents if "provision" in one]
    for one in waiting:
        waiting.extend(one.get("provision", ()))
    return waiting
