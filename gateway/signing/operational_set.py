"""The signed key set as it lies in the folder of one identity."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from gateway.signing.keys import KeysError
from gateway.signing.operational_jwks import MOST_BYTES, SKEW, opened

SIGNED_FILE: Final = "signed-jwks.jws"


@dataclass(frozen=True, slots=True)
class SignedSet:
    """The signed set as it lies in the folder. text: as it is served."""

    text: bytes
    signer: str
    issued: datetime
    expires: datetime
    kids: frozenset[str]

    def in_force(self, now: datetime) -> bool:
        """Whether its time is not over."""
        return now < self.expires

    def is_to_come(self, now: datetime) -> bool:
        """Whether partners refuse it as signed in the future: this clock was ahead and was put right."""
        return self.issued > now + SKEW


def signed_set(folder: Path, federation: Sequence[dict[str, Any]]) -> SignedSet | None:
    """The signed set in `folder`, if one of these public keys signed it. Raises `OSError`."""
    try:
        with (folder / SIGNED_FILE).open("rb") as file:
            text = file.read(MOST_BYTES + 1)
        signer, said = opened(text, {"keys": list(federation)})
        issued, expires = (datetime.fromtimestamp(moment, UTC) for moment in (said.iat, said.exp))
        return SignedSet(text, signer, issued, expires, frozenset(str(key.get("kid")) for key in said.keys))
    except (FileNotFoundError, KeysError, OverflowError, ValueError):
        return None
