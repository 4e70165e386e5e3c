"""Keycloak as a process beside us: one realm for each test, made through its administration API.

Needs Java 17 and Maven; it is unpacked and prepared once, as keycloak/pom.xml says. It keeps everything in
memory, listens on the loopback address only, and is ended with the tests.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

HERE = Path(__file__).parent / "keycloak"
TARGET = HERE / "target"
# Two of Keycloak's doors stay shut unless they are asked for: another issuer's token in exchange for one of
# its own is how it comes to ask that issuer's introspection endpoint.
FEATURES = "token-exchange-external-internal:v2"
STARTS_WITHIN = 180.0


@dataclass(frozen=True, slots=True)
class Realm:
    """A realm of the running Keycloak: an authorization server of its own."""

    issuer: str
    http: httpx2.Client

    @property
    def token_endpoint(self) -> str:
        return f"{self.issuer}/protocol/openid-connect/token"

    @property
    def certificates(self) -> str:
        """Where its public keys are."""
        return f"{self.issuer}/protocol/openid-connect/certs"

    def ask_token(self, form: Mapping[str, str], auth: tuple[str, str] | None = None) -> httpx2.Response:
        """The answer of its token endpoint."""
        return self.http.post(self.token_endpoint, data=dict(form), auth=auth)

    def introspect(self, token: str, auth: tuple[str, str]) -> dict[str, Any]:
        """What it says of a token, to a client of its own that has a secret."""
        answer = self.http.post(f"{self.token_endpoint}/introspect", data={"token": token}, auth=auth)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found


@dataclass(frozen=True, slots=True)
class Keycloak:
    """A running Keycloak and the one who administers it."""

    address: str
    password: str
    http: httpx2.Client

    @contextmanager
    def realm(self, **representation: Any) -> Iterator[Realm]:
        """A new realm of this representation, as the administration API writes one."""
        name = f"test-{secrets.token_hex(4)}"
        self.administer("POST", "", {"realm": name, "enabled": True, "sslRequired": "none"} | representation)
        try:
            yield Realm(f"{self.address}/realms/{name}", self.http)
        finally:
            self.administer("DELETE", f"/{name}")

    def administer(self, method: str, path: str, body: Any = None) -> httpx2.Response:
        """One request under /admin/realms; it must be taken."""
        answer = self.try_to_administer(method, path, body)
        assert answer.is_success, answer.text
        return answer

    def try_to_administer(self, method: str, path: str, body: Any = None) -> httpx2.Response:
        """One request under /admin/realms, and its answer."""
        token = self.http.post(
            f"{self.address}/realms/master/protocol/openid-connect/token",
            data={
                "grant_type": "password",
                "client_id": "admin-cli",
                "username": "admin",
                "password": self.password,
            },
        ).json()["access_token"]
        return self.http.request(
            method,
            f"{self.address}/admin/realms{path}",
            json=body,
            headers={"Authorization": f"Bearer {token}"},
        )


@contextmanager
def start() -> Iterator[Keycloak]:
    """Keycloak, listening on a free port of the loopback address."""
    home = install()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    address, password = f"http://127.0.0.1:{port}", secrets.token_urlsafe(16)
    command = [
        "bin/kc.sh",
        "start",
        "--optimized",
        "--http-enabled=true",
        "--http-host=127.0.0.1",
        f"--http-port={port}",
        f"--hostname={address}",
        "--log-level=WARN",
    ]
    environment = {
        **os.environ,
        "KC_BOOTSTRAP_ADMIN_USERNAME": "admin",
        "KC_BOOTSTRAP_ADMIN_PASSWORD": password,
        "JAVA_OPTS_KC_HEAP": "-Xms64m -Xmx512m",
    }
    with (TARGET / "keycloak.log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=home, env=environment, stdout=log, stderr=log, start_new_session=True
        )
    try:
        with httpx2.Client(timeout=30, trust_env=False) as http:
            _wait_until_up(http, address, process)
            yield Keycloak(address, password, http)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def install() -> Path:
    """Where Keycloak lies, unpacked and prepared when it is not there or keycloak/pom.xml is newer."""
    ready = TARGET / "prepared"
    if not ready.exists() or ready.stat().st_mtime < (HERE / "pom.xml").stat().st_mtime:
        shutil.rmtree(TARGET, ignore_errors=True)
        subprocess.run(["mvn", "-q", "-B", "-C", "dependency:unpack"], cwd=HERE, check=True, timeout=600)
        prepare = ["bin/kc.sh", "build", "--db=dev-mem", "--cache=local", f"--features={FEATURES}"]
        subprocess.run(prepare, cwd=_home(), check=True, timeout=600, stdout=subprocess.DEVNULL)
        ready.touch()
    return _home()


def _home() -> Path:
    (found,) = TARGET.glob("keycloak-*/")
    return found


def _wait_until_up(http: httpx2.Client, address: str, process: subprocess.Popen[bytes]) -> None:
    """Until it knows its first realm."""
    until = time.monotonic() + STARTS_WITHIN
    while time.monotonic() < until:
        assert process.poll() is None, (TARGET / "keycloak.log").read_text()[-4000:]
        try:
            if http.get(f"{address}/realms/master").status_code == 200:
                return
        except httpx2.TransportError:
            pass
        time.sleep(0.2)
    raise AssertionError(f"Keycloak did not start: {(TARGET / 'keycloak.log').read_text()[-4000:]}")
