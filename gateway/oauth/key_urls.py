"""Where public keys may be fetched from: what a registered URL must look like."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from typing import Final
from urllib.parse import urlsplit

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

MAX_URL: Final = 2_048
_PRINTABLE: Final = re.compile(r"[!-~]+")


def fetchable(url: str, networks: Sequence[Network] = ()) -> bool:
    """Whether keys may be fetched from `url`: https, or http to this machine or an address in `networks`.

    Plain ASCII, no user, no fragment. Where a name leads is for the HTTP client to check when it connects.
    """
    if len(url) > MAX_URL or not _PRINTABLE.fullmatch(url):
        return False
    try:
        parts = urlsplit(url)
        host, _port = parts.hostname, parts.port
    except ValueError:
        return False
    if not host or parts.username is not None or parts.password is not None or "#" in url or "\\" in url:
        return False
    if parts.scheme == "https" or (parts.scheme == "http" and host == "localhost"):
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    near = address.is_loopback or any(address in network for network in networks)
    return parts.scheme == "http" and near
