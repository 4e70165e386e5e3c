"""Which codes a value set has, as far as the definitions held here tell.

FHIR R4 ValueSet (4.9): includes are joined, what is excluded is taken out, and within one include the system
with its filters and every imported value set must all hold. Where `compose` leaves a question open, an
`expansion` that came with the value set is asked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

from profiles.code_systems import CodeSystem, TerminologyError, Untold, load_code_system
from profiles.grammars import BCP47, GRAMMARS, LISTS, UNTOLD, language_part
from profiles.membership import NONE, Codes, Else, Grammar, Listed, Members, Partly, all_of, any_of, without
from profiles.registry import Definitions, Held, Package

DEEPEST_IMPORT = 50
MOST_STEPS = 2_000_000  # to compile one value set: codes that are listed, concepts that filters look at


class Coding(NamedTuple):
    """A code of a system."""

    system: str
    code: str


class NotEnumerable(LookupError):  # noqa: N818 - it says what is so, and no fault was made
    """No list of this value set can be made; the text names the system or value set that is not held."""


class ValueSet:
    """The members of a value set. Every question is answered yes, no, or None: it cannot be told."""

    __slots__ = ("_listed", "_members", "_spellings", "url")

    def __init__(self, url: str, members: Members, spellings: Mapping[str, Mapping[str, str]]) -> None:
        self.url = url
        self._members = members
        self._listed: Codes = members.codes if isinstance(members, Listed | Partly) else {}
        self._spellings = spellings  # of systems where case does not matter: {system: {lower case: code}}

    def has(self, system: str, code: str) -> bool | None:
        """Whether the coding is a member. One without a system is not."""
        if code in self._listed.get(system, NONE):
            return True
        if not system or not code:
            return False
        if system in self._spellings:
            code = self._spellings[system].get(code.lower(), code)
        return self._members.has(system, code)

    def has_code(self, code: str) -> bool | None:
        """Whether a bare `code`, whose system the element implies, is a member."""
        for codes in self._listed.values():
            if code in codes:
                return True
        if not code:
            return False
        for system, spelled in self._spellings.items():
            if self._members.has(system, spelled.get(code.lower(), code)):
                return True
        return self._members.has_code(code)

    @property
    def open(self) -> str:
        """What is not held that would be needed to tell of every code; empty when all can be told."""
        return self._members.lacks

    def expand(self) -> tuple[Coding, ...]:
        """All members, by system and code. Raises NotEnumerable when no list can be made of what is held."""
        members = self._members.second if isinstance(self._members, Else) else self._members
        if not isinstance(members, Listed):
            raise NotEnumerable(f"{self.url} has no list: {members.open}")
        return tuple(sorted(Coding(*pair) for pair in members.pairs()))


@dataclass(slots=True)
class _Compiled:
    """What was compiled for one set of definitions. It holds nothing that would keep these alive."""

    value_sets: dict[Held, ValueSet | TerminologyError] = field(default_factory=dict)
    code_systems: dict[Held, CodeSystem | None] = field(default_factory=dict)


_COMPILED: WeakKeyDictionary[Definitions, _Compiled] = WeakKeyDictionary()


def value_set(canonical: str, held: Definitions, within: Package | None = None) -> ValueSet | None:
    """The value set of that canonical URL as `within` means it; None when it is not held.

    Raises TerminologyError for one that cannot be used: badly formed, importing itself, or too large.
    """
    found = held.find(canonical, within)
    if found is None or found.resource.get("resourceType") != "ValueSet":
        return None
    known = _compiled(held).value_sets
    if found not in known:
        try:
            known[found] = _Compiler(held).value_set(found)
        except TerminologyError as fault:
            known[found] = fault
    compiled = known[found]
    if isinstance(compiled, TerminologyError):
        raise compiled
    return compiled


def code_system(url: str, held: Definitions, within: Package | None = None) -> CodeSystem | None:
    """The code system as `within` means it; None when its concepts are not held. Raises TerminologyError."""
    found = held.find(url, within)
    if found is None or found.resource.get("resourceType") != "CodeSystem":
        return None
    known = _compiled(held).code_systems
    if found not in known:
        resource = found.resource
        usable = resource.get("content") != "supplement" and resource.get("concept")
        try:
            known[found] = load_code_system(resource) if usable else None
        except (AttributeError, KeyError, TypeError):
            raise TerminologyError(f"{found.url} is not a well-formed CodeSystem") from None
    return known[found]


def _compiled(held: Definitions) -> _Compiled:
    return _COMPILED.setdefault(held, _Compiled())


class _Compiler:
    """Compiles one value set with all that it imports, within limits."""

    def __init__(self, held: Definitions) -> None:
        self._held = held
        self._imported: dict[Held, Members | None] = {}  # None: being compiled
        self._spellings: dict[str, Mapping[str, str]] = {}
        self._steps = 0
        self._depth = 0

    def value_set(self, found: Held) -> ValueSet:
        members = self._import(found)
        return ValueSet(found.url, members, self._spellings)

    def _import(self, found: Held) -> Members:
        if found in self._imported:
            known = self._imported[found]
            if known is None:
                raise TerminologyError(f"{found.url} imports itself")
            return known
        if self._depth == DEEPEST_IMPORT:
            raise TerminologyError(f"{found.url} is imported more than {DEEPEST_IMPORT} deep")
        self._imported[found] = None
        self._depth += 1
        try:
            members = self._imported[found] = self._members(found)
        except (AttributeError, KeyError, TypeError):
            raise TerminologyError(f"{found.url} is not a well-formed ValueSet") from None
        self._depth -= 1
        return members

    def _members(self, found: Held) -> Members:
        compose, expansion = found.resource.get("compose"), found.resource.get("expansion")
        if compose is None:
            nothing = Partly(f"{found.url} lists nothing", {}, None)
            return nothing if expansion is None else _expanded(found.url, expansion)
        members = any_of(self._part(part, found) for part in compose["include"])
        if excluded := compose.get("exclude"):
            members = without(members, any_of(self._part(part, found) for part in excluded))
        if expansion is not None and members.open:
            return Else(members, _expanded(found.url, expansion))
        return members

    def _part(self, part: Mapping[str, Any], found: Held) -> Members:
        return all_of(self._conditions(part, found))

    def _conditions(self, part: Mapping[str, Any], found: Held) -> Iterator[Members]:
        if "system" in part:
            yield self._counted(self._of_system(part, found), found)
        for canonical in part.get("valueSet", ()):
            other = self._held.find(canonical, found.package)
            if other is None or other.resource.get("resourceType") != "ValueSet":
                yield Partly(f"the value set {canonical} is not held", {}, None)
            else:
                yield self._counted(self._import(other), found)

    def _of_system(self, part: Mapping[str, Any], found: Held) -> Members:
        url = part["system"]
        version = part.get("version")
        system = code_system(f"{url}|{version}" if version else url, self._held, found.package)
        if system is not None and not system.case_sensitive:
            self._spellings[url] = {code.lower(): code for code in system.concepts}
        if "concept" in part:
            return Listed({url: frozenset(concept["code"] for concept in part["concept"])})
        filters = part.get("filter", ())
        if system is not None:
            self._spend(len(system.concepts) * len(filters), found)
            return _of_held(system, filters)
        if url in LISTS and not filters:
            return Listed({url: LISTS[url]})
        if url in GRAMMARS and (grammar := _by_form(url, filters)):
            return grammar
        what = (
            f"the code system {url}|{version} is not held"
            if version
            else f"the code system {url} is not held"
        )
        return Partly(what, {}, frozenset({url}))

    def _counted(self, members: Members, found: Held) -> Members:
        """The same members, as long as all that was listed so far is not too much."""
        if isinstance(members, Listed | Partly):
            self._spend(sum(map(len, members.codes.values())), found)
        return members

    def _spend(self, steps: int, found: Held) -> None:
        self._steps += steps
        if self._steps > MOST_STEPS:
            raise TerminologyError(f"{found.url} takes more than {MOST_STEPS:,} steps to compile")


def _of_held(system: CodeSystem, filters: Any) -> Members:
    try:
        codes = {system.url: system.pick(filters)}
    except Untold as what:
        return Partly(f"{what} cannot be told", {}, frozenset({system.url}))
    if system.complete:
        return Listed(codes)
    return Partly(f"the code system {system.url} is held in part", codes, frozenset({system.url}))


def _by_form(url: str, filters: Any) -> Members | None:
    """A system told by its form; the only filters are whether a part of a language tag is there."""
    test = GRAMMARS[url]
    if not filters:
        return Grammar(url, test, UNTOLD.get(url, ""))
    if url != BCP47 or any(
        f["op"] != "exists" or language_part("en", f["property"]) is None for f in filters
    ):
        return None
    wanted = {f["property"]: f["value"] == "true" for f in filters}
    return Grammar(
        url,
        lambda code: test(code) and all(language_part(code, part) == there for part, there in wanted.items()),
    )


def _expanded(url: str, expansion: Mapping[str, Any]) -> Members:
    """What an expansion lists; whether it lists all, its total and its paging say."""
    codes: dict[str, set[str]] = {}
    waiting = list(expansion.get("contains", ()))
    count = 0
    while waiting:
        entry = waiting.pop()
        waiting.extend(entry.get("contains", ()))
        if "code" in entry:
            count += 1
            if count > MOST_STEPS:
                raise TerminologyError(f"the expansion of {url} has more than {MOST_STEPS:,} codes")
            if not entry.get("abstract"):
                codes.setdefault(entry["system"], set()).add(entry["code"])
    listed = {system: frozenset(found) for system, found in codes.items()}
    if expansion.get("offset") or expansion.get("total", count) > count:
        return Partly(f"the expansion of {url} is not whole", listed, None)
    return Listed(listed)
