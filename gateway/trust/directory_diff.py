"""What is different between two directories: who joined, who left, and what changed of whom."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Final

from gateway.trust.directory import Directory, Entry
from gateway.trust.succession import follows

# Told apart, as they decide what a node trusts; a key change is in `jwks`.
_MEMBERS: Final = tuple(
    field.name for field in fields(Entry) if field.name not in ("organization", "jwks", "succession")
)


@dataclass(frozen=True, slots=True)
class Changed:
    """One who takes part in both."""

    before: Entry
    after: Entry

    @property
    def members(self) -> tuple[str, ...]:
        """Which members differ, the keys aside."""
        return tuple(name for name in _MEMBERS if getattr(self.before, name) != getattr(self.after, name))

    @property
    def new_keys(self) -> list[str]:
        """The thumbprints of keys that it has now and had not."""
        return sorted(self.after.thumbprints - self.before.thumbprints)

    @property
    def gone_keys(self) -> list[str]:
        """The thumbprints of keys that it had and has no longer."""
        return sorted(self.before.thumbprints - self.after.thumbprints)

    @property
    def handed_over(self) -> bool:
        """Whether a key that it had has signed the change of keys, so that nodes follow it by themselves."""
        return follows(self.before.thumbprints, self.after)


@dataclass(frozen=True, slots=True)
class Difference:
    """From one directory to another, each in the order of the URLs."""

    joined: tuple[Entry, ...]
    left: tuple[Entry, ...]
    changed: tuple[Changed, ...]

    def lines(self) -> Iterator[str]:
        """It in words, one line for each participant."""
        for entry in self.joined:
            yield f"joined   {_called(entry)}, {_keys(sorted(entry.thumbprints))}"
        for entry in self.left:
            yield f"left     {_called(entry)}"
        for one in self.changed:
            yield f"changed  {_called(one.after)}: {'; '.join(told(one))}"


def difference(before: Directory | None, after: Directory) -> Difference:
    """What came with `after`; before: None where there was none."""
    old = {entry.organization: entry for entry in before.entries} if before else {}
    new = {entry.organization: entry for entry in after.entries}
    return Difference(
        tuple(new[one] for one in sorted(new.keys() - old.keys())),
        tuple(old[one] for one in sorted(old.keys() - new.keys())),
        tuple(Changed(old[one], new[one]) for one in sorted(new.keys() & old.keys()) if old[one] != new[one]),
    )


def told(one: Changed) -> Iterator[str]:
    """What has changed of one participant, in words; its keys apart from the rest."""
    if one.members:
        yield ", ".join(one.members)
    if one.new_keys or one.gone_keys:
        parts = [f"new {_keys(one.new_keys)}"] if one.new_keys else []
        parts += [f"gone {_keys(one.gone_keys)}"] if one.gone_keys else []
        yield f"{', '.join(parts)}, " + (
            "signed by a key that it had"
            if one.handed_over
            else "NOT signed by a key that it had: nodes keep to the old keys until told otherwise"
        )
    elif one.before.jwks != one.after.jwks:
        yield "how its keys are written"
    if one.before.succession != one.after.succession and not (one.new_keys or one.gone_keys):
        yield "the list of its key changes"


def _called(entry: Entry) -> str:
    return f"{entry.name} ({entry.id})"


def _keys(thumbprints: list[str]) -> str:
    return f"key{'s' if len(thumbprints) > 1 else ''} {', '.join(thumbprints)}"
