"""A node's copy of the directory, fetched by the real client from a real server that is not always kind."""

from __future__ import annotations

import asyncio
import hashlib
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from directory_world import ANCHORS, CLINIC, PANTRY, SUSPENDER, jws_of, many, published
from joserfc.jwk import ECKey
from trust_world import GRACE, Body, Clock, counting, named

from gateway.calling.client import Answer, PeerClient
from gateway.calling.transport import PeerError, PeerFault, PeerUnavailable
from gateway.signing import keys
from gateway.signing.operational import KeyRing
from gateway.store.work import Store
from gateway.trust.directory_files import MANIFEST, SHARDS, SUSPENSIONS, shard_file
from gateway.trust.directory_form import MAX_SHARD_BYTES, MAX_SHARDS
from gateway.trust.mirror import Mirror
from gateway.trust.trusted import Trust

Reply = tuple[int, Mapping[str, str], bytes]


class Site:
    """A web server that shows a folder, with ETags. A test may say what it answers for a path instead."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.asked: list[tuple[str, int]] = []  # path and status, in the order of the answers
        self.instead: dict[str, Callable[[], Reply]] = {}
        self.etags = True
        self.at_once, self.most_at_once = 0, 0
        site, counting_them = self, threading.Lock()

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                with counting_them:
                    site.at_once += 1
                    site.most_at_once = max(site.most_at_once, site.at_once)
                status, headers, content = site.reply(self.path[1:], self.headers.get("If-None-Match"))
                with counting_them:
                    site.asked.append((self.path[1:], status))
                    site.at_once -= 1
                self.send_response(status)
                for name, value in {"Content-Length": str(len(content)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)
                self.close_connection = "Content-Length" in headers  # a length that is not true

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def reply(self, path: str, if_none_match: str | None) -> Reply:
        if path in self.instead:
            return self.instead[path]()
        file = self.folder / path
        if not file.is_file():
            return 404, {}, b"not here"
        content = file.read_bytes()
        etag = f'"{hashlib.sha256(content).hexdigest()[:16]}"'
        if if_none_match == etag:
            return 304, {"ETag": etag}, b""
        return 200, {"ETag": etag} if self.etags else {}, content

    def answers(self) -> list[tuple[str, int]]:
        """What was asked since this was called last."""
        found, self.asked = self.asked, []
        return found

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def body(tmp_path: Path, clock: Clock) -> Body:
    """A convening body that has published a directory and a list."""
    made = Body(tmp_path / "site", clock)
    made.publish()
    made.suspend()
    return made


@pytest.fixture
def site(body: Body) -> Iterator[Site]:
    made = Site(body.folder)
    yield made
    made.close()


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Where the node keeps its copy."""
    return tmp_path / "node" / "directory"


class Copying:
    """A mirror and its client, which a test tells to update."""

    def __init__(self, site: Site, folder: Path, **how: Any) -> None:
        self._site, self._folder, self._how = site, folder, how
        self._mirror = Mirror(self._fetch, site.url + "/", folder, **how)

    async def _fetch(self, url: str, headers: Mapping[str, str]) -> Answer:
        client = PeerClient(CLINIC, KeyRing.of(KEY))
        try:
            return await client.fetch(url, headers, configured=True, most_bytes=MAX_SHARD_BYTES)
        finally:
            await client.close()

    def update(self) -> bool:
        return asyncio.run(self._mirror.update())

    def restart(self) -> None:
        self._mirror = Mirror(self._fetch, self._site.url, self._folder, **self._how)


KEY = keys.generate()


def files(folder: Path) -> dict[str, bytes]:
    """Every file of a folder and what is in it."""
    return {str(one.relative_to(folder)): one.read_bytes() for one in folder.rglob("*") if one.is_file()}


def marks(folder: Path) -> dict[str, tuple[int, int]]:
    """What a write, even of the same content, would change."""
    found = {str(one): one.stat() for one in (folder, *folder.rglob("*"))}
    return {name: (status.st_ino, status.st_mtime_ns) for name, status in found.items()}


# --- a kind server -----------------------------------------------------------------------------------


def test_the_first_copy_is_the_whole_directory(site: Site, copy: Path) -> None:
    assert Copying(site, copy).update()
    assert files(copy) == files(site.folder)


def test_what_has_not_changed_is_asked_for_and_not_written(site: Site, copy: Path) -> None:
    copying = Copying(site, copy)
    copying.update()
    site.answers()
    before = marks(copy)
    assert not copying.update()
    assert site.answers() == [(SUSPENSIONS, 304), (MANIFEST, 304)]
    assert marks(copy) == before


