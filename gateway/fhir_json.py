"""JSON as FHIR wants it: decimals keep their digits (R4 json.html, "2.00" is not "2.0")."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

from gateway.errors import refuse

_decoder = msgspec.json.Decoder(float_hook=Decimal)
_encoder = msgspec.json.Encoder(decimal_format="number")
_canonical = msgspec.json.Encoder(decimal_format="number", order="deterministic")


def decode(body: bytes) -> Any:
    """The value in `body`. Raises msgspec.DecodeError, RecursionError or ValueError."""
    return _decoder.decode(body)


def encode(value: Any) -> bytes:
    """`value` as JSON, keys in their own order."""
    return _encoder.encode(value)


def canonical(value: Any) -> bytes:
    """`value` as JSON with sorted keys: equal values, equal bytes."""
    return _canonical.encode(value)


def resource(body: bytes, expected: str) -> dict[str, Any]:
    """The FHIR resource of type `expected` in a request body. Raises Refused (400) for anything else."""
    if not body.strip():
        raise refuse(400, "structure", f"The body is empty; a {expected} is expected.")
    try:
        found = decode(body.removeprefix(b"\xef\xbb\xbf"))
    except (msgspec.MsgspecError, ValueError, RecursionError) as fault:
        line = body[: _offset(fault, len(body))].count(b"\n") + 1
        raise refuse(
            400, "structure", "The body is not JSON in UTF-8, or it is cut off.", line=line
        ) from None
    if not isinstance(found, dict) or found.get("resourceType") != expected:
        raise refuse(400, "structure", f"A {expected} is expected.", expression=expected)
    return found


def _offset(fault: Exception, length: int) -> int:
    """Where the decoder stopped, from its message (`... (byte 12)`); the end when it names no byte."""
    digits = str(fault).rpartition("(byte ")[2].rstrip(")")
    return int(digits) if digits.isdigit() else length
