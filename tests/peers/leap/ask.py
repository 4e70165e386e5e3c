"""Asking an HTTP service on loopback many things at once, over kept-alive connections, and timing each."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Answered:
    """One answer: its status, its JSON, and how long it took in seconds."""

    status: int
    body: Any
    seconds: float


def ask_all(
    port: int,
    path: str,
    bodies: Sequence[bytes],
    at_once: int = 8,
    headers: Mapping[str, str] | None = None,
) -> list[Answered]:
    """POST every body to 127.0.0.1:`port``path`, `at_once` of them at a time; answers in the order asked."""
    return asyncio.run(_ask_all(port, path, bodies, at_once, headers or {}))


async def _ask_all(
    port: int, path: str, bodies: Sequence[bytes], at_once: int, headers: Mapping[str, str]
) -> list[Answered]:
    given = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    head = f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\ncontent-type: application/json\r\n{given}"
    found: dict[int, tuple[int, bytes, float]] = {}
    waiting = iter(enumerate(bodies))
    await asyncio.gather(*(_one_line(port, head, waiting, found) for _ in range(at_once)))
    return [
        Answered(status, json.loads(body) if body else None, seconds)
        for status, body, seconds in (found[number] for number in range(len(bodies)))
    ]


async def _one_line(
    port: int, head: str, waiting: Iterable[tuple[int, bytes]], found: dict[int, tuple[int, bytes, float]]
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**22)
    try:
        for number, body in waiting:
            begun = time.perf_counter()
            writer.write(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
            lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower().split("\r\n")
            length = next(int(line[15:]) for line in lines if line.startswith("content-length:"))
            answer = await reader.readexactly(length)
            found[number] = int(lines[0].split(" ")[1]), answer, time.perf_counter() - begun
    finally:
        writer.close()
