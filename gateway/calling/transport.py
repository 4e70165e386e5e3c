"""What a call can come to, and the parts of a transport that bound it: bytes, time, TLS."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from pathlib import Path
from typing import Final

import httpx2

MOST_BYTES: Final = "waymeet.most_bytes"
"""Request extension: how many bytes the answer to this one request may have, if not the usual number."""
_LONGEST_WAIT_SECONDS: Final = 86_400.0

for _talkative in ("httpx2", "httpcore2"):  # they would log whole addresses, and headers
    logging.getLogger(_talkative).setLevel(logging.WARNING)


class PeerError(Exception):
    """A call that brought no answer; the message names neither address nor content."""


class PeerUnavailable(PeerError):  # noqa: N818 - it says what the other side did
    """The other side could not be reached, was too slow or has no capacity: try again later.

    retry_after: seconds it asked to be left alone, where it did.
    """

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class PeerRefused(PeerError):  # noqa: N818 - it says what the other side did
    """The other side gives this node no usable token: trying again does not help by itself."""


class PeerForbidden(PeerRefused):
    """This node may not connect there; nothing was sent. Somebody has to change an address or `networks`."""


class PeerFault(PeerError):  # noqa: N818 - it says what the other side did
    """The other side answered what must not be answered, such as a body that is too large."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer of any status, redirects included: they are answers here and never followed.

    headers: by lower-case name.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def retry_after(self) -> float | None:
        """Seconds that `Retry-After` asks to wait, where it stands and can be read."""
        return retry_after(self.headers.get("retry-after"))


def retry_after(value: str | None) -> float | None:
    """Seconds of a `Retry-After` header (RFC 9110 section 10.2.3: seconds or a date), at most a day."""
    if value is None:
        return None
    try:
        if value.strip().isdecimal():
            seconds = float(value)
        else:
            seconds = (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds()
    except (ValueError, TypeError, OverflowError):
        return None
    return min(max(seconds, 0.0), _LONGEST_WAIT_SECONDS)


def checked_url(url: str) -> httpx2.URL:
    """An absolute http or https URL that says nothing but where. Raises `PeerForbidden`.

    A name and password in it would be sent as they stand, and a fragment is never sent: whoever writes one
    of them expects what does not happen.
    """
    try:
        found = httpx2.URL(url)
    except (httpx2.InvalidURL, ValueError, TypeError):
        raise PeerForbidden("an address that is no URL is not called") from None
    if found.scheme not in ("http", "https") or not found.raw_host:
        raise PeerForbidden("only absolute http and https addresses are called")
    if found.userinfo or found.fragment or "#" in url:
        raise PeerForbidden("an address with a user name or a fragment is not called")
    if "\\" in url or any(character.isspace() for character in url):
        raise PeerForbidden("an address with blanks or backslashes is not called")
    return found


@lru_cache(maxsize=8)
def tls(ca_file: Path | None = None) -> ssl.SSLContext:
    """The one TLS context of this process: 1.2 or newer, certificates and names verified.

    Trusted are the system's authorities and those in `ca_file` (PEM). Raises OSError where it cannot be
    read. Nothing from the environment changes it.
    """
    context = httpx2.create_ssl_context(trust_env=False)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if ca_file is not None:
        context.load_verify_locations(cafile=ca_file)
    return context


@asynccontextmanager
async def bounded_in_time(seconds: float) -> AsyncIterator[None]:
    """One exchange, from connecting to the last byte, with its failures in our words.

    Raises `PeerUnavailable`; what else is raised within passes. (httpx2's exceptions are not httpx's.)
    """
    try:
        async with asyncio.timeout(seconds):
            yield
    except (TimeoutError, httpx2.TimeoutException):
        raise PeerUnavailable("the other side did not answer in time") from None
    except httpx2.TransportError as error:
        raise PeerUnavailable(f"the other side could not be reached: {type(error).__name__}") from None


class Bounded(httpx2.AsyncBaseTransport):
    """A transport that refuses answers larger than `most` bytes, token answers included.

    Compressed ones are refused too, as nobody asked for them and their size says nothing.
    """

    def __init__(self, inner: httpx2.AsyncBaseTransport, most: int) -> None:
        self._inner = inner
        self._most = most

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        response = await self._inner.handle_async_request(request)
        if response.headers.get("Content-Encoding", "identity").lower() != "identity":
            await response.aclose()
            raise PeerFault("the other side sent a compressed body that was not asked for")
        assert isinstance(response.stream, httpx2.AsyncByteStream)
        response.stream = _BoundedStream(response.stream, request.extensions.get(MOST_BYTES, self._most))
        return response

    async def aclose(self) -> None:
        await self._inner.aclose()


class _BoundedStream(httpx2.AsyncByteStream):
    def __init__(self, inner: httpx2.AsyncByteStream, most: int) -> None:
        self._inner = inner
        self._most = most

    async def __aiter__(self) -> AsyncIterator[bytes]:
        read = 0
        async for chunk in self._inner:
            read += len(chunk)
            if read > self._most:
                raise PeerFault(f"the other side sent a body of more than {self._most} bytes")
            yield chunk

    async def aclose(self) -> None:
        await self._inner.aclose()
