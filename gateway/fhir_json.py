"""JSON as FHIR wants it: decimals keep their digits (R4 json.html, "2.00" is not "2.0")."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

import msgspec

from gateway.errors import refuse
from profiles import strict_json

FHIR_JSON: Final = "application/fhir+json"

_decoder = msgspec.json.Decoder(float_hook=Decimal)
_encoder = msgspec.json.Encoder(decimal_format="number")
_canonical = msgspec.json.Encoder(decimal_format="number", order="deterministic")


def decode(body: bytes) -> Any:
    """The value in `body`, which this node wrote itself. Raises msgspec.DecodeError."""
    return _decoder.decode(body)


def encode(value: Any) -> bytes:
    """`value` as JSON, keys in their own order."""
    return _encoder.encode(value)


def canonical(value: Any) -> bytes:
    """`value` as JSON with sorted keys: equal values, equal bytes."""
    return _canonical.encode(value)


def received(body: bytes) -> Any:
    """The value in `body` that somebody else wrote: one meaning, or Refused (400) with the line."""
    try:
        return strict_json.read(body)
    except strict_json.JsonError as fault:
        raise refuse(400, "structure", f"The body {fault}.", line=fault.line) from None


def resource(body: bytes, expected: str) -> dict[str, Any]:
    """The FHIR resource of type `expected` in a request body. Raises Refused (400) for anything else."""
    if not body.strip():
        raise refuse(400, "structure", f"The body is empty; a {expected} is expected.")
    found = received(body)
    if not isinstance(found, dict) or found.get("resourceType") != expected:
        raise refuse(400, "structure", f"A {expected} is expected.", expression=expected)
    return found
