"""Reaching a partner, and what an attempt means for the outbox: done, later, or never.

An attempt is a function that returns when it is done and raises `Stopped` when it cannot go on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final
from uuid import uuid4

from gateway import fhir_json
from gateway.calling.client import Answer, PeerClient
from gateway.calling.transport import PeerFault, PeerForbidden, PeerRefused, PeerUnavailable
from gateway.node import Node
from gateway.outbox import GiveUp, Later, Outcome
from gateway.trust.directory import Entry
from profiles import strict_json, validate
from profiles.outcome import errors
from profiles.registry import Definitions

PURPOSE: Final = "COC"  # coordination of care: what a node reads and writes a referral for (v3-ActReason)
DIRECTORY_HEADER = "Waymeet-Directory"
_WORTH_ANOTHER_TRY = frozenset({401, 403, 408, 412, 425, 429})

Clients = Mapping[str, PeerClient]
"""One client for each of our identities, by its directory URL: each speaks with its own key."""


class Stopped(Exception):  # noqa: N818 - an end, not a fault
    """This attempt ends here, with this outcome."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(type(outcome).__name__)
        self.outcome = outcome


class Gone(Exception):  # noqa: N818 - an answer, not a fault
    """There is nothing there for us (any more): the partner's one 404."""


@dataclass(frozen=True, slots=True)
class Read:
    """A resource as a partner served it, with its entity tag."""

    resource: dict[str, Any]
    etag: str


@dataclass(frozen=True, slots=True)
class Partner:
    """A partner in the directory, and the client of the identity that speaks to it.

    held: the definitions that its answers are checked against, if not only those that ship. directory: which
    directory we go by, for it to compare with its own.
    """

    client: PeerClient
    entry: Entry
    held: Definitions | None = None
    directory: str = ""

    async def read(self, path: str, scope: str) -> Read:
        """The FHIR resource at `path` under the partner's base. Raises Gone or Stopped."""
        answer = await self.send("GET", f"/fhir/{path}", scope)
        try:
            resource: dict[str, Any] = strict_json.read(answer.body)
            if errors(validate(resource, held=self.held)):
                raise ValueError(path)
        except ValueError:
            raise Stopped(GiveUp("the partner's node answered what is not valid FHIR R4")) from None
        return Read(resource, answer.headers.get("etag", ""))

    async def send(
        self, method: str, path: str, scope: str, resource: Mapping[str, Any] | None = None, **headers: str
    ) -> Answer:
        """The partner's answer of success. Raises Gone for 404 and Stopped for everything else.

        headers: by name with `_` for `-` (`If_Match`). Every attempt has a request id of its own.
        """
        sent = {"Accept": fhir_json.FHIR_JSON, "X-Request-Id": str(uuid4())}
        if resource is not None:
            sent["Content-Type"] = fhir_json.FHIR_JSON
        if self.directory:
            sent[DIRECTORY_HEADER] = self.directory
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        content = None if resource is None else fhir_json.encode(resource)
        try:
            answer = await self.client.request(
                self.entry,
                method,
                path,
                scope=f"system/{scope}",
                purpose=PURPOSE if path.startswith("/fhir/") else None,
                headers=sent,
                content=content,
            )
        except PeerUnavailable as fault:
            raise Stopped(Later("the partner's node does not answer", _seconds(fault.retry_after))) from None
        except PeerForbidden:
            why = "the partner's address is not one that this node may connect to: see `networks`"
            raise Stopped(Later(why)) from None
        except ValueError:
            raise Stopped(GiveUp("what the partner names is no path at its address")) from None
        except PeerRefused:
            raise Stopped(Later("the partner's node gives us no token")) from None
        except PeerFault:
            raise Stopped(GiveUp("the partner's node answered what must not be read")) from None
        if answer.status == 404:
            raise Gone
        succeeded(answer)
        return answer


def partner(node: Node, clients: Clients, organization: str, partner_url: str) -> Partner:
    """A partner of one of our identities, if the directory vouches for it now. Raises Stopped."""
    entry = node.peer(partner_url)
    if entry is None:
        raise Stopped(Later("the partner is not in the directory at this moment"))
    return Partner(clients[organization], entry, node.definitions, node.trust.said())


def succeeded(answer: Answer) -> None:
    """Pass on success; otherwise raise Stopped: later for what may pass, never for any other refusal."""
    if 200 <= answer.status < 300:
        return
    if answer.status >= 500 or answer.status in _WORTH_ANOTHER_TRY:
        later = Later(f"the other side answered {answer.status}", _seconds(answer.retry_after))
        raise Stopped(later)
    raise Stopped(GiveUp(f"the other side refused it with {answer.status}"))


def _seconds(seconds: float | None) -> timedelta | None:
    return None if seconds is None else timedelta(seconds=seconds)
