"""Everybody who may come to a node, good and bad, and what each has to show: for the authorization matrix.

A node is visited under one of its names: a hospital's own, a victim service provider's own, or its alias. The
pantry has been offered a referral there and has accepted it; the stranger is a partner too and has nothing to
do with it. Some callers only exist once something has happened to them, which `take_away` does.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

from joserfc import jws
from joserfc.jwk import ECKey
from partner_ways import answer
from sample_records import SHELTER_CLIENTS, shelter_row
from two_worlds import (
    ISSUER,
    KINDS,
    PANTRY,
    START,
    STRANGER,
    Source,
    Visitor,
    call,
    organization,
)

from gateway.app import create_app
from gateway.initialise import CLIENT
from gateway.node import PARTNER_SCOPES, Identity
from gateway.notification import subscription_request
from gateway.oauth import registered
from gateway.oauth.assertion import ASSERTION_TYPE
from gateway.offering import Receipt
from gateway.signing import keys
from gateway.trust.directory_signing import publish

OWN_SCOPES = "system/ServiceRequest.c system/Task.u system/Consent.c"
LATER = timedelta(seconds=301)


@dataclass(frozen=True)
class Place:
    """A node under one of its names. own: its own name, where its systems call it."""

    name: str
    kind: str
    own: bool
    partners: bool


PLACES = {
    place.name: place
    for place in (
        Place("hospital", "hospital", own=True, partners=True),
        Place("victim service provider", "shelter", own=True, partners=False),
        Place("alias", "shelter", own=False, partners=True),
    )
}


class Doorstep:
    """The node of one place, with all who come to it. `close` it.

    tokens: what each caller has to show; a caller who is not in it shows nothing, or nothing real.
    """

    def __init__(self, folder: Path, place: Place) -> None:
        self.place = place
        self.source = Source(folder, *KINDS[place.kind])
        self.world = self.source.world()
        self.node = self.source.node
        self.apps = {one.organization: create_app(self.node, one) for one in self.node.identities.values()}
        self.identity = self.node.home if place.own else self.node.sends_as
        self.known = asyncio.run(self._referral())
        self._folder = folder
        self._agency = folder / KINDS[place.kind][1]
        self._own_key = keys.load(self._agency / "keys" / f"{CLIENT}.pem")
        self.tokens: dict[str, str] = {}
        self._come()

    def close(self) -> None:
        self.source.close()

    def visit(self, method: str, path: str, caller: str, scope: str = "", body: Any = None) -> int:
        """The status that a caller gets. scope: what the address asks for. body: JSON, or text as it is."""
        headers = {"x-request-id": str(uuid4()), "if-match": 'W/"00000000000000000000"'}
        if shown := self._shown(caller, scope):
            headers["authorization"] = shown
        content = (
            body.encode() if isinstance(body, str) else b"" if body is None else json.dumps(body).encode()
        )
        if content:
            headers |= {"content-type": "application/fhir+json", "content-length": str(len(content))}
        app = self.apps[self.identity.organization]
        return asyncio.run(call(app, method, path, headers, content))[0]

    def take_away(self, caller: str) -> None:
        """What makes this caller one who may no longer come, though he has a good token."""
        match caller:
            case "suspended partner":
                self._suspend(PANTRY)
            case "partner without agreement":
                (agreement,) = (self._agency / "agreements").glob(f"*{STRANGER}*.json")
                agreement.unlink()
                assert self.node.refresh()
            case "suspended system":
                self._register("reader", OWN_SCOPES, ["shelter-csv"], status="suspended")
            case "late partner" | "late system":
                self.world.clock.now = START + LATER
            case _:
                raise AssertionError(f"nothing is known of {caller}")

    def ask_token_as_partner(self) -> tuple[int, str]:
        """What the pantry gets at the token endpoint here: status and error."""
        proof = self._proof(self.identity, organization(PANTRY), self.source.keys[PANTRY])
        form = {"grant_type": "client_credentials", "scope": "system/Task.r"} | proof
        status, body = self._post(self.identity, "/oauth/token", form)
        return status, json.loads(body).get("error", "")

    # ------------------------------------------------------------ what was there before

    async def _referral(self) -> dict[str, str]:
        """A referral that the pantry has accepted, under the name that referrals go under: its addresses."""
        person = {"system": SHELTER_CLIENTS, "value": "C-0417"}
        items = ["need", "priority", "period", "area", "language", "alias", "household-size", "diet"]
        self.world.consent(self.world.release(patient=person, items=items))
        done = self.world.hand_in("shelter-csv", shelter_row())
        assert isinstance(done, Receipt) and done.state == "offered", done
        await self.world.settle()
        pantry = Visitor(self.world, PANTRY)
        await pantry.come()
        known = self.world.addresses(done.referral)
        got = await pantry.get(f"Task/{known['Task']}")
        assert await answer(pantry, got.resource, "accepted") == 200
        at = self.source.names[PANTRY].address
        wanted = subscription_request(f"{at}/notifications", organization(PANTRY))
        told = (await pantry.ask("POST", "/fhir/Subscription", body=wanted)).resource["id"]
        parts = {name.partition("/")[0]: address for name, address in known.items()}
        return parts | {
            "Subscription": told,
            "Organization": PANTRY,
            "source": self.identity.address,
            "at": at,
        }

    def _register(self, name: str, scopes: str, systems: list[str], status: str = "active") -> None:
        content = {
            "id": name,
            "name": name,
            "systems": systems,
            "scopes": scopes,
            "auth": {"method": "private_key_jwt", "jwks": keys.public_jwks(self._own_key)},
            "status": status,
        }
        registered.write(self._agency / "clients", content, replace=True)

    def _suspend(self, name: str) -> None:
        """The convening body publishes the next directory, in which this partner is suspended."""
        folder, before = self._agency / "directory", self.node.directory
        entries = [
            entry | ({"status": "suspended"} if entry["organization"] == organization(name) else {})
            for shard in sorted((folder / "shards").iterdir())
            for entry in json.loads(shard.read_bytes())
        ]
        publish(
            folder,
            ISSUER,
            entries,
            keys.load(self._folder / "anchor.pem"),
            sequence=before.sequence + 1,
            now=self.world.clock.now,
            previous=[before.digest, *before.previous],
        )
        assert self.node.refresh()

    # ------------------------------------------------------------ what they show

    def _come(self) -> None:
        """Everybody gets a token who can get one."""
        own = {
            "own system": (CLIENT, OWN_SCOPES, ["shelter-csv"]),
            "system with a partner's scopes": (
                "reader",
                f"{OWN_SCOPES} {' '.join(PARTNER_SCOPES)}",
                ["shelter-csv"],
            ),
            "another system": ("other", OWN_SCOPES, ["case-json"]),
            "system without the scope": ("unfit", "system/Condition.r", ["shelter-csv"]),
        }
        for caller, (name, scopes, systems) in own.items():
            self._register(name, scopes, systems)
            self.tokens[caller] = self._token(self.node.home, name, self._own_key, scopes)
        for caller, name in (("partner", PANTRY), ("another partner", STRANGER)):
            self.tokens[caller] = self._of_partner(name, " ".join(PARTNER_SCOPES))
        for scope in ("system/Observation.r", "system/Procedure.c"):
            self.tokens[f"partner with {scope}"] = self._of_partner(PANTRY, scope)
        self.tokens["who took it back"] = self._of_partner(PANTRY, " ".join(PARTNER_SCOPES))
        self._take_back(self.tokens["who took it back"])
        for caller, same in (
            ("suspended partner", "partner"),
            ("partner without agreement", "another partner"),
            ("suspended system", "system with a partner's scopes"),
            ("late partner", "partner"),
            ("late system", "own system"),
        ):
            self.tokens[caller] = self.tokens[same]
        self.tokens["forger"] = self._signed_by_another(self.tokens["partner"])
        self.tokens["guest from another server"] = self._of_another_server(self.tokens["partner"])

    def _shown(self, caller: str, scope: str) -> str | None:
        match caller:
            case "nobody":
                return None
            case "somebody with nonsense":
                return "Bearer nonsense"
            case "somebody with a password":
                return "Basic " + base64.b64encode(b"operator:password").decode()
            case "partner without the scope":
                unfit = "system/Observation.r" if scope != "system/Observation.r" else "system/Procedure.c"
                return f"Bearer {self.tokens[f'partner with {unfit}']}"
        return f"Bearer {self.tokens[caller]}"

    def _of_partner(self, name: str, scope: str) -> str:
        """A token under the name that it can get one: the one that referrals go under."""
        return self._token(self.node.sends_as, organization(name), self.source.keys[name], scope)

    def _token(self, identity: Identity, client_id: str, key: ECKey, scope: str) -> str:
        form = {"grant_type": "client_credentials", "scope": scope}
        status, body = self._post(identity, "/oauth/token", form | self._proof(identity, client_id, key))
        assert status == 200, body
        return str(json.loads(body)["access_token"])

    def _take_back(self, token: str) -> None:
        identity = self.node.sends_as
        proof = self._proof(identity, organization(PANTRY), self.source.keys[PANTRY])
        assert self._post(identity, "/oauth/revoke", {"token": token} | proof)[0] == 200

    def _post(self, identity: Identity, path: str, form: Mapping[str, str]) -> tuple[int, bytes]:
        content = urlencode(form).encode()
        headers = {
            "content-type": "application/x-www-form-urlencoded",
            "content-length": str(len(content)),
        }
        status, _, body = asyncio.run(call(self.apps[identity.organization], "POST", path, headers, content))
        return status, body

    def _proof(self, identity: Identity, client_id: str, key: ECKey) -> dict[str, str]:
        now = int(self.world.clock.now.timestamp())
        claims = {
            "iss": client_id,
            "sub": client_id,
            "aud": f"{identity.address}/oauth/token",
            "iat": now,
            "exp": now + 60,
            "jti": str(uuid4()),
        }
        return {
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": _signed({"alg": "ES384", "kid": key.thumbprint(), "typ": "JWT"}, claims, key),
        }

    def _signed_by_another(self, token: str) -> str:
        """The same words under the same key's name, signed with a key that is not the node's."""
        header, claims, _ = token.split(".")
        return _signed(_read(header), _read(claims), self.source.keys[PANTRY])

    def _of_another_server(self, token: str) -> str:
        """A good token of the partner's own server, for what is there."""
        key, address = self.source.keys[PANTRY], self.source.names[PANTRY].address
        header = {"alg": "ES384", "typ": "at+jwt", "kid": key.thumbprint()}
        return _signed(header, _read(token.split(".")[1]) | {"iss": address, "aud": f"{address}/fhir"}, key)


def _signed(header: dict[str, Any], claims: dict[str, Any], key: ECKey) -> str:
    return jws.serialize_compact(header, json.dumps(claims).encode(), key, algorithms=["ES384"])


def _read(part: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "==="))
    return found