@pytest.mark.parametrize("etags", [True, False])
def test_after_a_restart_what_is_here_is_recognised(etags: bool, site: Site, copy: Path) -> None:
    site.etags = etags
    copying = Copying(site, copy)
    copying.update()
    site.answers()
    before = marks(copy)
    copying.restart()
    assert not copying.update()
    assert site.answers() == [(SUSPENSIONS, 200), (MANIFEST, 200)]
    assert not copying.update()
    again = 304 if etags else 200
    assert site.answers() == [(SUSPENSIONS, again), (MANIFEST, again)]
    assert marks(copy) == before


def test_only_shards_that_changed_are_fetched_and_few_at_once(site: Site, copy: Path, tmp_path: Path) -> None:
    entries = many(3000)
    site.folder = tmp_path / "large"
    first = published(site.folder, entries)
    copying = Copying(site, copy)
    assert copying.update()
    assert len(site.answers()) == 2 + 16
    assert site.most_at_once <= 4
    entries[0]["name"] = "Another Name"
    second = published(site.folder, entries, sequence=13, previous=[first.digest])
    (changed,) = set(second.shards) - set(first.shards)
    assert copying.update()
    assert site.answers() == [(SUSPENSIONS, 404), (MANIFEST, 200), (shard_file(changed), 200)]
    assert (copy / MANIFEST).read_bytes() == (site.folder / MANIFEST).read_bytes()


def test_shards_of_the_directory_before_stay_and_older_ones_go(body: Body, site: Site, copy: Path) -> None:
    copying = Copying(site, copy)
    published_shards = []
    for _ in range(3):
        body.new_key(PANTRY, signed=False)
        published_shards.append(set(body.publish().shards))
        (copy / SHARDS).mkdir(parents=True, exist_ok=True)
        (copy / SHARDS / ".left-by-a-crash").touch()
        assert copying.update()
    assert {one.stem for one in (copy / SHARDS).iterdir()} == published_shards[1] | published_shards[2]


def test_a_damaged_shard_is_fetched_again(site: Site, copy: Path) -> None:
    copying = Copying(site, copy)
    copying.update()
    (damaged,) = (copy / SHARDS).iterdir()
    damaged.write_bytes(damaged.read_bytes()[:-1])
    copying.restart()
    assert copying.update()
    assert files(copy) == files(site.folder)


def test_a_file_that_is_gone_is_fetched_again(site: Site, copy: Path) -> None:
    copying = Copying(site, copy)
    copying.update()
    (copy / MANIFEST).unlink()
    assert copying.update()
    assert files(copy) == files(site.folder)


@pytest.mark.parametrize("etag", ["", "no quotes", '"' + "x" * 300 + '"', '"é"', '"a" "b"'])
def test_an_etag_that_is_none_is_not_repeated(etag: str, site: Site, copy: Path) -> None:
    content = (site.folder / MANIFEST).read_bytes()
    site.instead[MANIFEST] = lambda: (200, {"ETag": etag}, content)
    copying = Copying(site, copy)
    assert copying.update()
    del site.instead[MANIFEST]
    site.answers()
    assert not copying.update()
    assert (MANIFEST, 200) in site.answers()


# --- an unkind one -----------------------------------------------------------------------------------


def reply(status: int, content: bytes = b"", **headers: str) -> Callable[[], Reply]:
    return lambda: (status, {name.replace("_", "-"): value for name, value in headers.items()}, content)


UNKIND = {
    "breaks": reply(500),
    "is busy": reply(503, Retry_After="7"),
    "knows nothing of it": reply(410),
    "sends elsewhere": reply(302, Location="/elsewhere"),
    "says nothing": reply(200),
    "says it is as before, unasked": reply(304),
    "shows a page": reply(200, b"<html>Welcome to the hotel network</html>"),
    "sends JSON": reply(200, b'{"shards": []}'),
    "breaks off": reply(200, b"eyJhbGciOiJFUzM4NCJ9", Content_Length="20000"),
    "sends without end": reply(200, b"x" * (MAX_SHARD_BYTES + 1)),
    "sends compressed": reply(200, b"x", Content_Encoding="gzip"),
}


