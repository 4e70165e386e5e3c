"""What schemathesis looks at in every answer besides its own checks. Loaded by its command line."""

from __future__ import annotations

import schemathesis

WANTED = {"x-content-type-options": "nosniff", "referrer-policy": "no-referrer"}


@schemathesis.check
def safe_headers(_context: object, response: object, _case: object) -> None:
    """The headers that every answer carries, and nothing that says what software it is."""
    headers = {name.lower(): values for name, values in response.headers.items()}  # type: ignore[attr-defined]
    for name, value in WANTED.items():
        assert headers.get(name) == [value], name
    assert "cache-control" in headers and "x-request-id" in headers
    assert "server" not in headers and "x-powered-by" not in headers
