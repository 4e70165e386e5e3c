"""One agency's node in process, and worlds in it: each begins with an empty store and at the same moment.

Partners call its web face as it is, headers and all; what it sends to them goes over its own HTTP client and
ends in a transport that keeps it. Everything that a partner gets is kept, in order, with the random values in
it made alike.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch
from urllib.parse import urlencode
from uuid import uuid4

import described
import httpx2
from joserfc import jws
from joserfc.jwk import ECKey
from world_alike import Alike

from gateway import clock, permission, settings
from gateway.app import create_app
from gateway.calling.client import PeerClient
from gateway.errors import Refused
from gateway.exchange import Exchange
from gateway.initialise import (
    Name,
    Plan,
    agreement,
    publish_directory,
    write_agreement,
    write_anchor,
    write_node,
)
from gateway.node import PARTNER_SCOPES, Identity, Node
from gateway.oauth.assertion import ASSERTION_TYPE
from gateway.offering import Receipt
from gateway.recording import Ask
from gateway.release_answers import build
from gateway.signing import keys
from gateway.store import tasks
from gateway.store.work import Store
from gateway.worker import Worker

ISSUER = "https://directory.example.org"
PANTRY, STRANGER = "harbor-food-pantry", "river-street-clinic"
SYSTEMS = ("shelter-csv", "fhir-r4", "case-json", "hl7v2-referral")
START = clock.now().replace(microsecond=0)
STEP = timedelta(milliseconds=10)

KINDS = {
    "shelter": ("victim-service-provider", "safe-haven", "maple-street-office"),
    "hospital": ("covered-entity", "elm-city-hospital"),
    "community": ("community-organization", "river-aid-society"),
}


class StillClock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now


@dataclass(frozen=True)
class Seen:
    """One thing that a partner got: by which way, in which phase of the story, random values made alike."""

    way: str
    phase: str
    text: str


@dataclass(frozen=True)
class Got:
    """An answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def resource(self) -> Any:
        return json.loads(self.body)


def organization(agency: str) -> str:
    return f"{ISSUER}/Organization/{agency}"


class Source:
    """The node of an agency of one kind in law, with a pantry and a stranger as its partners.

    alias: the name that it refers under, where that is not its own. `close` it.
    """

    def __init__(self, folder: Path, kind: str, name: str, alias: str = "") -> None:
        at = {one: f"http://127.0.0.1:{9101 + n}" for n, one in enumerate((name, PANTRY, STRANGER, alias))}
        names = {
            one: Name(
                organization(one), one.replace("-", " ").title(), at[one], at[one][7:], alias=one == alias
            )
            for one in at
            if one
        }
        own = tuple(names[one] for one in (name, alias) if one)
        plans = {
            name: Plan(
                names[name].name,
                kind,
                own,
                "shelter-csv",
                f"folder: {folder / 'own-system'}",
                grace_minutes=0,
            ),
            **{
                one: Plan(
                    names[one].name, "community-organization", (names[one],), "case-json", "folder: own"
                )
                for one in (PANTRY, STRANGER)
            },
        }
        entries = [entry for one, plan in plans.items() for entry in write_node(folder / one, plan)]
        publish_directory([folder / name], write_anchor(folder), ISSUER, entries, 1, START)
        self.name = alias or name
        for partner in (PANTRY, STRANGER):
            parties = ((names[self.name], folder / name), (names[partner], folder / partner))
            write_agreement([folder / name], agreement(*parties, now=START))
        config = folder / name / "node.yaml"
        _with_all_systems(config, folder / "own-system")
        self.clock = StillClock()
        self.folder = folder
        self.node = Node(settings.read(config), self.clock)
        self.keys = {one: keys.load(folder / one / "keys" / f"{one}.pem") for one in (PANTRY, STRANGER)}
        self.names = names
        self._worlds = 0
        self._made = self.node.store

    @property
    def identity(self) -> Identity:
        return self.node.sends_as

    def world(self) -> World:
        """A world of its own, in which nothing has happened yet."""
        self._worlds += 1
        if self.node.store is not self._made:
            self.node.store.close()
        self.clock.now = START
        self.node.ended.clear()
        folder = self.folder / f"world-{self._worlds}"
        self.node.store = Store(folder, b"k" * 32, "main", self.clock)
        return World(self, self._worlds)

    def close(self) -> None:
        self.node.close()
        self._made.close()


