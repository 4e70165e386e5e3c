"""`validate`: every check of one resource, in one call."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from profiles import r4, structure
from profiles.engine import Engine, engine
from profiles.outcome import MOST_ISSUES, TOO_MANY, Issue, errors
from profiles.place import Place
from profiles.references import BundleIndex, References
from profiles.registry import Definitions, shipped
from profiles.rules import Profile
from profiles.run import Run, Scope

# With these the resource does not have the form that the rules of a profile take for granted.
_FORMLESS = frozenset({"structure", "too-costly"})


def validate(resource: Any, profile: str | None = None, held: Definitions | None = None) -> list[Issue]:
    """What is wrong with `resource`: FHIR R4 always, then the profiles.

    `profile` is a canonical URL (`url` or `url|version`) of `held`, which is what ships with this software
    unless others are given. Without it, the profiles that `meta.profile` names are applied, also those of the
    resources inside; one that is not held gives a warning, never silence, and so does what could not be
    checked. Content never makes this raise, and no message repeats a value from it. Rules beyond the
    structure are looked at only when the structure allows it.
    Raises LookupError when `profile` is not held, ProfileError when it cannot be read.
    """
    compiled = engine(held or shipped())
    named = _named(compiled, profile) if profile is not None else None
    issues = structure.check(resource)
    if any(issue.code in _FORMLESS or issue.constraint == "dom-2" for issue in issues):
        return issues
    said = {(issue.code, issue.expression) for issue in issues}
    for item in _resources(resource, compiled):
        try:
            found = _check(item, compiled, named if item.resource is resource else None)
        except RecursionError:
            found = [Issue("error", "too-costly", "is nested too deeply", item.location)]
        issues += (issue for issue in found if (issue.code, issue.expression) not in said)
        if len(issues) > MOST_ISSUES:
            issues = _worst(issues)
            if issues[-1] == TOO_MANY:
                break
    return _distinct(issues) if len(issues) > 1 else issues


def _distinct(issues: list[Issue]) -> list[Issue]:
    """Without what is said again: a profile repeats rules of its base and of R4."""
    first = {
        (one.severity, one.code, one.expression, one.message, one.constraint): one for one in reversed(issues)
    }
    return list(reversed(first.values()))


def _worst(issues: list[Issue]) -> list[Issue]:
    """At most MOST_ISSUES errors and as many others, in that order; the last says that there are more."""
    issues = _distinct(issues)
    severe = errors(issues)
    if len(severe) >= MOST_ISSUES:
        return [*severe[: MOST_ISSUES - 1], TOO_MANY]
    others = [issue for issue in issues if issue.severity not in ("error", "fatal")]
    if len(others) < MOST_ISSUES:
        return issues
    return [*severe, *others[: MOST_ISSUES - 1], replace(TOO_MANY, severity="information")]


class _Item(NamedTuple):
    """One resource to check, where it stands, and what surrounds it."""

    resource: Mapping[str, Any]
    location: str
    scope: Scope


def _named(compiled: Engine, profile: str) -> Profile:
    found = compiled.profile(profile)
    if found is None:
        raise LookupError(f"the profile {profile} is not held")
    return found


def _check(item: _Item, compiled: Engine, named: Profile | None) -> list[Issue]:
    resource, name = item.resource, item.resource["resourceType"]
    run = Run(resource, item.scope)
    place: Place = (None, item.location, -1)
    compiled.base.type(name).apply(resource, place, run)
    for rules in [named] if named else _claimed(resource, compiled, place, run):
        if rules.type == name:
            rules.content.apply(resource, place, run)
        else:
            run.add("error", "structure", f"this profile is for {rules.type}", place, rules.url)
    return run.issues


def _claimed(resource: Mapping[str, Any], compiled: Engine, place: Place, run: Run) -> Iterator[Profile]:
    """The profiles that `meta.profile` names; notes which of them nobody here can check."""
    name = resource["resourceType"]  # R4's own definition of it, which is always checked, may be claimed too
    seen: set[str] = set()
    for index, url in enumerate(resource.get("meta", {}).get("profile", ())):
        if not isinstance(url, str) or url in seen or r4.core_type(url) == name:
            continue
        seen.add(url)
        found = compiled.usable(url)
        if found is not None:
            yield found
            continue
        message = "this profile is not held here, so it was not checked"
        run.add("warning", "not-supported", message, ((place, "meta", -1), "profile", index))


def _resources(resource: Mapping[str, Any], compiled: Engine) -> Iterator[_Item]:
    """The resource and all that are in it, in order; contained ones share the scope of their container."""
    scope = Scope(resource, References(resource, None, ""), compiled, {})
    waiting = [_Item(resource, resource["resourceType"], scope)]
    while waiting:
        item = waiting.pop()
        yield item
        waiting += reversed(list(_below(item, compiled)))


def _below(item: _Item, compiled: Engine) -> Iterator[_Item]:
    outer = item.resource
    bundle = BundleIndex(outer) if outer["resourceType"] == "Bundle" else None
    for path, inner in structure.inside(outer, outer["resourceType"]):
        scope = item.scope
        if not path.startswith("contained"):
            references = References(inner, bundle, _full_url(outer, path) if bundle else "")
            scope = Scope(inner, references, compiled, item.scope.known)
        yield _Item(inner, f"{item.location}.{path}", scope)


def _full_url(bundle: Mapping[str, Any], path: str) -> str:
    """The fullUrl of the entry whose resource stands at `path` (`entry[3].resource`)."""
    number = path.partition("[")[2].partition("]")[0]
    found = bundle["entry"][int(number)].get("fullUrl", "") if path.startswith("entry[") else ""
    return found if isinstance(found, str) else ""
