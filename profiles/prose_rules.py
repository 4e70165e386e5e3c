"""Rules that are enforced as their guide says them in words, because its FHIRPath does something else.

All are of SDOH Clinical Care's Task for Patient (3.0.0; 2.3.0 has the same), whose table of task types says
what each code asks of description, input, output and focus. docs/reference/profiles/defective-invariants.md
sets the words, the FHIRPath and these functions side by side.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from profiles.canonical import SDOHCC, SDOHCC_CODES
from profiles.references import told_type

Task = Mapping[str, Any]
Rule = Callable[[Task], bool]

TASK_FOR_PATIENT: Final = f"{SDOHCC}/StructureDefinition/SDOHCC-TaskForPatient"
_SDC: Final = "http://hl7.org/fhir/uv/sdc/CodeSystem/temp"

_COMPLETE_QUESTIONNAIRE: Final = (_SDC, "complete-questionnaire")
_GENERAL_INFORMATION: Final = (SDOHCC_CODES, "general-information")
_MAKE_CONTACT: Final = (SDOHCC_CODES, "make-contact")
_REVIEW_MATERIAL: Final = (SDOHCC_CODES, "review-material")

_QUESTIONNAIRE: Final = (_SDC, "questionnaire")
_PDF: Final = (SDOHCC_CODES, "questionnaire-pdf")
_WEB_ADDRESS: Final = (SDOHCC_CODES, "questionnaire-url")
_CATEGORY: Final = (SDOHCC_CODES, "questionnaire-category")

_RESPONSE: Final = (_SDC, "questionnaire-response")
_PDF_COMPLETED: Final = (SDOHCC_CODES, "questionnaire-pdf-completed")
_INFORMATION: Final = (SDOHCC_CODES, "general-information-response")
_CHOSEN_CONTACT: Final = (SDOHCC_CODES, "chosen-contact")


def _says(concept: Mapping[str, Any], *codes: tuple[str, str]) -> bool:
    return any((one.get("system"), one.get("code")) in codes for one in concept.get("coding", ()))


def _asks(task: Task, code: tuple[str, str]) -> bool:
    return _says(task.get("code", {}), code)


def _inputs(task: Task, *codes: tuple[str, str]) -> int:
    return sum(_says(one["type"], *codes) for one in task.get("input", ()))


def _every_output_is(task: Task, code: tuple[str, str]) -> bool:
    return all(_says(one["type"], code) for one in task.get("output", ()))


def _described(task: Task) -> bool:
    return "description" in task or "_description" in task


def one_questionnaire(task: Task) -> bool:
    """SDOH-Task-1: complete-questionnaire has one input of the three questionnaire kinds, and a category."""
    if not _asks(task, _COMPLETE_QUESTIONNAIRE):
        return True
    return _inputs(task, _QUESTIONNAIRE, _PDF, _WEB_ADDRESS) == 1 and _inputs(task, _CATEGORY) > 0


def information_is_described_and_answered(task: Task) -> bool:
    """SDOH-Task-2: general-information has a description; an output is a general-information-response."""
    if not _asks(task, _GENERAL_INFORMATION):
        return True
    return _described(task) and _every_output_is(task, _INFORMATION)


def material_to_review(task: Task) -> bool:
    """SDOH-Task-3: review-material has a focus, and it is a DocumentReference as far as the Task tells."""
    if not _asks(task, _REVIEW_MATERIAL):
        return True
    if "focus" not in task:
        return False
    return _target(task, task["focus"]) in ("DocumentReference", None)


def questionnaire_is_answered(task: Task) -> bool:
    """SDOH-Task-5: where the input is a questionnaire, an output is a questionnaire-response."""
    return not _inputs(task, _QUESTIONNAIRE) or _every_output_is(task, _RESPONSE)


def pdf_is_answered(task: Task) -> bool:
    """SDOH-Task-6: where the input is a questionnaire-pdf, an output is a questionnaire-pdf-completed."""
    return not _inputs(task, _PDF) or _every_output_is(task, _PDF_COMPLETED)


def contact_is_described_and_chosen(task: Task) -> bool:
    """SDOH-Task-7: make-contact has a description; an output is a chosen-contact."""
    if not _asks(task, _MAKE_CONTACT):
        return True
    return _described(task) and _every_output_is(task, _CHOSEN_CONTACT)


def _target(task: Task, reference: Mapping[str, Any]) -> str | None:
    """The type of what is referred to: of the contained resource, or as the reference tells it."""
    text = reference.get("reference", "")
    if text.startswith("#"):
        for resource in task.get("contained", ()):
            if resource.get("id") == text[1:]:
                return str(resource["resourceType"])
    return told_type(reference)


PROSE_RULES: Final[Mapping[tuple[str, str], Rule]] = {
    (TASK_FOR_PATIENT, "SDOH-Task-1"): one_questionnaire,
    (TASK_FOR_PATIENT, "SDOH-Task-2"): information_is_described_and_answered,
    (TASK_FOR_PATIENT, "SDOH-Task-3"): material_to_review,
    (TASK_FOR_PATIENT, "SDOH-Task-5"): questionnaire_is_answered,
    (TASK_FOR_PATIENT, "SDOH-Task-6"): pdf_is_answered,
    (TASK_FOR_PATIENT, "SDOH-Task-7"): contact_is_described_and_chosen,
}
