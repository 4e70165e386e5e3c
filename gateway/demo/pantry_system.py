"""What stands for the pantry's own case system: a small webhook that keeps the JSON it is sent."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

MOST_BYTES = 1024 * 1024


class PantrySystem:
    """Records by `Idempotency-Key`, in the order they came; the same key twice is one record."""

    def __init__(self, port: int = 0) -> None:
        self.deliveries = 0
        self._records: dict[str, dict[str, Any]] = {}
        self._changed = threading.Condition()
        self._server = ThreadingHTTPServer(("127.0.0.1", port), self._handler())
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def address(self) -> str:
        """Where it takes records."""
        return f"http://127.0.0.1:{self._server.server_port}/cases"

    def records(self, kind: str) -> list[dict[str, Any]]:
        """Every record of a type: `offer`, `case` or `notice`."""
        with self._changed:
            return [record for record in self._records.values() if record["type"] == kind]

    def wait_for(
        self, kind: str, fits: Callable[[dict[str, Any]], bool], seconds: float = 15.0
    ) -> dict[str, Any]:
        """The first record of a type that fits, as soon as it is there. Raises TimeoutError."""

        def look() -> dict[str, Any] | None:
            return next((one for one in self._records.values() if one["type"] == kind and fits(one)), None)

        with self._changed:
            if not self._changed.wait_for(lambda: look() is not None, seconds):
                raise TimeoutError(f"the pantry's own system got no such {kind} in {seconds:.0f} s")
            record = look()
            assert record is not None
            return record

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()

    def _keep(self, key: str, record: dict[str, Any]) -> None:
        with self._changed:
            self.deliveries += 1
            self._records.setdefault(key, record)
            self._changed.notify_all()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        keep = self._keep

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = min(int(self.headers.get("Content-Length", "0")), MOST_BYTES)
                keep(self.headers.get("Idempotency-Key", ""), json.loads(self.rfile.read(length)))
                self.send_response(204)
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
                """Keep quiet: a path could hold data."""

        return Handler
