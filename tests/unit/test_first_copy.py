"""A node that is started with nothing but an address of the directory and the anchor that it was given."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from unserved import agencies_in

from gateway import serve, settings
from gateway.calling.transport import PeerError
from gateway.demo.agencies import HOSPITAL, PANTRY, organization
from gateway.trust.directory import DirectoryError


class Silent(SimpleHTTPRequestHandler):
    def log_message(self, *_words: object) -> None:
        pass


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return agencies_in(tmp_path)[HOSPITAL].config


@pytest.fixture
def published(config: Path) -> Iterator[tuple[str, Path]]:
    """The directory on a web server, moved there from the node's folder."""
    folder = config.parent.parent / "published"
    (config.parent / "directory").rename(folder)
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Silent, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", folder
        server.shutdown()
        thread.join()


def with_url(config: Path, url: str) -> settings.Settings:
    text = config.read_text("utf-8").replace("  folder: directory\n", f"  folder: directory\n  url: {url}\n")
    config.write_text(text, "utf-8")
    return settings.read(config)


def test_the_directory_is_fetched_before_the_start(config: Path, published: tuple[str, Path]) -> None:
    node = serve.open_node(with_url(config, published[0]))
    try:
        assert node.peer(organization(PANTRY)) is not None
    finally:
        node.close()
    assert (config.parent / "directory" / "manifest.jws").is_file()


def test_what_no_anchor_signed_starts_no_node(config: Path, published: tuple[str, Path]) -> None:
    manifest = published[1] / "manifest.jws"
    manifest.write_bytes(manifest.read_bytes()[:-8] + b"AAAAAAAA")
    with pytest.raises(DirectoryError, match="does not verify"):
        serve.open_node(with_url(config, published[0]))


def test_without_copy_and_without_address_there_is_no_node(config: Path, published: tuple[str, Path]) -> None:
    with pytest.raises(DirectoryError):
        serve.open_node(settings.read(config))
    with pytest.raises(PeerError):
        serve.open_node(with_url(config, "http://127.0.0.1:9"))
