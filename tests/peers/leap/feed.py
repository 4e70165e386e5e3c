"""A FHIR server for LEAP to read from: consents, patients and actors of generated cases, on loopback alone.

    python -m leap.feed FILE

FILE holds JSON: {"patients": {"system|value": resource}, "consents": {"Patient/x": [...]},
"actors": {"Type/id": resource}}. Answers Patient?identifier=, Consent?patient=, reads of actors, and takes
AuditEvents (and forgets them). Prints its port. It serves what it is given and decides nothing.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

BASE = "/fhir/"


class Answers:
    """Every answer as bytes, made once."""

    def __init__(self, held: dict[str, Any]) -> None:
        self.patients = {key: _found([one]) for key, one in held["patients"].items()}
        self.consents = {key: _found(some) for key, some in held["consents"].items()}
        self.actors = {key: _response(200, one) for key, one in held["actors"].items()}
        self.nothing = _found([])
        outcome = {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "not-found"}]}
        self.missing = _response(404, outcome)
        self.taken = _response(201, {"resourceType": "AuditEvent", "id": "1"})

    def to(self, method: str, target: str) -> bytes:
        """The answer to one request."""
        parts = urlsplit(target)
        path, asked = parts.path.removeprefix(BASE), parse_qs(parts.query)
        if method == "POST":
            return self.taken if path == "AuditEvent" else self.missing
        if path == "Patient":
            return self.patients.get(asked.get("identifier", [""])[0], self.nothing)
        if path == "Consent":
            return self.consents.get(asked.get("patient", [""])[0], self.nothing)
        return self.actors.get(path, self.missing)


class Connection(asyncio.Protocol):
    """One kept-alive HTTP/1.1 connection."""

    def __init__(self, answers: Answers) -> None:
        self.answers = answers
        self.waiting = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.waiting += data
        while (head := self.waiting.find(b"\r\n\r\n")) >= 0:
            lines = self.waiting[:head].decode("latin-1").split("\r\n")
            length = next((int(x[15:]) for x in lines[1:] if x.lower().startswith("content-length:")), 0)
            if len(self.waiting) < head + 4 + length:
                return
            self.waiting = self.waiting[head + 4 + length :]
            method, target, _ = lines[0].split(" ")
            self.transport.write(self.answers.to(method, target))  # type: ignore[attr-defined]


def _found(resources: list[dict[str, Any]]) -> bytes:
    entries = [{"resource": one, "search": {"mode": "match"}} for one in resources]
    bundle = {"resourceType": "Bundle", "type": "searchset", "total": len(entries)}
    return _response(200, bundle | ({"entry": entries} if entries else {}))


def _response(status: int, resource: dict[str, Any]) -> bytes:
    body = json.dumps(resource).encode()
    head = (
        f"HTTP/1.1 {status} x\r\ncontent-type: application/fhir+json\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def main(answers: Answers) -> None:
    """Serve until killed."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(answers), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(Answers(json.loads(Path(sys.argv[1]).read_bytes()))))
