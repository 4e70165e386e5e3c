"""The FHIR R4 elements that mappings write to: enough to catch a misspelt path before anything runs.

Not a validator: what a resource must look like is checked by `profiles` on each one made. A name followed by
`*` may repeat. Types that are not listed below are primitives.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

# Any element may carry these; `Extension` also takes the value types that our extensions use.
_COMMON = "id:string extension:Extension*"
_RESOURCE = "meta:Meta language:code"

_DEFINITIONS = {
    "Patient": f"{_RESOURCE} identifier:Identifier* active:boolean name:HumanName* telecom:ContactPoint* "
    "gender:code birthDate:date deceasedBoolean:boolean deceasedDateTime:dateTime address:Address* "
    "maritalStatus:CodeableConcept communication:Communication*",
    "Communication": "language:CodeableConcept preferred:boolean",
    "ServiceRequest": f"{_RESOURCE} identifier:Identifier* status:code intent:code category:CodeableConcept* "
    "priority:code doNotPerform:boolean code:CodeableConcept orderDetail:CodeableConcept* "
    "occurrenceDateTime:dateTime occurrencePeriod:Period authoredOn:dateTime performerType:CodeableConcept "
    "locationCode:CodeableConcept* reasonCode:CodeableConcept* note:Annotation* patientInstruction:string",
    "Observation": f"{_RESOURCE} identifier:Identifier* status:code category:CodeableConcept* "
    "code:CodeableConcept effectiveDateTime:dateTime issued:instant valueInteger:integer "
    "valueString:string valueBoolean:boolean "
    "valueCodeableConcept:CodeableConcept valueQuantity:Quantity valueDateTime:dateTime "
    "dataAbsentReason:CodeableConcept note:Annotation*",
    "Procedure": f"{_RESOURCE} identifier:Identifier* status:code statusReason:CodeableConcept "
    "category:CodeableConcept code:CodeableConcept performedDateTime:dateTime performedPeriod:Period "
    "outcome:CodeableConcept note:Annotation*",
    "Task": f"{_RESOURCE} status:code statusReason:CodeableConcept businessStatus:CodeableConcept "
    "lastModified:dateTime note:Annotation* output:TaskOutput*",
    "TaskOutput": "type:CodeableConcept valueCodeableConcept:CodeableConcept valueString:string",
    "Meta": "profile:canonical* security:Coding* tag:Coding*",
    "Identifier": "use:code type:CodeableConcept system:uri value:string period:Period",
    "HumanName": "use:code text:string family:string given:string* prefix:string* suffix:string* "
    "period:Period",
    "ContactPoint": "system:code value:string use:code rank:positiveInt period:Period",
    "Address": "use:code type:code text:string line:string* city:string district:string state:string "
    "postalCode:string country:string period:Period",
    "CodeableConcept": "coding:Coding* text:string",
    "Coding": "system:uri version:string code:code display:string userSelected:boolean",
    "Period": "start:dateTime end:dateTime",
    "Annotation": "authorString:string time:dateTime text:markdown",
    "Quantity": "value:decimal comparator:code unit:string system:uri code:code",
    "Extension": "url:uri valueCode:code valueString:string valueBoolean:boolean valueInteger:integer "
    "valueDate:date valueDateTime:dateTime valueCoding:Coding valueCodeableConcept:CodeableConcept",
}
_NOT_TEXT = frozenset({"boolean", "integer", "positiveInt", "decimal"})


@dataclass(frozen=True, slots=True)
class Element:
    """The type of an element, and whether it repeats."""

    type: str
    repeats: bool

    @property
    def members(self) -> Mapping[str, Element] | None:
        """The elements inside, None for a primitive."""
        return TYPES.get(self.type)

    @property
    def is_text(self) -> bool:
        """Whether JSON writes it as a string."""
        return self.type not in TYPES and self.type not in _NOT_TEXT


def _parse(definition: str) -> dict[str, Element]:
    members = {}
    for item in f"{_COMMON} {definition}".split():
        name, _, kind = item.partition(":")
        members[name] = Element(kind.rstrip("*"), kind.endswith("*"))
    return members


TYPES: Mapping[str, Mapping[str, Element]] = {
    name: _parse(definition) for name, definition in _DEFINITIONS.items()
}
