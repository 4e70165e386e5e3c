"""The tutorial "Map your first export" as a newcomer follows it: each command, each edit, what comes out."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from gateway.demo.agencies import free_ports

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/tutorial/map-your-first-export.md"

_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass
class Follower:
    """Somebody at a terminal, in a home of their own. `said`: what the last commands printed."""

    home: Path
    port: int
    folder: Path = field(init=False)
    said: str = ""
    nodes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.folder = self.home
        commands = self.home / "bin"
        commands.mkdir()
        (commands / "waymeet").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m gateway.cli.main "$@"\n')
        (commands / "waymeet").chmod(0o755)
        self.environment = {
            "HOME": str(self.home),
            "PATH": f"{commands}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "COLUMNS": "80",
            "TERM": "dumb",
        }

    def run(self, commands: str) -> None:
        """The commands of one block, with other ports than those that the page names."""
        if commands.startswith("waymeet serve"):
            self._serve(commands)
            return
        commands = re.sub(r"^(waymeet init .*)$", rf"\1 --port {self.port}", commands, flags=re.MULTILINE)
        done = subprocess.run(
            ["bash", "-e", "-c", f"{commands}\npwd > '{self.home}/folder'"],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
            check=False,
        )
        self.said = done.stdout
        told = (self.home / "folder").read_text().strip() if (self.home / "folder").exists() else ""
        self.folder = Path(told) if told else self.folder

    def edit(self, change: str) -> None:
        """Lines out, lines in: each run of them in one place of the file that the first line names."""
        name, *lines = change.splitlines()
        path = self.folder / name
        text = path.read_text(encoding="utf-8")
        while lines:
            count = next((n for n, line in enumerate(lines) if not line.startswith("-")), len(lines))
            out, lines = lines[:count], lines[count:]
            count = next((n for n, line in enumerate(lines) if not line.startswith("+")), len(lines))
            put, lines = lines[:count], lines[count:]
            before = "".join(f"{line[1:]}\n" for line in out)
            assert text.count(before) == 1, f"{name} does not have these lines once: {before}"
            text = text.replace(before, "".join(f"{line[1:]}\n" for line in put))
        path.write_text(text, encoding="utf-8")

    def _serve(self, command: str) -> None:
        log = self.home / "serve.log"
        with log.open("wb") as file:
            node = subprocess.Popen(
                ["bash", "-c", f"exec {command}"], cwd=self.folder, env=self.environment, stderr=file
            )
        self.nodes.append(node)
        for _ in range(300):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port)):
                return
            time.sleep(0.1)
        raise AssertionError(log.read_text())


@pytest.fixture
def follower(tmp_path: Path) -> Iterator[Follower]:
    one = Follower(tmp_path, free_ports(1)[0])
    yield one
    for node in one.nodes:
        node.terminate()
        node.wait(10)


def _shown(text: str) -> list[str]:
    """What a page or a terminal shows, without ids and space at the end."""
    return [_ID.sub("ID", line).rstrip() for line in text.strip().splitlines()]


def _misses(page: str, said: str) -> str:
    """The first line of the page's output that the terminal did not show there; `…` stands for any lines."""
    rest = _shown(said)
    skipping = False
    for line in _shown(page):
        if line == "…":
            skipping = True
            continue
        if line not in rest or (not skipping and rest[0] != line):
            return line
        rest = rest[rest.index(line) + 1 :]
        skipping = False
    return ""


def test_the_tutorial_as_written(follower: Follower) -> None:
    followed = 0
    for language, content in _BLOCK.findall(PAGE.read_text(encoding="utf-8")):
        followed += 1
        if language == "sh":
            follower.run(content)
        elif language == "diff":
            follower.edit(content)
        elif language == "yaml":
            assert content in (follower.folder / "riverbend/mapping.yaml").read_text(encoding="utf-8")
        else:
            missing = _misses(content, follower.said)
            assert not missing, f"not shown: {missing}\n\n{follower.said}"
    assert followed > 30


def test_output_that_differs_from_the_page_is_found() -> None:
    said = "one\ntwo\nthree 2a53d32b-f37c-4953-8c97-84ba3b5d15a4\n"
    assert _misses("one\n…\nthree b18c27b6-4f71-497d-afb6-9fa57dd679ec", said) == ""
    assert _misses("two", said) == "two" and _misses("one\nthree", said) == "three"
