"""The agency's own systems: what one file may say, and when a change of it counts."""

from __future__ import annotations

import json
import logging
import os
import stat
from hashlib import sha256
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest import param

from gateway.oauth import registered
from gateway.oauth.key_sources import KeySource
from gateway.oauth.registered import Registered
from gateway.signing import keys
from profiles.document import DocumentError

KEY, OTHER = keys.generate(), keys.generate()
JWKS = keys.public_jwks(KEY)
DIGEST = sha256(b"a secret that nobody knows").hexdigest()
EHR: dict[str, Any] = {
    "id": "ehr",
    "name": "The hospital's records",
    "systems": ["hl7v2-referral"],
    "scopes": "system/ServiceRequest.c system/Task.u",
    "auth": {"method": "private_key_jwt", "jwks": JWKS},
    "addresses": ["10.2.0.0/16", "2001:db8::7"],
    "introspects": True,
    "status": "active",
    "key": "../keys/ehr.pem",
}
LEAST = {name: EHR[name] for name in ("id", "systems", "scopes", "auth")}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "clients"


@pytest.fixture
def ehr(folder: Path) -> Path:
    return registered.write(folder, EHR)


def _rewrite(path: Path, content: Any) -> None:
    path.write_text(content if isinstance(content, str) else json.dumps(content, indent=1), encoding="utf-8")


# -- what is read ---------------------------------------------------------------------------------------


def test_everything_that_a_file_says_is_what_is_registered(folder: Path, ehr: Path) -> None:
    found = Registered(folder).find("ehr")
    assert found == registered.LocalClient(
        id="ehr",
        keys=KeySource(JWKS),
        secret=None,
        systems=frozenset({"hl7v2-referral"}),
        scopes=frozenset({"system/ServiceRequest.c", "system/Task.u"}),
        addresses=(ip_network("10.2.0.0/16"), ip_network("2001:db8::7/128")),
        introspects=True,
        key=folder / "../keys/ehr.pem",
        name="The hospital's records",
    )


def test_what_is_left_out_gives_nothing_more(folder: Path) -> None:
    registered.write(folder, LEAST)
    found = Registered(folder).find("ehr")
    assert found is not None
    assert (found.active, found.introspects, found.purposes, found.key) == (True, False, frozenset(), None)


def test_keys_behind_an_address_and_a_secret(folder: Path) -> None:
    url = "https://ehr.example.org/jwks"
    registered.write(folder, {**LEAST, "auth": {"method": "private_key_jwt", "jwks_url": url}})
    registered.write(
        folder, {**LEAST, "id": "old", "auth": {"method": "client_secret", "secret_sha256": DIGEST}}
    )
    by_url, by_secret = Registered(folder).all()
    assert (by_url.keys, by_url.secret) == (KeySource(url=url), None)
    assert (by_secret.keys, by_secret.secret) == (None, bytes.fromhex(DIGEST))
    assert DIGEST not in repr(by_secret) and str(bytes.fromhex(DIGEST)) not in repr(by_secret)


# -- when a change counts -------------------------------------------------------------------------------


def test_suspending_counts_at_the_next_call(folder: Path, ehr: Path) -> None:
    clients = Registered(folder)
    assert [clients.find("ehr").active for _ in "12"] == [True, True]  # type: ignore[union-attr]
    registered.write(folder, {**EHR, "status": "suspended"}, replace=True)
    assert not clients.find("ehr").active  # type: ignore[union-attr]


def test_what_is_added_and_taken_away_counts_at_the_next_call(folder: Path) -> None:
    clients = Registered(folder)
    assert clients.find("ehr") is None and clients.all() == ()
    registered.write(folder, EHR)
    assert clients.find("ehr") is not None
    registered.remove(folder, "ehr")
    assert clients.find("ehr") is None and clients.all() == ()
    assert clients._known == {}


