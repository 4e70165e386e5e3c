"""What a call can come to when there is no answer, and the transport that reads no more than it must."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx2


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


class PeerFault(PeerError):  # noqa: N818 - it says what the other side did
    """The other side answered what must not be answered, such as a body that is too large."""


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
        response.stream = _BoundedStream(response.stream, self._most)
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
