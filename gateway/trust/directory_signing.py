"""Signing a directory: the convening body's side of gateway/trust/directory.py."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import msgspec
from joserfc.jwk import ECKey

from gateway.trust import directory_files
from gateway.trust.directory import Directory, assembled
from gateway.trust.directory_form import (
    MANIFEST_TYPE,
    DirectoryError,
    Manifest,
    canonical,
    converted,
    decoded,
)
from gateway.trust.directory_jws import signed, unverified
from gateway.trust.directory_shards import Shard, laid_out

_manifest: Final = msgspec.json.Decoder(Manifest)


def publish(
    folder: Path,
    issuer: str,
    entries: Sequence[Mapping[str, Any]],
    anchor: ECKey,
    *,
    sequence: int,
    now: datetime,
    days: int = 7,
    previous: Sequence[str] = (),
    suspender: Mapping[str, Any] | None = None,
) -> Directory:
    """Sign the directory of these entries with the private `anchor` and lay it into `folder`.

    entries: statements as docs/reference/directory.md describes them. previous: the digests of the manifests
    before, newest first. suspender: the public key (JWK) that signs suspension lists. Everything that
    `Directory.read` would refuse is refused here with `DirectoryError`, and then nothing is written. Raises
    OSError where the folder cannot be written.
    """
    texts = laid_out(entries)
    shards = [Shard.read(text, number, len(texts), issuer) for number, text in enumerate(texts)]
    members: dict[str, Any] = {
        "iss": issuer,
        "iat": int(now.timestamp()),
        "exp": int((now + timedelta(days=days)).timestamp()),
        "sequence": sequence,
        "previous": list(previous),
        "shards": [shard.digest for shard in shards],
    }
    if suspender is not None:
        members["suspender"] = suspender
    manifest = converted(members, Manifest, "manifest")
    claims = canonical(manifest)
    found = assembled(manifest, hashlib.sha256(claims).hexdigest(), shards, now)
    text = signed(claims, MANIFEST_TYPE, anchor, "manifest")
    directory_files.lay(folder, text, {shard.digest: shard.text for shard in shards}, keep=_named_now(folder))
    return found


def _named_now(folder: Path) -> set[str]:
    """The shards of the manifest that lies in the folder: who has fetched it may still be fetching them."""
    try:
        text = (folder / directory_files.MANIFEST).read_bytes()
        manifest = decoded(unverified(text, MANIFEST_TYPE, "manifest"), _manifest, "manifest")
    except (OSError, DirectoryError):
        return set()
    return set(manifest.shards)
