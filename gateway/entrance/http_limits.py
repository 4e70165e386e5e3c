"""One connection of the server: uvicorn's HTTP/1.1, with an end to everything a caller may draw out.

uvicorn bounds how long a connection may be idle between two requests, and nothing else. Here the head has to
be complete in time and small, the body complete in time, an answer read in time; and what two servers could
understand differently (request smuggling) is refused, as far as the parser has not done that already.
"""

from __future__ import annotations

import logging
import math
import socket
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cache
from typing import Any, Final
from uuid import uuid4

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.server import ServerState

from gateway import fhir_json
from gateway.entrance.safe_headers import NO_STORE, Header
from gateway.errors import Refused
from gateway.fhir_json import FHIR_JSON
from profiles.outcome import Issue

log = logging.getLogger("waymeet.http")

MOST_CONNECTIONS: Final = 512
MOST_HEADERS: Final = 100
HEAD_BYTES: Final = 32 * 1024
TARGET_BYTES: Final = 8 * 1024
FRAMING_BYTES: Final = 16 * 1024
LINGER_SECONDS: Final = 2.0

_WHY: Final[Mapping[int, tuple[str, str]]] = {
    400: ("structure", "This is not a well-formed HTTP/1.1 request."),
    408: ("timeout", "The request was not complete in time."),
    414: ("too-long", f"The address is longer than this node takes: {TARGET_BYTES} bytes."),
    417: ("not-supported", "The only expectation that is known here is 100-continue."),
    431: ("too-long", f"At most {MOST_HEADERS} headers of {HEAD_BYTES} bytes together are taken."),
    501: ("not-supported", "The only transfer coding that is known here is chunked."),
    503: ("throttled", "This node has too many connections at this moment. Try again."),
    505: ("not-supported", "This node speaks HTTP/1.1 and HTTP/1.0."),
}


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a caller may take, in seconds: for the head, for the body, to read the answer, between two
    requests."""

    head: float = 10.0
    body: float = 30.0
    answer: float = 30.0
    idle: float = 15.0


class _Now(Enum):
    """What is waited for."""

    REQUEST = "the next request"
    HEAD = "the rest of a head"
    BODY = "the rest of a body"
    ANSWER = "the application"
    END = "the caller to read a refusal, or a closed connection to be gone"


class LimitedProtocol(HttpToolsProtocol):
    """One connection. Its times are looked at by `check_time`, which the server calls for all of them."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        patience: Patience,
        headers: Sequence[Header],
        lost: Callable[[], None],
    ) -> None:
        """headers: go on every refusal from here. lost: called once, when the connection has ended."""
        super().__init__(config, server_state, app_state)
        self._patience = patience
        self._always = headers
        self._lost = lost
        self._now = _Now.HEAD
        self._due = self._write_due = math.inf
        self._deaf = False  # what still comes in is thrown away
        self._status = 0  # of a refusal that is under way through the parser
        self._fed = self._size = self._hosts = self._body = 0  # of this request: bytes, but for the hosts
        self._has_body = self._chunked = False
        self._wait_for(_Now.HEAD, patience.head)

    # ------------------------------------------------------------ the connection

    def connection_lost(self, exc: Exception | None) -> None:
        """It has ended, whoever ended it."""
        super().connection_lost(exc)
        self._lost()

    def data_received(self, data: bytes) -> None:
        """Parse what has come, unless nothing more is heard."""
        if self._deaf:
            return
        if self._now is _Now.REQUEST:
            self._begin_head()
        self._fed += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._hear_no_more()  # no other protocol is spoken here: this request is answered, then it ends
        except httptools.HttpParserError:
            self._refuse(self._status or 400)
        else:
            if self._now is _Now.HEAD and self._fed > HEAD_BYTES:
                self._refuse(431)
            elif self._now is _Now.BODY and self._fed > FRAMING_BYTES + 2 * self._body:
                self._refuse(400)  # what surrounds the pieces of a body may not be more than they are

    def pause_writing(self) -> None:
        """The caller reads too slowly."""
        super().pause_writing()
        self._write_due = self.loop.time() + self._patience.answer

    def resume_writing(self) -> None:
        """The caller has read on."""
        super().resume_writing()
        self._write_due = math.inf

    def check_time(self, now: float) -> None:
        """End what has taken too long. now: the loop's time."""
        if self.transport.is_closing():
            if self._now is not _Now.END or self._due == math.inf:
                self._now, self._due = _Now.END, now + self._patience.answer
            elif now >= self._due:
                self._abort()  # a close waits for what was written to be read
            return
        if now >= self._write_due:
            log.info("a caller did not read its answer in time")
            self._abort()
        elif now < self._due:
            return
        elif self._now is _Now.BODY or (self._now is _Now.HEAD and self._fed):
            self._refuse(408)
        else:
            self._end()

    # ------------------------------------------------------------ what the parser tells

    def on_message_begin(self) -> None:
        """A request begins. One that does not wait for the answer before it (pipelining) is not heard."""
        if self.cycle is not None and not self.cycle.response_complete:
            self._hear_no_more()
            self.flow.pause_reading()
            return
        if self._now is _Now.REQUEST:
            self._begin_head()
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """A piece of the address."""
        if self._deaf:
            return
        super().on_url(url)
        if len(self.url) > TARGET_BYTES:
            self._stop(414)

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header; one behind the body (a trailer) is dropped, or it could overrule one that was checked."""
        if self._now is not _Now.HEAD:
            return
        self._size += len(name) + len(value)
        if self._size > HEAD_BYTES or len(self.headers) >= MOST_HEADERS:
            self._stop(431)
        super().on_header(name, value)
        name = self.headers[-1][0]
        if name == b"host":
            self._hosts += 1
        elif name == b"transfer-encoding":
            self._has_body = self._chunked = True
            if value.lower() != b"chunked":
                self._stop(501)
        elif name == b"content-length":
            self._has_body = value != b"0"
        elif name == b"expect" and not self.expect_100_continue:
            self._stop(417)

    def on_headers_complete(self) -> None:
        """The head is there: start on the request, or say why not."""
        if self._deaf:
            return
        version = self.parser.get_http_version()
        if version not in ("1.0", "1.1"):
            self._stop(505)
        if self._hosts != 1 and (version == "1.1" or self._hosts):
            self._stop(400)  # RFC 9112, 3.2
        if self._chunked and version == "1.0":
            self._stop(400)  # RFC 9112, 6.1
        if self._has_body and self.parser.should_upgrade():
            self._stop(400)  # the parser would not read the body, but take it for the next request
        if max(len(self.connections), len(self.tasks)) >= MOST_CONNECTIONS:
            self._stop(503)
        super().on_headers_complete()
        self._wait_for(_Now.BODY, self._patience.body)
        self._fed = 0
        if self.expect_100_continue:
            self.cycle.keep_alive = False  # refused, nobody could tell whether the body still comes

    def on_body(self, body: bytes) -> None:
        """A piece of the body."""
        if not self._deaf:
            self._body += len(body)
            super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is whole."""
        if self._deaf:
            return
        super().on_message_complete()
        if self.cycle.response_complete:
            self._wait_for(_Now.REQUEST, self._patience.idle)
        else:
            self._wait_for(_Now.ANSWER, math.inf)

    def on_response_complete(self) -> None:
        """The answer is written. Where it came before the whole body did, that is not read for long."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        if self._deaf:
            self._end()
            return
        self.flow.resume_reading()
        if self._now is _Now.BODY:
            self._due = min(self._due, self.loop.time() + LINGER_SECONDS)
        else:
            self._wait_for(_Now.REQUEST, self._patience.idle)

    # ------------------------------------------------------------ ends

    def _begin_head(self) -> None:
        self._fed = self._size = self._hosts = self._body = 0
        self._has_body = self._chunked = False
        self._wait_for(_Now.HEAD, self._patience.head)

    def _wait_for(self, what: _Now, seconds: float) -> None:
        self._now, self._due = what, self.loop.time() + seconds

    def _hear_no_more(self) -> None:
        self._deaf = True
        if self.cycle is not None:
            self.cycle.keep_alive = False

    def _end(self) -> None:
        self._deaf = True
        self._wait_for(_Now.END, self._patience.answer)
        self.transport.close()

    def _abort(self) -> None:
        # With a reset, or the kernel would go on offering what was written.
        reset = struct.pack("ii", 1, 0)
        self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
        self.transport.abort()

    def _stop(self, status: int) -> None:
        """Out of the parser's callbacks there is only one way: an exception, which ends the parsing."""
        self._status = status
        raise httptools.HttpParserCallbackError

    def _refuse(self, status: int) -> None:
        """Answer from here and close; an answer that is under way goes out first, instead of this one."""
        under_way = self.cycle is not None and not self.cycle.response_complete
        self._hear_no_more()
        if self._now is _Now.ANSWER and under_way:
            return
        if self._now is _Now.BODY:
            if self.cycle.response_started:
                self._end()
                return
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        request_id = str(uuid4())
        log.info("- refused before it was read: %d %s", status, request_id)
        self.transport.write(
            b"".join(
                [
                    _head_and_body(status)[0],
                    *(b"%b: %b\r\n" % header for header in self.server_state.default_headers),
                    *(b"%b: %b\r\n" % header for header in self._always),
                    b"x-request-id: %b\r\n\r\n" % request_id.encode(),
                    _head_and_body(status)[1],
                ]
            )
        )
        # A close at once would be a reset while the caller still sends, and take the answer with it.
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.flow.resume_reading()
        self._wait_for(_Now.END, LINGER_SECONDS)


@cache
def _head_and_body(status: int) -> tuple[bytes, bytes]:
    code, text = _WHY[status]
    body = fhir_json.encode(Refused(status, [Issue("error", code, text)]).outcome())
    headers = {
        b"content-type": FHIR_JSON.encode(),
        b"content-length": str(len(body)).encode(),
        b"connection": b"close",
        NO_STORE[0]: NO_STORE[1],
        b"x-waymeet-erring": b"this node" if status == 503 else b"caller",
    } | ({b"retry-after": b"5"} if status == 503 else {})
    return STATUS_LINE[status] + b"".join(b"%b: %b\r\n" % header for header in headers.items()), body
