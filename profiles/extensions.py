"""Extensions wherever they stand: a known one is as its definition says, an unknown modifier is refused.

FHIR R4 2.4: an unknown `extension` may be ignored by a reader; an unknown `modifierExtension` may not, as it
changes the meaning of what it stands on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from profiles import r4
from profiles.datatype_checks import is_absolute
from profiles.place import Place, path
from profiles.rules import Check, Profile
from profiles.run import Run

_ANYWHERE = frozenset({"Element", "Resource", "DomainResource"})


def extension_check(find: Callable[[str], Profile | None], owner: str, *, modifier: bool) -> Check:
    """The check of one `extension` or `modifierExtension`; `find` gives the definition of a URL.

    `owner` is the type it stands on. Only a part of an extension may have a URL that is not absolute.
    """
    nested = owner == "Extension"

    def check(value: Mapping[str, Any], place: Place, run: Run) -> None:
        url = value.get("url")
        profile = find(url) if url.__class__ is str else None
        if not nested and url.__class__ is str and not is_absolute(url):
            run.add("error", "extension", "must be an absolute URI", (place, "url", -1))
        if profile is None:
            if modifier:
                run.add("error", "extension", "is a modifier extension that is not known here", place)
            return
        if profile.modifier != modifier:
            name = "modifierExtension" if profile.modifier else "extension"
            run.add("error", "extension", f"this extension may only stand in {name}", place, profile.url)
        if profile.context and owner not in profile.spots and not _allowed(profile, place, run):
            run.add("error", "extension", "this extension may not stand here", place, profile.url)
        if profile.parts:
            _only_parts(profile, value, place, run)
        profile.content.apply(value, place, run)

    return check


def _only_parts(profile: Profile, value: Mapping[str, Any], place: Place, run: Run) -> None:
    """A part whose URL is not absolute belongs to the extension, so its definition must know it."""
    for index, part in enumerate(value.get("extension", ())):
        url = part.get("url")
        if url not in profile.parts and not is_absolute(url):
            message = "is not a part of this extension"
            run.add("error", "extension", message, (place, "extension", index), profile.url)


def _allowed(profile: Profile, place: Place, run: Run) -> bool:
    """Whether a context of the extension fits; one that is not told by an element's path is not checked."""
    above = place[0]
    names = path(above)[1:] if above is not None else ()
    spots = {".".join((type_name, *rest)) for type_name, rest in _spots(run.resource["resourceType"], names)}
    return any(
        kind != "element" or expression in _ANYWHERE or expression in spots
        for kind, expression in profile.context
    )


def _spots(owner: str, names: tuple[str, ...]) -> list[tuple[str, tuple[str, ...]]]:
    """Each way to name the spot: from the resource, and from every datatype on the way down."""
    found = [(owner, names)]
    type_name = owner
    for index, name in enumerate(names):
        element = r4.elements(type_name).get(name) or r4.elements(type_name).get(f"{name}[x]")
        if element is None:
            break
        type_name = element.types[0].code
        if type_name in r4.primitives():
            found.append((type_name, ()))
            break
        found.append((type_name, names[index + 1 :]))
    return found
