"""What two runs of the same world may differ in, made alike, and nothing else: random ids, tags and tokens.

The clock of a world stands still between two requests, so times are compared as they are. Ids and tags are
numbered as they first appear: that one comes again, and where, is compared too. What was made alike is kept,
since it must be fresh: an id that two worlds share was not random.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

_JWT = re.compile(r"eyJ[\w-]+\.eyJ[\w-]+\.[\w-]+")
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-([0-9a-f])[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_TAG = re.compile(r'W/"([0-9a-f]{20})"')


class Alike:
    """The eyes of one world. own: exact texts that say which agency it is, and what stands for each."""

    def __init__(self, own: Mapping[str, str]) -> None:
        self._own = dict(sorted(own.items(), key=lambda one: -len(one[0])))
        self._numbered: dict[str, str] = {}
        self.random: set[str] = set()

    def message(self, first_line: str, headers: Iterable[tuple[bytes, bytes]], body: bytes) -> str:
        """One request or answer as text. Its length is that of what is left when all is made alike."""
        content = self.text(body.decode("utf-8"))
        lines = [self.text(first_line)]
        for name, value in headers:
            shown = self.text(value.decode("latin-1"))
            if name.lower() == b"content-length":
                assert int(value) == len(body), "a length that is not the body's"
                shown = str(len(content.encode()))
            lines.append(f"{name.decode('latin-1').lower()}: {shown}")
        return "\n".join([*lines, "", content])

    def begin_again(self) -> None:
        """Number from one again."""
        self._numbered.clear()

    def text(self, text: str) -> str:
        """`text` with this run's own random values and this agency's own names taken out."""
        text = _JWT.sub(lambda found: self._token(found[0]), text)
        text = _UUID.sub(lambda found: self._number(found[0], f"id, version {found[1]},"), text)
        text = _TAG.sub(lambda found: f'W/"{self._number(found[1], "tag")}"', text)
        for name, instead in self._own.items():
            text = text.replace(name, instead)
        return text

    def _number(self, value: str, kind: str) -> str:
        self.random.add(value)
        return self._numbered.setdefault(value, f"<{kind} {len(self._numbered) + 1}>")

    def _token(self, token: str) -> str:
        header, claims, signature = token.split(".")
        said: dict[str, Any] = json.loads(base64.urlsafe_b64decode(claims + "==="))
        head: dict[str, Any] = json.loads(base64.urlsafe_b64decode(header + "==="))
        self.random.add(said["jti"])
        said["jti"] = f"<{len(said['jti'])} characters>"
        if head["typ"] == "JWT":  # the client's own assertion, by the clock of the machine
            said["exp"], said["iat"] = f"<{said['exp'] - said['iat']} seconds later>", "<now>"
        return f"<token: {json.dumps([head, said])}, signature of {len(signature)}>"
