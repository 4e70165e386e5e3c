"""Signing the next directory, laying it where nodes fetch it, and the suspension list in between."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches
from pathlib import Path

from joserfc.jwk import ECKey

from gateway.signing import keys
from gateway.trust import directory_files, suspensions
from gateway.trust.directory import Directory
from gateway.trust.directory_draft import Draft
from gateway.trust.directory_files import MANIFEST, SUSPENSIONS
from gateway.trust.directory_form import MAX_PREVIOUS, DirectoryError
from gateway.trust.directory_keys import ANCHOR, NEXT_ANCHOR, SUSPENDER, new_key, public_key
from gateway.trust.directory_signing import publish
from gateway.trust.suspensions import Suspensions


@dataclass(frozen=True, slots=True)
class Signed:
    """What came of signing. before: the directory before it, None for the first."""

    before: Directory | None
    directory: Directory


def sign_next(draft: Draft, now: datetime, anchor: Path | None = None, days: int | None = None) -> Signed:
    """Sign what the draft holds under the next number, into its own `signed` folder.

    anchor: the private key's file, where it is not the draft's own. A first suspension list, of nobody, is
    signed with it where the suspender's key is at hand. Raises DirectoryError, KeyFileError, OSError.
    """
    with draft.changing():
        key = keys.load(anchor or draft.key(ANCHOR))
        current = [draft.public(name) for name in (ANCHOR, NEXT_ANCHOR)]
        if key.thumbprint() not in {public_key(path).thumbprint() for path in current if path.exists()}:
            raise keys.KeyFileError(
                f"{anchor or draft.key(ANCHOR)}: is neither of the anchors that nodes pin"
            )
        before = draft.last(now)
        suspender = draft.public(SUSPENDER)
        directory = publish(
            draft.signed,
            draft.issuer,
            draft.entries(now, before),
            key,
            sequence=before.sequence + 1 if before else 1,
            now=now,
            days=days or draft.days,
            previous=(before.digest, *before.previous)[:MAX_PREVIOUS] if before else (),
            suspender=keys.public_jwk(public_key(suspender)) if suspender.exists() else None,
        )
        # An older list must not be signed anew here: the machine with the suspender's key may have a newer.
        if draft.key(SUSPENDER).exists() and not (draft.signed / SUSPENSIONS).exists():
            _sign_list(draft, (), 1, now, None)
        return Signed(before, directory)


def roll_anchor(draft: Draft) -> tuple[str, ECKey]:
    """The next anchor becomes the anchor, and a new next one is made.

    Returns what the old one is called now, and the new one. The private half of the next anchor may be
    elsewhere. Raises KeyFileError, OSError.
    """
    with draft.changing():
        public_key(draft.public(NEXT_ANCHOR))  # not before it is known that there is one
        retired = _retire(draft, ANCHOR)
        _rename(draft, NEXT_ANCHOR, ANCHOR)
        return retired, new_key(draft.folder / "keys", NEXT_ANCHOR)


def roll_suspender(draft: Draft, now: datetime) -> tuple[str, Suspensions]:
    """Another key signs suspensions from now on; the list of who is suspended is signed with it.

    Returns what the old one is called now, and the list. Nodes go by it once a directory names the new key.
    Raises DirectoryError, KeyFileError, OSError.
    """
    with draft.changing():
        held = last_list(draft, now)
        retired = _retire(draft, SUSPENDER)
        new_key(draft.folder / "keys", SUSPENDER)
        organizations = held.organizations if held else frozenset()
        return retired, _sign_list(draft, organizations, held.sequence + 1 if held else 1, now, None)


def _retire(draft: Draft, name: str) -> str:
    retired = f"{name}-retired-{public_key(draft.public(name)).thumbprint()}"
    _rename(draft, name, retired)
    return retired


def _rename(draft: Draft, name: str, other: str) -> None:
    if draft.key(name).exists():
        draft.key(name).rename(draft.key(other))
    draft.public(name).rename(draft.public(other))


def last_list(draft: Draft, now: datetime) -> Suspensions | None:
    """The suspension list that was signed last; None before the first. Raises DirectoryError."""
    path = draft.signed / SUSPENSIONS
    return (
        suspensions.read(path, public_key(draft.public(SUSPENDER)), draft.issuer, now)
        if path.exists()
        else None
    )


def change_list(
    draft: Draft,
    now: datetime,
    *,
    suspend: Collection[str] = (),
    restore: Collection[str] = (),
    hours: int | None = None,
) -> Suspensions:
    """Sign the suspension list anew with these organizations added and those taken off it.

    Raises DirectoryError for one that nobody knows, or that is restored without being suspended.
    """
    with draft.changing():
        held = last_list(draft, now)
        directory = draft.last(now)
        before = held.organizations if held else frozenset()
        for one in suspend:
            if one not in before and draft.held(one) is None and not (directory and directory.entry(one)):
                raise DirectoryError(f"{one}: takes no part in this directory{_meant(one, directory)}")
        for one in restore:
            if one not in before:
                raise DirectoryError(f"{one}: is not suspended")
        after = (before | set(suspend)) - set(restore)
        return _sign_list(draft, after, held.sequence + 1 if held else 1, now, hours)


def _meant(organization: str, directory: Directory | None) -> str:
    known = [entry.organization for entry in directory.entries] if directory else []
    close = get_close_matches(organization, known, n=1)
    return f"; did you mean {close[0]}?" if close else ""


def _sign_list(
    draft: Draft, organizations: Collection[str], sequence: int, now: datetime, hours: int | None
) -> Suspensions:
    text = suspensions.sign(
        draft.issuer,
        organizations,
        keys.load(draft.key(SUSPENDER)),
        sequence=sequence,
        now=now,
        hours=hours or draft.suspension_hours,
    )
    path = draft.signed / SUSPENSIONS
    directory_files.replace(path, text.encode("ascii"))
    return suspensions.read(path, public_key(draft.public(SUSPENDER)), draft.issuer, now)


def lay_out(source: Path, anchors: Sequence[ECKey], to: Path, now: datetime) -> Directory:
    """Copy the directory and the suspension list in `source` to a folder that nodes read or fetch from.

    Both are verified first. Shards that the new manifest does not name are left for those who have fetched
    the one before, and go the next time. Raises DirectoryError where `to` holds something newer; OSError.
    """
    found = Directory.read(source, anchors, now)
    before = _there(to, anchors, now)
    if before and before.sequence > found.sequence:
        raise DirectoryError(f"{to}: holds number {before.sequence} already, and this is {found.sequence}")
    if before and before.sequence == found.sequence and before.digest != found.digest:
        raise DirectoryError(f"{to}: holds another directory under the same number {found.sequence}")
    if before is None or before.digest != found.digest:
        manifest = (source / MANIFEST).read_text(encoding="ascii")
        directory_files.lay(to, manifest, found.texts(), keep=before.shards if before else ())
    lay_list(source, found, to, now)
    return found


def lay_list(source: Path, directory: Directory, to: Path, now: datetime) -> Suspensions | None:
    """Copy the suspension list alone; an older one never replaces a newer. Raises DirectoryError, OSError."""
    path = source / SUSPENSIONS
    if directory.suspender is None or not path.exists():
        return None
    suspender = ECKey.import_key(dict(directory.suspender))
    found = suspensions.read(path, suspender, directory.issuer, now)
    try:
        held = suspensions.read(to / SUSPENSIONS, suspender, directory.issuer, now)
    except DirectoryError:
        held = None
    if held is None or held.sequence < found.sequence:
        directory_files.replace(to / SUSPENSIONS, path.read_bytes())
    return found


def _there(to: Path, anchors: Sequence[ECKey], now: datetime) -> Directory | None:
    """What lies in the folder, if it is a directory of ours and whole; otherwise it is written over."""
    try:
        return Directory.read(to, anchors, now)
    except DirectoryError:
        return None
