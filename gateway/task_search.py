"""`GET /fhir/Task?…`: which of the Tasks that a partner may see it asked for.

FHIR R4 search; a parameter that we do not know is an error, never ignored. What cannot be seen cannot be
counted: the search runs over what this partner may see, so total, order and links tell nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from gateway.clock import moment
from gateway.errors import refuse

Test = Callable[[Mapping[str, Any], str], bool]

MOST = 100


def _coded(task: Mapping[str, Any], wanted: str) -> bool:
    system, bar, code = wanted.rpartition("|")
    return any(
        coding.get("code") == code and (not bar or coding.get("system", "") == system)
        for coding in task["code"]["coding"]
    )


def _refers(element: str, resource_type: str) -> Test:
    def test(task: Mapping[str, Any], wanted: str) -> bool:
        reference = task.get(element, {}).get("reference", "")
        return bool(reference) and reference in (wanted, f"{resource_type}/{wanted}")

    return test


def _updated(task: Mapping[str, Any], wanted: str) -> bool:
    prefix, when = (wanted[:2], wanted[2:]) if wanted[:2].isalpha() else ("eq", wanted)
    at = moment(task["meta"]["lastUpdated"])
    try:
        than = moment(when)
        return {
            "ge": at >= than,
            "gt": at > than,
            "le": at <= than,
            "lt": at < than,
            "eq": at == than,
        }[prefix]
    except (ValueError, TypeError, KeyError):
        raise refuse(
            400, "value", "_lastUpdated takes eq, ge, gt, le or lt and an instant with time zone."
        ) from None


TESTS: Mapping[str, Test] = {
    "_id": lambda task, wanted: task["id"] == wanted,
    "_lastUpdated": _updated,
    "code": _coded,
    "focus": _refers("focus", "ServiceRequest"),
    "owner": _refers("owner", "Organization"),
    "patient": _refers("for", "Patient"),
    "requester": _refers("requester", "Organization"),
    "status": lambda task, wanted: task["status"] == wanted,
}
ALSO = ("_count", "_offset", "_format")


@dataclass(frozen=True, slots=True)
class Search:
    """A parsed search: the test a Task must pass (parameters AND, comma values OR), and which page."""

    parameters: tuple[tuple[str, str], ...]
    count: int
    offset: int

    def matches(self, task: Mapping[str, Any]) -> bool:
        """Whether this Task was asked for."""
        return all(any(TESTS[name](task, one) for one in value.split(",")) for name, value in self.parameters)

    def bundle(self, tasks: Sequence[Mapping[str, Any]], fhir_base: str) -> dict[str, Any]:
        """The searchset Bundle of this page of `tasks`."""
        page = tasks[self.offset : self.offset + self.count]
        links = [{"relation": "self", "url": self._url(fhir_base, self.offset)}]
        if self.offset + self.count < len(tasks):
            links.append({"relation": "next", "url": self._url(fhir_base, self.offset + self.count)})
        bundle: dict[str, Any] = {
            "resourceType": "Bundle",
            "type": "searchset",
            "total": len(tasks),
            "link": links,
        }
        entries = [
            {"fullUrl": f"{fhir_base}/Task/{task['id']}", "resource": task, "search": {"mode": "match"}}
            for task in page
        ]
        return bundle | ({"entry": entries} if entries else {})

    def _url(self, fhir_base: str, offset: int) -> str:
        given = [*self.parameters, ("_count", str(self.count)), ("_offset", str(offset))]
        return f"{fhir_base}/Task?" + "&".join(f"{name}={quote(value, safe='/:,|')}" for name, value in given)


def parse(parameters: Iterable[tuple[str, str]]) -> Search:
    """A search from its query parameters. Raises Refused (400) naming what is not understood."""
    given = list(parameters)
    for name, _ in given:
        if name not in TESTS and name not in ALSO:
            known = ", ".join(sorted({*TESTS, *ALSO}))
            raise refuse(400, "not-supported", f"A search parameter is not known here. Known: {known}.")
    return Search(
        tuple((name, value) for name, value in given if name in TESTS),
        min(_number(given, "_count", MOST), MOST) or MOST,
        _number(given, "_offset", 0),
    )


def _number(given: Sequence[tuple[str, str]], wanted: str, otherwise: int) -> int:
    found = [value for name, value in given if name == wanted]
    if not found:
        return otherwise
    if len(found) > 1 or not found[0].isdecimal() or len(found[0]) > 9:
        raise refuse(400, "value", f"{wanted} takes one whole number.")
    return int(found[0])