def _with_all_systems(config: Path, folder: Path) -> None:
    """Every mapping that the cases use, each knowing the pantry and the stranger by their ids."""
    text = config.read_text("utf-8")
    head, _, rest = text.partition("\nsystems:\n")
    _, _, tail = rest.partition("\n# Who of your own may")
    known = "".join(f"\n      {one}: {organization(one)}" for one in (PANTRY, STRANGER))
    systems = "".join(
        f"  {one}:\n    mapping: {one}\n    inbox: {str(one == 'case-json').lower()}\n"
        f"    writeback:\n      folder: {folder}\n    recipients:{known}\n"
        for one in SYSTEMS
    )
    # A world that stands still has no next second in which to ask again.
    head += "\nlimits: {requests_per_second: 100000}\n"
    config.write_text(f"{head}\nsystems:\n{systems}\n# Who of your own may{tail}", "utf-8")


@dataclass
class World:
    """What happens in one world, and everything that a partner got of it."""

    source: Source
    number: int
    seen: list[Seen] = field(default_factory=list)
    phase: str = ""

    def __post_init__(self) -> None:
        self.node, self.clock = self.source.node, self.source.clock
        identity = self.source.identity
        slug = identity.organization.rpartition("/")[2]
        public = keys.public_jwks(identity.ring.signing)["keys"][0]
        self.alike = Alike(
            {
                slug: "<source>",
                self.source.names[slug].name: "<Source>",
                identity.address: "<address of source>",
                self.node.trust.said(): "<directory>",  # each world has one of its own
                **{public[one]: f"<key {one}>" for one in ("kid", "x", "y")},
            }
        )
        self.app = create_app(self.node, identity)
        self.exchange = Exchange(self.node)
        self.operator = Ask("operator", self.node.home, str(uuid4()))
        with patch("gateway.calling.client.routes", lambda *_: _Partners(self)):
            clients = {
                one.organization: PeerClient(one.organization, one.ring)
                for one in self.node.identities.values()
            }
        self._worker = Worker(self.node, clients)

    def consent(self, resource: Mapping[str, Any]) -> str:
        """Record a release."""
        return permission.record_consent(self.node, self.operator, resource)[0]

    def release(self, **answers: Any) -> dict[str, Any]:
        """The Consent of these answers, as of the day that the world begins."""
        today = START.astimezone(self.node.settings.timezone).date()
        period = {"start": today.isoformat(), "end": (today + timedelta(days=20)).isoformat()}
        given = period | {"recipients": [PANTRY], "signed": "Paper form in the cabinet"} | answers
        return build(self.node.settings, given) | {"dateTime": clock.stamp(START)}

    def hand_in(self, system: str, record: bytes) -> Receipt | Refused:
        """A record of the agency's own system."""
        self.clock.now += STEP
        (done,) = self.exchange.hand_in(self.operator, system, record)
        return done

    def addresses(self, referral_id: str) -> dict[str, str]:
        """Where the parts of a referral can be served, by their names; empty for none."""
        with self.node.store.work() as work:
            found = tasks.of_referral(work, referral_id)
            return {"Task": found[0].id, **tasks.addresses(work, found[0].id)} if found else {}

    async def start(self) -> None:
        """What a node does when it starts: ask its partners to tell it."""
        await asyncio.to_thread(self._worker._subscribe_everywhere)
        await self.settle()

    async def settle(self) -> None:
        """Send all that waits to be sent."""
        while entries := await asyncio.to_thread(self._worker._lease, 16):
            for entry in entries:
                self.clock.now += STEP
                await self._worker._attempt(entry)

    def note(self, way: str, first_line: str, headers: Any, body: bytes) -> None:
        """Keep something that a partner got."""
        self.seen.append(Seen(way, self.phase, self.alike.message(first_line, headers, body)))

    def look_from_now(self, now: datetime) -> None:
        """Forget what partners got until now: from here on, at this moment, worlds are compared."""
        self.seen.clear()
        self.alike.begin_again()
        self.clock.now = now


