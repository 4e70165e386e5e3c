"""TCP forwarders that keep every byte of every connection, and the HTTP messages read back from them."""

from __future__ import annotations

import base64
import contextlib
import random
import re
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

import msgspec

# Below the range from which the system itself picks ports, so that nothing is taken from a node.
_PORTS = range(20_000, 32_000)


@dataclass
class Connection:
    """One connection to one name of a node: what its client sent, and what the node answered."""

    at: str
    asked: bytearray = field(default_factory=bytearray)
    answered: bytearray = field(default_factory=bytearray)

    @property
    def caller(self) -> str:
        """The client id that its first token or assertion names."""
        for token in _JWT.findall(unquote(self.asked.decode("latin-1"))):
            claims = jwt_parts(token)[1]
            return str(claims["sub"]).rpartition("/")[2]
        return "nobody"


class Recorder:
    """One forwarder for each name of each node. `between` is what `Network` wants."""

    def __init__(self) -> None:
        self.connections: list[Connection] = []
        self.names: dict[int, str] = {}
        self._listening: list[socket.socket] = []
        self._open: list[socket.socket] = []

    def between(self, name: str, port: int) -> int:
        """Start a forwarder to `port`; the port where it listens."""
        listening = _listen()
        self._listening.append(listening)
        public = int(listening.getsockname()[1])
        self.names |= {port: name, public: name}
        threading.Thread(target=self._accept, args=(listening, name, port), daemon=True).start()
        return public

    def port(self, name: str) -> int:
        """The port that partners are told for a name."""
        return next(int(one.getsockname()[1]) for one in self._listening if self.names[_port(one)] == name)

    def close(self) -> None:
        """Stop listening and drop every connection."""
        for one in (*self._listening, *self._open):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _accept(self, listening: socket.socket, name: str, port: int) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = listening.accept()
                try:
                    server = socket.create_connection(("127.0.0.1", port))
                except OSError:  # the node is down, and so is its door
                    client.close()
                    continue
                self._open += (client, server)
                made = Connection(name)
                self.connections.append(made)
                for source, sink, kept in (
                    (client, server, made.asked),
                    (server, client, made.answered),
                ):
                    threading.Thread(target=_pump, args=(source, sink, kept), daemon=True).start()


@dataclass(frozen=True)
class Message:
    """One HTTP request or answer: all its bytes, and its body without transfer coding."""

    raw: bytes
    head: bytes
    body: bytes


def messages(stream: bytes) -> Iterator[Message]:
    """The HTTP/1.1 messages of one direction of a connection. Fails the test on anything it cannot read."""
    while stream:
        head, blank, rest = stream.partition(b"\r\n\r\n")
        assert blank, "the stream ends inside a head"
        assert b"transfer-encoding" not in head.lower()
        found = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
        length = int(found[1]) if found else 0
        assert len(rest) >= length, "the stream ends inside a body"
        yield Message(stream[: len(head) + 4 + length], head, rest[:length])
        stream = rest[length:]


_JWT = re.compile(r"eyJ[\w-]+\.eyJ[\w-]+\.[\w-]+")


def jwt_parts(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and claims of a compact JWS."""
    header, claims, _ = (base64.urlsafe_b64decode(part + "===") for part in token.split("."))
    return msgspec.json.decode(header), msgspec.json.decode(claims)


def _listen() -> socket.socket:
    for port in random.sample(_PORTS, 100):
        with contextlib.suppress(OSError):
            return socket.create_server(("127.0.0.1", port))
    raise OSError("no free port")


def _port(listening: socket.socket) -> int:
    return int(listening.getsockname()[1])


def _pump(source: socket.socket, sink: socket.socket, kept: bytearray) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            kept += data
            sink.sendall(data)
    for one in (source, sink):
        with contextlib.suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
