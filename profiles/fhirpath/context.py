"""What an expression may ask about while it is evaluated."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

Resolve = Callable[[str], Mapping[str, Any] | None]
Member = Callable[[Any, str], bool | None]
Conforms = Callable[[Mapping[str, Any], str], bool | None]


@dataclass(slots=True)
class Context:
    """One resource under validation, and the questions only the validator can answer.

    `resource` is %resource; `root` is %rootResource: the resource that contains it, or itself. None from
    `member_of` and `conforms_to` means that it cannot be told. The two memos keep what depends on nothing
    but the resource or the root, so that a hundred references do not list the contained resources anew;
    a Context therefore serves one unchanging resource.
    """

    resource: Mapping[str, Any]
    root: Mapping[str, Any]
    resolve: Resolve
    member_of: Member
    conforms_to: Conforms
    memo: dict[str, Any] = field(default_factory=dict)
    root_memo: dict[str, Any] = field(default_factory=dict)
    origin: Any = None

    def within(self, contained: Mapping[str, Any]) -> Context:
        """The context of a resource that this one's root contains."""
        return Context(
            contained, self.root, self.resolve, self.member_of, self.conforms_to, {}, self.root_memo
        )
