"""The two pages that a newcomer follows, followed word by word: every command run, what is shown compared.

Ids, keys, times and ports differ each time; where a page shows `…`, something was left out.
"""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from happenings import eventually

from gateway.demo.processes import NodeProcess

pytestmark = pytest.mark.slow

DOCS = Path(__file__).parents[2] / "docs"
TUTORIAL = DOCS / "tutorial" / "first-referral.md"
CONNECT = DOCS / "how-to" / "connect-two-agencies.md"
AGREEMENT = DOCS / "how-to" / "make-an-agreement.md"
PARTNER_AFTER = 9  # how far the practice partner's port is from the node's

_FENCE = re.compile(r"```(\w*)\n(.*?)```", re.DOTALL)
_COMMAND = re.compile(r"for .*?\ndone|(?:[^\n]*\\\n)*[^\n]+", re.DOTALL)
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_NEVER_THE_SAME = [
    (re.compile(r"\b[0-9a-f]{64}\b"), "<digest>"),
    (re.compile(r"(?<![\w-])[\w-]{43}(?![\w-])"), "<key>"),
    (re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?(\.\d+)?Z?"), "<time>"),
    (re.compile(r"\d{14}\+0000"), "<time>"),
    (re.compile(r"\d{4}-\d\d-\d\d"), "<day>"),
    (re.compile(r"\s+"), " "),
]


class Walk:
    """Somebody in an empty folder who has the page: its ids and ports beside the real ones."""

    def __init__(self, folder: Path, ports: dict[str, str]) -> None:
        self.folder = folder
        self._ports = ports
        self._ids: dict[str, str] = {}
        self._last = ""
        self._nodes: list[NodeProcess] = []
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        self._environment = os.environ | {"PATH": path, "COLUMNS": "110"}

    def real(self, text: str) -> str:
        """A text of the page with the ids and ports of this walk."""
        for port, mine in self._ports.items():
            text = text.replace(port, mine)
        return _UUID.sub(lambda found: self._ids.get(found[0], self._last), text)

    def run(self, block: str, may_fail: str = "") -> str:
        """What the commands of a block say, one after the other. A file that is shown is waited for."""
        said = ""
        for command in _COMMAND.findall(self.real(block)):
            if command.startswith("cat ") and "*" in command:
                eventually(lambda command=command: list(self.folder.glob(command[4:])), command)
            done = subprocess.run(
                ["bash", "-c", command],
                cwd=self.folder,
                env=self._environment,
                capture_output=True,
                text=True,
            )
            assert done.returncode == 0 or (may_fail and may_fail in command), (command, done.stderr)
            said += done.stdout + done.stderr
            if referrals := re.findall(rf"^Referral ({_UUID.pattern}): offered", said, re.MULTILINE):
                self._last = referrals[-1]
        return said

    def serve(self, block: str) -> None:
        """Start the nodes of a block, each as if in a terminal of its own."""
        for command in block.splitlines():
            config = self.folder / command.split()[-1]
            self._nodes.append(NodeProcess(config, self.folder / f"{len(self._nodes)}.log"))
            found = re.search(r"listen: (\S+)", config.read_text("utf-8"))
            assert found
            self._nodes[-1].start(f"http://{found[1]}")

    def stop(self) -> None:
        for node in self._nodes:
            node.stop()

    def compare(self, shown: str, said: str) -> None:
        """Everything that the page shows was said, in this order; each of its ids stands for a real one."""
        for of_page, mine in zip(_ids(shown), _ids(said), strict=False):
            self._ids.setdefault(of_page, mine)
        rest = _alike(said)
        for piece in self.real(shown).split("…"):
            if not (wanted := _alike(piece)):
                continue
            assert wanted in rest, f"the page shows: {wanted}\n\nand was not told: {rest}"
            rest = rest.partition(wanted)[2]

    def write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(self.real(text), "utf-8")

    def change(self, name: str, pattern: str, new: str) -> None:
        file = self.folder / name
        text, times = re.subn(pattern, new.strip("\n"), file.read_text("utf-8"), flags=re.MULTILINE)
        assert times == 1, (name, pattern)
        file.write_text(text, "utf-8")


def _ids(text: str) -> list[str]:
    return list(dict.fromkeys(_UUID.findall(text)))


def _alike(text: str) -> str:
    for pattern, word in _NEVER_THE_SAME:
        text = pattern.sub(word, text)
    return text.strip()


def _blocks(page: Path) -> list[tuple[str, str]]:
    return [(language, text) for language, text in _FENCE.findall(page.read_text("utf-8"))]


def _free_pair() -> int:
    """A port that is free, as is the practice partner's."""
    for port in range(20000, 30000, 10):
        with socket.socket() as one, socket.socket() as other:
            try:
                one.bind(("127.0.0.1", port))
                other.bind(("127.0.0.1", port + PARTNER_AFTER))
            except OSError:
                continue
            return port
    raise AssertionError("no port is free")


@pytest.fixture
def walk(tmp_path: Path) -> Iterator[Walk]:
    port = _free_pair()
    walk = Walk(tmp_path, {"8460": str(port), "8480": str(port), "8470": str(port + PARTNER_AFTER)})
    yield walk
    walk.stop()


def test_the_first_referral(walk: Walk) -> None:
    said = ""
    for language, text in _blocks(TUTORIAL):
        if text.startswith(("make demo", "mkdir")):
            continue
        if text.startswith("waymeet serve"):
            walk.serve(text)
        elif language == "sh":
            said = walk.run(text.replace("init my-node", "init my-node --port 8460"))
        elif '"status": "accepted"' in text:
            walk.write("accept.json", text)
        elif '"status": "completed"' in text:
            walk.write("done.json", text)
        elif '"patient"' in text:
            walk.compare(text, walk.run("cat my-node/sample/release.json"))
        elif '"id":"HFP-118"' in text:
            walk.compare(text, walk.run("cat my-node/answers/*"))
        elif text.startswith("Record 1 was not taken"):
            notice = _ids(said)[0]
            (walk.folder / "again.json").write_text(f'{{"referral": "{notice}", "status": "accepted"}}')
            sent = "waymeet send --config my-node/practice-partner/node.yaml again.json"
            walk.compare(text, walk.run(sent, may_fail="again.json"))
        else:
            walk.compare(text, said)


def test_two_agencies_are_connected(walk: Walk) -> None:
    """But for the address that the directory is fetched from, which here is nobody's."""
    said = ""
    [answers] = [text for language, text in _blocks(AGREEMENT) if language == "json" and '"request"' in text]
    walk.write("answers.json", answers)
    for language, text in _blocks(CONNECT):
        if "recipients:" in text:
            walk.change("elm/node.yaml", r"^    recipients:\n.*$", text)
        elif '"services"' in text:
            walk.change("harbor/directory-entry-harbor-food-pantry.json", r'^    "services": \[\],$', text)
        elif text.startswith("directory:\n"):
            for node in ("elm", "harbor"):
                without_url = re.sub(r"  url: .*\n", "", text)
                walk.change(f"{node}/node.yaml", r"^directory:\n  folder: .*\n  anchors: .*$", without_url)
        elif '"status": "declined"' in text:
            walk.compare(
                '"8344d416-c08d-4cae-a969-a70746fee290"', walk.run("cat harbor/answers/*-offer.json")
            )
            walk.write("decline.json", text)
        elif text.startswith("waymeet serve"):
            walk.serve(text)
        elif language == "sh":
            said = walk.run(text, may_fail="agreement verify")
        elif text.startswith("MSH|"):
            walk.compare(text, walk.run("cat elm/answers/*"))
        else:
            walk.compare(text, said)
