"""How a refusal leaves this node: an HTTP status and an OperationOutcome, and who erred.

Whoever refuses raises `Refused`; `gateway.app` turns it into the response. Nothing else builds one, so
no traceback, token or personal value can reach a caller.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from profiles.outcome import Issue, operation_outcome

Erring = Literal["caller", "this node", "peer node", "peer's system"]


class Refused(Exception):  # noqa: N818 - it is an answer, not a fault
    """A request that is answered with an error.

    status: HTTP status. issues: what is wrong, without a person's data. erring: whose side it is on.
    headers: extra response headers (`Retry-After`, `WWW-Authenticate`, ...).
    """

    def __init__(
        self,
        status: int,
        issues: Sequence[Issue],
        *,
        erring: Erring = "caller",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(f"{status}: " + "; ".join(issue.message for issue in issues))
        self.status = status
        self.issues = tuple(issues)
        self.erring = erring
        self.headers = dict(headers or {})

    def outcome(self) -> dict[str, Any]:
        """The OperationOutcome that the caller gets."""
        return operation_outcome(self.issues)


def refuse(status: int, code: str, message: str, **where: Any) -> Refused:
    """A `Refused` with one issue: `raise refuse(409, "conflict", "...", expression="Task.status")`."""
    return Refused(status, [Issue("error", code, message, **where)])


def no_new_dossier() -> Refused:
    """503 while it cannot be known who has been suspended: what is not open yet stays closed."""
    why = "No new dossier is opened until this node has a suspension list in force. Try again."
    # No `Retry-After`: who is told so often would give up before the convening body is back.
    return Refused(503, [Issue("error", "transient", why)], erring="this node")


def not_found() -> Refused:
    """The one answer for what does not exist, is not permitted, or is about someone unknown here.

    Identical in all three cases, so that asking tells nothing.
    """
    return refuse(404, "not-found", "There is nothing here for you at this address.")
