"""What the directory commands say of a directory and of a suspension list."""

from __future__ import annotations

from datetime import datetime

from gateway.cli.said import tell
from gateway.trust.directory import Directory
from gateway.trust.suspensions import Suspensions


def tell_directory(what: str, found: Directory) -> None:
    """Three lines of a directory."""
    who = f"{len(found)} participant{'' if len(found) == 1 else 's'}"
    parts = f"{len(found.shards)} shard{'' if len(found.shards) == 1 else 's'}"
    tell(f"{what}: number {found.sequence} of {found.issuer}, {who} in {parts}.")
    tell(f"  signed {time(found.issued)}, in force until {time(found.expires)}")
    tell(f"  digest {found.digest}")


def tell_list(found: Suspensions) -> None:
    """A suspension list, one line for each who is on it."""
    tell(f"Suspension list: number {found.sequence}, in force until {time(found.expires)}.")
    for one in sorted(found.organizations) or ["nobody is suspended"]:
        tell(f"  {one}")


def time(moment: datetime) -> str:
    """A moment as people read it."""
    return moment.strftime("%Y-%m-%d %H:%M UTC")