@pytest.mark.parametrize("unkind", UNKIND.values(), ids=UNKIND.keys())
@pytest.mark.parametrize("what", ["the manifest", "a shard"])
def test_a_server_that_answers_nonsense_changes_nothing(
    what: str, unkind: Callable[[], Reply], body: Body, site: Site, copy: Path
) -> None:
    Copying(site, copy).update()
    copying = Copying(site, copy)
    before = files(copy)
    body.new_key(PANTRY, signed=False)
    (shard,) = body.publish().shards
    path = MANIFEST if what == "the manifest" else shard_file(shard)
    site.instead[path] = unkind
    for _ in range(2):
        with pytest.raises(PeerError) as fault:
            copying.update()
        assert files(copy) == before
        assert site.url not in str(fault.value)
    assert "elsewhere" not in {asked for asked, _ in site.answers()}
    del site.instead[path]
    assert copying.update()
    assert (copy / MANIFEST).read_bytes() == (site.folder / MANIFEST).read_bytes()


def test_a_busy_server_says_for_how_long(site: Site, copy: Path) -> None:
    site.instead[MANIFEST] = UNKIND["is busy"]
    with pytest.raises(PeerUnavailable) as fault:
        Copying(site, copy).update()
    assert fault.value.retry_after == 7


def test_a_shard_with_another_content_than_its_hash_is_refused(site: Site, copy: Path) -> None:
    (shard,) = (site.folder / SHARDS).iterdir()
    shard.write_bytes(shard.read_bytes().replace(b"pantry.example.org", b"pantry.example.net"))
    with pytest.raises(PeerFault, match="does not have the hash that it is called by"):
        Copying(site, copy).update()
    assert MANIFEST not in files(copy)


@pytest.mark.parametrize(
    "shards",
    [
        pytest.param(["../../../etc/passwd"], id="a path"),
        pytest.param(["a" * 63 + "/"], id="a slash"),
        pytest.param(["A" * 64], id="upper case"),
        pytest.param(["a" * 64 + "\n"], id="a line end"),
        pytest.param([chr(0x660) * 64], id="other digits"),
        pytest.param(["a" * 64] * (MAX_SHARDS + 1), id="too many"),
        pytest.param([], id="none"),
        pytest.param("a" * 64, id="no list"),
        pytest.param([1], id="numbers"),
        pytest.param(None, id="nothing"),
    ],
)
def test_what_is_no_hash_is_neither_asked_for_nor_written(shards: object, site: Site, copy: Path) -> None:
    (site.folder / MANIFEST).write_text(jws_of({"shards": shards}))
    with pytest.raises(PeerFault, match="no manifest"):
        Copying(site, copy).update()
    assert [path for path, _ in site.answers()] == [SUSPENSIONS, MANIFEST]
    assert files(copy).keys() == {SUSPENSIONS}


def test_a_copy_that_broke_off_goes_on_where_it_was(site: Site, copy: Path, tmp_path: Path) -> None:
    site.folder = tmp_path / "large"
    found = published(site.folder, many(600))
    last = shard_file(found.shards[-1])
    site.instead[last] = reply(503)
    copying = Copying(site, copy)
    with pytest.raises(PeerUnavailable):
        copying.update()
    here = {path for path in files(copy) if path.startswith(SHARDS)}
    assert MANIFEST not in files(copy)
    site.answers()
    site.instead.clear()
    assert copying.update()
    fetched = {path for path, _ in site.answers() if path.startswith(SHARDS)}
    assert fetched == {shard_file(one) for one in found.shards} - here
    assert last in fetched


def test_a_disk_that_refuses_leaves_the_old_directory(body: Body, site: Site, copy: Path) -> None:
    copying = Copying(site, copy)
    copying.update()
    before = files(copy)
    body.new_key(PANTRY, signed=False)
    (shard,) = body.publish().shards
    (copy / shard_file(shard)).mkdir()
    with pytest.raises(OSError, match="directory"):
        copying.update()
    assert files(copy) == before


# --- the suspension list -----------------------------------------------------------------------------


def test_the_list_does_not_wait_for_the_directory(body: Body, site: Site, copy: Path) -> None:
    copying = Copying(site, copy)
    copying.update()
    body.suspend(PANTRY)
    site.instead[MANIFEST] = reply(500)
    with pytest.raises(PeerUnavailable):
        copying.update()
    assert (copy / SUSPENSIONS).read_bytes() == (site.folder / SUSPENSIONS).read_bytes()


def test_the_directory_does_not_wait_for_the_list(body: Body, site: Site, copy: Path) -> None:
    site.instead[SUSPENSIONS] = reply(500)
    with pytest.raises(PeerUnavailable):
        Copying(site, copy).update()
    assert (copy / MANIFEST).exists()