def test_a_file_of_the_same_length_and_time_is_seen_to_be_another(folder: Path, ehr: Path) -> None:
    clients = Registered(folder)
    before = ehr.stat()
    clients.find("ehr")
    registered.write(
        folder, {**EHR, "auth": {"method": "private_key_jwt", "jwks": keys.public_jwks(OTHER)}}, replace=True
    )
    os.utime(ehr, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert ehr.stat().st_size == before.st_size
    assert clients.find("ehr").keys == KeySource(keys.public_jwks(OTHER))  # type: ignore[union-attr]


def test_what_has_not_changed_is_not_read_again(
    folder: Path, ehr: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clients = Registered(folder)
    first = clients.find("ehr")
    monkeypatch.setattr(registered, "read", None)
    assert clients.find("ehr") is first


# -- what is not good refuses its own client ------------------------------------------------------------


def _without(name: str) -> dict[str, Any]:
    return {key: value for key, value in EHR.items() if key != name}


def _auth(**members: Any) -> dict[str, Any]:
    return {**EHR, "auth": members}


def _keys(*jwks: Any) -> dict[str, Any]:
    return _auth(method="private_key_jwt", jwks={"keys": list(jwks)})


def _line(path: Path, text: str) -> int:
    """The last line of a file that holds this text."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return max(number for number, line in enumerate(lines, 1) if text in line)


# What the file says; what is said of it; on which line: that of a text in the file, or its number.
BAD = [
    param({**EHR, "admin": True}, "unknown key 'admin'", '"admin"', id="a member that nobody knows"),
    param(
        {**EHR, "auth": {**EHR["auth"], "jku": "x"}},
        "unknown key 'jku'",
        '"jku"',
        id="an unknown member of auth",
    ),
    param(_without("auth"), "needs 'auth'", 1, id="no proof"),
    param(_without("scopes"), "needs 'scopes'", 1, id="no scopes"),
    param({**EHR, "id": "other"}, "id: must be the file's name", '"id"', id="another's name"),
    param({**EHR, "id": "../ehr"}, "id: must match the pattern", '"id"', id="a path for a name"),
    param(
        {**EHR, "scopes": "patient/Task.r"},
        "scopes: a scope must be",
        '"scopes"',
        id="a scope of another context",
    ),
    param(
        {**EHR, "scopes": "system/Task.sr"}, "scopes: a scope must be", '"scopes"', id="letters out of order"
    ),
    param(
        {**EHR, "scopes": "system/Task.r  system/Task.u"},
        "scopes: a scope must be",
        '"scopes"',
        id="two blanks",
    ),
    param({**EHR, "systems": ["A b"]}, "systems[0]: must match", '"A b"', id="a system with a blank"),
    param(
        {**EHR, "addresses": ["10.2.0.1/16"]},
        "addresses[0]: must be an address",
        '"10.2.0.1/16"',
        id="bits after the mask",
    ),
    param(
        {**EHR, "addresses": ["ehr.example.org"]},
        "addresses[0]: must be an address",
        '"ehr.example.org"',
        id="a host's name",
    ),
    param(
        {**EHR, "status": "on"},
        'status: must be one of "active", "suspended"',
        '"status"',
        id="a state that is none",
    ),
    param(
        {**EHR, "introspects": "yes"},
        "introspects: must be true or false",
        '"introspects"',
        id="yes for true",
    ),
    param(_auth(method="none"), "auth.method: must be one of", '"method"', id="no way to prove it"),
    param(
        _auth(method="private_key_jwt"),
        "auth: with method private_key_jwt needs jwks or",
        '"auth"',
        id="no keys",
    ),
    param(
        _auth(method="private_key_jwt", jwks=JWKS, jwks_url="https://ehr.example.org/jwks"),
        "auth: with method private_key_jwt needs jwks or",
        '"auth"',
        id="keys from two places",
    ),
    param(
        _auth(method="private_key_jwt", jwks=JWKS, secret_sha256=DIGEST),
        "auth: with method private_key_jwt needs jwks or",
        '"auth"',
        id="keys and a secret",
    ),
    param(
        _auth(method="client_secret", jwks=JWKS),
        "auth: with method client_secret needs",
        '"auth"',
        id="keys for a secret",
    ),
    param(
        _auth(method="client_secret", secret_sha256="a secret that nobody knows"),
        "auth.secret_sha256: must match",
        '"secret_sha256"',
        id="the secret itself",
    ),
    param(
        _auth(method="private_key_jwt", jwks_url="http://ehr.example.org/jwks"),
        "auth.jwks_url: must be an https URL",
        '"jwks_url"',
        id="keys that anyone on the way can change",
    ),
    param(_keys(), "auth.jwks.keys: must not be empty", '"keys"', id="a set without keys"),
    param(
        _keys(KEY.as_dict(private=True, kid="a")),
        "auth.jwks.keys[0]: a key holds private",
        "{",
        id="a private key",
    ),
    param(
        _keys({**JWKS["keys"][0], "x": JWKS["keys"][0]["y"]}),
        "numbers are not those",
        "{",
        id="no key at all",
    ),
    param(
        _keys({**JWKS["keys"][0], "kid": "a"}, {**keys.public_jwk(OTHER), "kid": "a"}),
        "auth.jwks.keys: two keys have the same kid",
        '"keys"',
        id="two keys of one name",
    ),
    param("{", "not JSON", 1, id="half a file"),
    param("", "not JSON", 1, id="an empty file"),
    param('{"id": "ehr", "id": "ehr"}', "id", 1, id="a member twice"),
    param("[]", "must be a mapping", 1, id="a list"),
    param(" " * 70_000, "has more than 65536 bytes", None, id="too long"),
]


@pytest.mark.parametrize(("content", "rule", "at"), BAD)
def test_a_file_that_is_not_good_refuses_its_client_and_says_where(
    folder: Path, ehr: Path, caplog: pytest.LogCaptureFixture, content: Any, rule: str, at: Any
) -> None:
    registered.write(folder, {**LEAST, "id": "good"})
    clients = Registered(folder)
    clients.find("ehr")
    _rewrite(ehr, content)
    with caplog.at_level(logging.ERROR, "waymeet.clients"):
        assert [clients.find("ehr") for _ in "123"] == [None, None, None]
        assert [one.id for one in clients.all()] == ["good"]
    (said,) = {record.getMessage() for record in caplog.records}
    assert len(caplog.records) == 1
    line = _line(ehr, at) if isinstance(at, str) else at
    assert said.startswith(
        f"this client is refused: ehr.json:{line}:" if line else "this client is refused: ehr.json:"
    )
    assert rule in said
    for value in (
        DIGEST,
        "a secret that nobody knows",
        "ehr.example.org",
        "10.2.0.1",
        KEY.as_dict(private=True)["d"],
    ):
        assert value not in said


def test_a_file_that_is_mended_counts_again(folder: Path, ehr: Path) -> None:
    clients = Registered(folder)
    _rewrite(ehr, "{")
    assert clients.find("ehr") is None
    _rewrite(ehr, EHR)
    assert clients.find("ehr") is not None


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_a_file_that_others_can_write_to_is_not_believed(folder: Path, ehr: Path, mode: int) -> None:
    ehr.chmod(mode)
    assert Registered(folder).find("ehr") is None
    ehr.chmod(0o644)
    assert Registered(folder).find("ehr") is not None


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o1777])
def test_a_folder_that_others_can_write_to_has_no_clients(folder: Path, ehr: Path, mode: int) -> None:
    clients = Registered(folder)
    assert clients.find("ehr") is not None
    folder.chmod(mode)
    assert clients.find("ehr") is None
    folder.chmod(0o755)
    assert clients.find("ehr") is not None


# -- ids ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "client_id", ["", "../node", "a/b", "a\x00b", "ehr.json/..", "é", "ehr ", "ehr\n", "x" * 65]
)
def test_what_is_no_id_is_no_client(folder: Path, client_id: str) -> None:
    # What the id would lead to exists and is good: only its form keeps it out.
    registered.write(folder, {**LEAST, "id": "node"})
    (folder / "a").mkdir()
    clients = Registered(folder / "a")
    assert clients.find(client_id) is None
    with pytest.raises(ValueError, match="an id has"):
        registered.remove(folder / "a", client_id)
    assert (folder / "node.json").exists()


@given(st.text(max_size=70))
def test_no_id_leads_out_of_the_folder(client_id: str) -> None:
    assert Registered(Path("/nonexistent")).find(client_id) is None


def test_ids_that_nobody_has_are_not_remembered(folder: Path, ehr: Path) -> None:
    clients = Registered(folder)
    for number in range(100):
        clients.find(f"invented-{number}")
    assert set(clients._known) <= {"ehr"}


# -- writing --------------------------------------------------------------------------------------------


def test_only_the_owner_can_read_what_is_written_whatever_the_umask(folder: Path) -> None:
    before = os.umask(0)
    try:
        path = registered.write(folder, EHR)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert [one.name for one in folder.iterdir()] == ["ehr.json"]


def test_a_client_is_never_overwritten_by_a_new_one(folder: Path, ehr: Path) -> None:
    content = ehr.read_bytes()
    with pytest.raises(FileExistsError):
        registered.write(folder, {**EHR, "introspects": False})
    assert ehr.read_bytes() == content
    assert [one.name for one in folder.iterdir()] == ["ehr.json"]


@pytest.mark.parametrize("replace", [False, True])
def test_what_would_not_be_read_again_is_not_written(folder: Path, replace: bool) -> None:
    with pytest.raises(DocumentError, match="scopes"):
        registered.write(folder, {**EHR, "scopes": "everything"}, replace=replace)
    assert not folder.exists()


def test_a_file_that_could_not_be_written_leaves_the_one_before(
    folder: Path, ehr: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    content = ehr.read_bytes()
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        registered.write(folder, {**EHR, "status": "suspended"}, replace=True)
    assert ehr.read_bytes() == content
    assert [one.name for one in folder.iterdir()] == ["ehr.json"]


def test_who_reads_while_it_is_written_never_sees_half_of_it(folder: Path, ehr: Path) -> None:
    clients = Registered(folder)
    for number in range(50):
        content = {**EHR, "name": "x" * (number + 1), "status": ("active", "suspended")[number % 2]}
        registered.write(folder, content, replace=True)
        found = clients.find("ehr")
        assert found is not None
        assert (found.name, found.active) == (content["name"], content["status"] == "active")