class _Partners(httpx2.AsyncBaseTransport):
    """Every partner at once: takes what it is sent and answers as a partner does that has nothing to say."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        body = await request.aread()
        self._world.note("what it sends", f"{request.method} {request.url}", request.headers.raw, body)
        match request.method, request.url.path:
            case _, "/oauth/token":
                scope = dict(httpx2.QueryParams(body.decode()))["scope"]
                said: Any = {"access_token": "t", "token_type": "bearer", "expires_in": 300, "scope": scope}
            case "POST", "/fhir/Subscription":
                said = {"resourceType": "Subscription", "id": str(uuid4())}
            case "GET", _:
                said = {"resourceType": "Bundle", "type": "searchset", "total": 0}
            case _:
                said = {}
        return httpx2.Response(200, json=said)

    async def aclose(self) -> None:
        pass


class Visitor:
    """A partner at the door of the source."""

    def __init__(self, world: World, name: str) -> None:
        self.world, self.name = world, name
        self.organization = organization(name)
        self._key: ECKey = world.source.keys[name]
        self._token = ""

    async def come(self) -> None:
        """Get a token."""
        got = await self.ask("POST", "/oauth/token", **self.token_request(" ".join(PARTNER_SCOPES)))
        self._token = got.resource["access_token"]

    def token_request(self, scope: str, **claims: Any) -> dict[str, Any]:
        """What to send to the token endpoint."""
        now = int(self.world.clock.now.timestamp())
        said = {
            "iss": self.organization,
            "sub": self.organization,
            "aud": f"{self.world.source.identity.address}/oauth/token",
            "iat": now,
            "exp": now + 60,
            "jti": str(uuid4()),
        } | claims
        header = {"alg": "ES384", "kid": self._key.thumbprint(), "typ": "JWT"}
        form = {
            "grant_type": "client_credentials",
            "scope": scope,
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": jws.serialize_compact(
                header, json.dumps(said).encode(), self._key, algorithms=["ES384"]
            ),
        }
        return {"raw": urlencode(form).encode(), "content_type": "application/x-www-form-urlencoded"}

    async def get(self, path: str, **headers: str) -> Got:
        """A FHIR read or search; headers by name with `_` for `-`."""
        return await self.ask("GET", f"/fhir/{path}", **headers)

    async def ask(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        raw: bytes | None = None,
        content_type: str = "application/fhir+json",
        **headers: str,
    ) -> Got:
        """One request; the answer is kept under the name of the way that it came by."""
        self.world.clock.now += STEP
        sent = {
            "x-request-id": str(uuid4()),
            **{name.lower().replace("_", "-"): one for name, one in headers.items()},
        }
        if self._token:
            sent.setdefault("authorization", f"Bearer {self._token}")
        content = raw if raw is not None else b"" if body is None else json.dumps(body).encode()
        if content:
            sent |= {"content-type": content_type, "content-length": str(len(content))}
        status, headers_got, answer = await call(self.world.app, method, path, sent, content)
        way = self.world.alike.text(f"{self.name}: {method} {path}")
        self.world.note(way, str(status), headers_got, answer)
        return Got(status, {n.decode(): v.decode() for n, v in headers_got}, answer)


async def call(
    app: Any, method: str, path: str, headers: Mapping[str, str], body: bytes
) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    """One HTTP request to an ASGI application; status, headers as sent, body."""
    at, _, query = path.partition("?")
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "path": at,
        "raw_path": at.encode(),
        "query_string": query.encode(),
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        "scheme": "http",
        "server": ("127.0.0.1", 9101),
        "client": ("127.0.0.1", 50000),
    }
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    await app(scope, receive, send)
    answered = b"".join(one.get("body", b"") for one in sent[1:])
    described.check(method, path, sent[0]["status"], sent[0]["headers"], answered)
    return sent[0]["status"], list(sent[0]["headers"]), answered
