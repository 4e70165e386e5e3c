"""`validate`: every check of one resource, in one call."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from profiles import compiler, registry, structure
from profiles.canonical import FHIR
from profiles.outcome import Issue
from profiles.rules import Findings

# With these the resource does not have the form that the rules of a profile take for granted.
_FORMLESS = frozenset({"structure", "too-costly"})


def validate(resource: Any, profile: str | None = None) -> list[Issue]:
    """What is wrong with `resource`: FHIR R4's structure always, then the profile.

    `profile` is the canonical URL of one of ours. Without it, those of ours that `meta.profile` names are
    applied; one that is not held here gives a warning, never silence. Content never makes this raise, and
    no message repeats a value from it. Profiles are looked at only when the structure allows it.
    Raises LookupError when `profile` is not one of ours.
    """
    rules = compiler.profile(profile) if profile is not None else None
    issues = structure.check(resource)
    if any(issue.code in _FORMLESS for issue in issues):
        return issues
    said = {(issue.code, issue.expression) for issue in issues}
    chosen = [rules] if rules else list(_claimed(resource, issues))
    for one in chosen:
        issues += (issue for issue in _apply(one, resource) if (issue.code, issue.expression) not in said)
    return issues


def _apply(rules: compiler.Profile, resource: dict[str, Any]) -> list[Issue]:
    found = Findings(rules.url)
    name = resource["resourceType"]
    if name != rules.type:
        found.add("structure", f"this profile is for {rules.type}", name)
    else:
        rules.content.apply(resource, name, found)
    return found.issues


def _claimed(resource: dict[str, Any], issues: list[Issue]) -> Iterator[compiler.Profile]:
    """The profiles that `meta.profile` names; notes in `issues` which of them nobody here can check."""
    ours = registry.profiles()
    for index, url in enumerate(resource.get("meta", {}).get("profile", ())):
        base = url.partition("|")[0] if isinstance(url, str) else ""
        if base in ours:
            yield compiler.profile(base)
        elif base != f"{FHIR}/{resource['resourceType']}":  # R4 itself, which is always checked
            message = "this profile is not held here, so it was not checked"
            where = f"{resource['resourceType']}.meta.profile[{index}]"
            issues.append(Issue("warning", "not-supported", message, where))