def test_a_list_that_is_no_longer_shown_stays_here(site: Site, copy: Path) -> None:
    copying = Copying(site, copy)
    copying.update()
    (site.folder / SUSPENSIONS).unlink()
    assert not copying.update()
    assert SUSPENSIONS in files(copy)


# --- with the node that reads the copy ---------------------------------------------------------------


def node(store: Store, site: Site, copy: Path, clock: Clock) -> tuple[Copying, Trust]:
    """A node with a first copy, which examines what is to take its place."""
    Copying(site, copy).update()
    trust = Trust(store, copy, ANCHORS, clock, GRACE)
    trust.pin(PANTRY)
    return Copying(site, copy, examine=trust.examine), trust


def test_what_the_body_publishes_counts_after_one_update(
    store: Store, body: Body, site: Site, copy: Path, clock: Clock
) -> None:
    copying, trust = node(store, site, copy, clock)
    body.new_key(PANTRY, signed=True)
    body.publish()
    body.suspend(CLINIC)
    assert copying.update()
    assert trust.refresh()
    assert counting(trust, PANTRY) == named(body.keys[PANTRY])
    clinic = trust.entry(CLINIC)
    assert clinic is not None
    assert clinic.status == "suspended"
    assert trust.alarms == ()


def replay(body: Body) -> Callable[[], None]:
    """Shows, when called, what the body shows now."""
    old = files(body.folder)

    def show() -> None:
        shutil.rmtree(body.folder)
        for path, content in old.items():
            (body.folder / path).parent.mkdir(parents=True, exist_ok=True)
            (body.folder / path).write_bytes(content)

    return show


def test_a_server_that_shows_an_older_directory_and_list_cannot_stop_a_restart(
    store: Store, body: Body, site: Site, copy: Path, clock: Clock
) -> None:
    show_the_old = replay(body)
    copying, trust = node(store, site, copy, clock)
    body.publish()
    body.suspend(PANTRY)
    copying.update()
    trust.refresh()
    before = files(copy)
    show_the_old()
    with pytest.raises(PeerFault, match="1 is older than 2"):
        copying.update()
    assert files(copy) == before
    again = Trust(store, copy, ANCHORS, clock, GRACE)
    pantry = again.entry(PANTRY)
    assert pantry is not None
    assert (again.directory.sequence, pantry.status, again.opens_dossiers()) == (2, "suspended", True)


def test_a_server_that_shows_another_directory_is_refused_with_an_alarm(
    store: Store, body: Body, site: Site, copy: Path, clock: Clock
) -> None:
    copying, trust = node(store, site, copy, clock)
    before = files(copy)
    body.publish(sequence=1, previous=(), days=9)
    with pytest.raises(PeerFault, match="another directory was used here"):
        copying.update()
    assert files(copy) == before
    assert not trust.refresh()
    assert trust.alarms == (
        "the directory that is offered is not used: manifest: sequence: "
        "another directory was used here under this number",
    )


@pytest.mark.parametrize("key", [keys.generate(), SUSPENDER], ids=["a stranger", "the suspender"])
def test_a_manifest_that_no_anchor_signed_is_refused_before_any_of_its_shards_is_fetched(
    key: ECKey, store: Store, body: Body, site: Site, copy: Path, clock: Clock
) -> None:
    copying, _ = node(store, site, copy, clock)
    body.new_key(PANTRY, signed=False)
    body.publish(anchor=key)
    site.answers()
    with pytest.raises(PeerFault, match="is not signed by an anchor"):
        copying.update()
    assert [path for path, _ in site.answers()] == [SUSPENSIONS, MANIFEST]


def test_a_list_that_the_suspender_did_not_sign_is_refused(
    store: Store, body: Body, site: Site, copy: Path, clock: Clock
) -> None:
    copying, _ = node(store, site, copy, clock)
    before = files(copy)
    body.suspend(PANTRY, key=keys.generate())
    with pytest.raises(PeerFault, match="is not signed by the key that the directory names"):
        copying.update()
    assert files(copy) == before


def test_a_new_suspender_and_its_list_are_taken_one_after_the_other(
    store: Store, body: Body, site: Site, copy: Path, clock: Clock
) -> None:
    copying, trust = node(store, site, copy, clock)
    new = keys.generate()
    body.publish(suspender=keys.public_jwk(new))
    body.suspend(PANTRY, key=new)
    with pytest.raises(PeerFault, match="is not signed by the key that the directory names"):
        copying.update()
    assert trust.refresh()
    assert copying.update()
    assert trust.refresh()
    pantry = trust.entry(PANTRY)
    assert pantry is not None
    assert (pantry.status, trust.opens_dossiers()) == ("suspended", True)
