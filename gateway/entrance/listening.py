"""Where connections come in: the socket, how many of one caller, TLS; and the server behind it.

Connections are accepted here and not by the event loop's own server, because that counts nobody: a caller
who only opens connections, or begins TLS and goes no further, would never be seen.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import socket
import ssl
from collections import Counter
from collections.abc import Iterator, Sequence
from ipaddress import IPv6Address, ip_network
from typing import Any, Final, cast

import uvicorn
from uvicorn.server import ServerState

from gateway.entrance.certificate import Certificate
from gateway.entrance.http_limits import MOST_CONNECTIONS, LimitedProtocol, Patience
from gateway.entrance.proxies import Networks, parsed, within
from gateway.entrance.safe_headers import Header

log = logging.getLogger("waymeet.listening")

# Of one caller's address; what a stated proxy brings is not one caller's.
MOST_OF_ONE: Final = MOST_CONNECTIONS // 4
# Above MOST_CONNECTIONS requests are still answered, with 503; above this, nobody is.
MOST_ACCEPTED: Final = MOST_CONNECTIONS + 64
BACKLOG: Final = 1024
STOP_SECONDS: Final = 5
_AT_ONCE: Final = 64
_REST_SECONDS: Final = 0.5


def bind(host: str, port: int) -> socket.socket:
    """A listening socket. Raises OSError when the port is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
    except OSError as fault:
        bound.close()
        raise OSError(fault.errno, f"cannot listen there: {fault.strerror}", f"{host}:{port}") from None
    bound.listen(BACKLOG)
    bound.setblocking(False)
    return bound


class Listener:
    """Accepts the connections of one identity, at most so many in all and of one address.

    An IPv6 caller is its /64: whoever has one address there has all of them.
    """

    def __init__(
        self,
        bound: socket.socket,
        config: uvicorn.Config,
        state: ServerState,
        patience: Patience,
        headers: Sequence[Header],
        trusted: Networks,
        certificate: Certificate | None,
    ) -> None:
        self._bound = bound
        self._config = config
        self._state = state
        self._patience = patience
        self._headers = headers
        self._trusted = trusted
        self._certificate = certificate
        self._loop = asyncio.get_running_loop()
        self._open: dict[int, str] = {}
        self._of_one: Counter[str] = Counter()
        self._number = 0
        self._admitting: set[asyncio.Task[None]] = set()
        self._rest: asyncio.TimerHandle | None = None
        self._loop.add_reader(bound, self._accept)

    def close(self) -> None:
        """Accept nothing more."""
        if self._rest is not None:
            self._rest.cancel()
        self._loop.remove_reader(self._bound)

    async def wait_closed(self) -> None:
        """Return when nothing is being accepted any more."""
        for task in self._admitting:
            task.cancel()
        await asyncio.gather(*self._admitting, return_exceptions=True)

    def _accept(self) -> None:
        for _ in range(_AT_ONCE):
            try:
                connection, address = self._bound.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as fault:  # no descriptors or no memory left: what is open must end first
                log.error("no connection can be accepted: %s", errno.errorcode.get(fault.errno or 0, "?"))
                self._loop.remove_reader(self._bound)
                self._rest = self._loop.call_later(
                    _REST_SECONDS, self._loop.add_reader, self._bound, self._accept
                )
                return
            caller = self._caller(address[0])
            if len(self._open) >= MOST_ACCEPTED or (caller and self._of_one[caller] >= MOST_OF_ONE):
                connection.close()
                continue
            self._number += 1
            self._open[self._number] = caller
            self._of_one[caller] += 1
            task = self._loop.create_task(self._admit(connection, self._number))
            self._admitting.add(task)
            task.add_done_callback(self._admitting.discard)

    async def _admit(self, connection: socket.socket, number: int) -> None:
        def protocol() -> LimitedProtocol:
            return LimitedProtocol(
                self._config,
                self._state,
                {},
                self._patience,
                self._headers,
                lambda: self._leave(number),
            )

        times: dict[str, Any] = {}
        if self._certificate is not None:
            times = {
                "ssl": self._certificate.context,
                "ssl_handshake_timeout": self._patience.head,
                "ssl_shutdown_timeout": self._patience.answer,
            }
        try:
            connection.setblocking(False)
            await self._loop.connect_accepted_socket(protocol, connection, **times)
        except (OSError, ssl.SSLError, asyncio.CancelledError):  # not TLS, too slow, or gone
            connection.close()
            self._leave(number)

    def _leave(self, number: int) -> None:
        caller = self._open.pop(number, None)
        if caller is not None:
            self._of_one[caller] -= 1
            if not self._of_one[caller]:
                del self._of_one[caller]

    def _caller(self, host: str) -> str:
        """Whom a connection counts for; "" for a stated proxy."""
        address = parsed(host)
        if address is None or within(address, self._trusted):
            return ""
        if isinstance(address, IPv6Address):
            return str(ip_network((address, 64), strict=False))
        return str(address)


class Server(uvicorn.Server):
    """uvicorn behind a `Listener`, without its own signal handling: several run here, one handler stops all.

    Every half second it ends what has taken too long, and every second it looks for a new certificate.
    """

    def __init__(
        self,
        app: Any,
        *,
        patience: Patience,
        headers: Sequence[Header],
        trusted: Networks = (),
        certificate: Certificate | None = None,
    ) -> None:
        """app: ASGI. headers: those of every refusal that `app` does not get to see."""
        super().__init__(
            uvicorn.Config(
                app,
                http=LimitedProtocol,
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_graceful_shutdown=STOP_SECONDS,
            )
        )
        self._patience = patience
        self._headers = headers
        self._trusted = trusted
        self._certificate = certificate

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the process's signals alone."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept connections. sockets: see `bind`; they are closed at the end."""
        await self.lifespan.startup()
        listeners = [
            Listener(
                bound,
                self.config,
                self.server_state,
                self._patience,
                self._headers,
                self._trusted,
                self._certificate,
            )
            for bound in sockets or ()
        ]
        self.servers = cast(list[asyncio.base_events.Server], listeners)  # only closed and waited for
        self.started = True

    async def on_tick(self, counter: int) -> bool:
        """What is done ten times a second."""
        if counter % 5 == 0:
            now = asyncio.get_running_loop().time()
            for connection in list(self.server_state.connections):
                cast(LimitedProtocol, connection).check_time(now)
        if counter % 10 == 0 and self._certificate is not None:
            self._certificate.refresh()
        return await super().on_tick(counter)
