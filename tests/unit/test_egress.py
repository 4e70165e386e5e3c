"""Where a node may connect to: judged addresses, and name servers that lie."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from ipaddress import IPv4Address, ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest
from client_world import SCOPE, THIS_MACHINE, Peer, Place, Server, always, entry, run, serving

from gateway.calling.client import Answer, PeerClient
from gateway.calling.connection import Connection
from gateway.calling.egress import Egress, kind
from gateway.calling.transport import PeerForbidden, PeerUnavailable

ROOT = Path(__file__).parents[2]

# -- addresses -------------------------------------------------------------------------------------------

PUBLIC = ["8.8.8.8", "93.184.215.14", "2606:4700::1111", "2a00:1450:4001::1", "::ffff:8.8.8.8"]
PRIVATE = [
    "10.0.0.1",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "100.64.0.1",
    "fd12:3456::1",
    "::ffff:10.0.0.1",
]
LOOPBACK = ["127.0.0.1", "127.255.0.9", "::1", "::ffff:127.0.0.1"]
NEVER = {
    "unspecified": "0.0.0.0",
    "this network": "0.1.2.3",
    "unspecified 6": "::",
    "link-local, metadata": "169.254.169.254",
    "mapped metadata": "::ffff:169.254.169.254",
    "link-local 6": "fe80::1",
    "link-local 6 with zone": "fe80::1%lo",
    "site-local 6": "fec0::1",
    "multicast": "224.0.0.1",
    "multicast 6": "ff02::1",
    "reserved": "240.0.0.1",
    "broadcast": "255.255.255.255",
    "protocol assignments": "192.0.0.8",
    "documentation": "203.0.113.7",
    "documentation 6": "2001:db8::1",
    "documentation 6, the newer": "3fff::1",
    "benchmarks": "198.18.0.1",
    "6to4 relay": "192.88.99.1",
    "6to4 of 10.0.0.1": "2002:a00:1::1",
    "Teredo of 10.0.0.1": "2001:0:a00:1:0:0:f5ff:fffe",
    "NAT64 of 10.0.0.1": "64:ff9b::a00:1",
    "NAT64 of 8.8.8.8": "64:ff9b::808:808",
    "local NAT64": "64:ff9b:1::a00:1",
    "IPv4-compatible": "::10.0.0.1",
    "discard": "100::1",
    "segment routing": "5f00::1",
    "metadata of Azure": "168.63.129.16",
    "metadata of Alibaba": "100.100.100.200",
    "metadata of AWS 6": "fd00:ec2::254",
    "metadata of Google 6": "fd20:ce::254",
}


def allowed(text: str, **options: Any) -> bool:
    """Whether a connection to this address would be made: the whole way, up to the attempt itself."""
    tried: list[str] = []

    class Attempts(Egress):
        async def _allowed(self, host: str, port: int) -> list[Any]:
            tried.extend(str(one) for one in await super()._allowed(host, port))
            return []

    egress = Attempts(options.pop("networks", ()), **options)
    try:
        asyncio.run(egress.connect_tcp(text, 443, timeout=1.0))
    except PeerForbidden:
        return False
    except Exception:
        return bool(tried)
    raise AssertionError("nothing answers there")


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_for_everybody_but_not_in_the_clear(address: str) -> None:
    assert allowed(address)
    assert allowed(address, policy="own")
    assert not allowed(address, plain=True)
    assert not allowed(address, plain=True, policy="own")


@pytest.mark.parametrize("address", PRIVATE)
def test_private_addresses_are_for_our_own_systems_alone(address: str) -> None:
    assert not allowed(address)
    assert allowed(address, policy="own")
    assert allowed(address, policy="own", plain=True)


@pytest.mark.parametrize("address", LOOPBACK)
def test_this_machine_is_for_our_own_systems_alone(address: str) -> None:
    assert not allowed(address)
    assert not allowed(address, plain=True)
    assert allowed(address, policy="own")
    assert allowed(address, policy="own", plain=True)
    assert allowed(address, networks=THIS_MACHINE)
    assert allowed(address, networks=THIS_MACHINE, plain=True)


@pytest.mark.parametrize("address", NEVER.values(), ids=NEVER)
@pytest.mark.parametrize("policy", ["partners", "own"])
@pytest.mark.parametrize("plain", [False, True])
def test_what_nobody_has_as_an_address_is_for_nobody(address: str, policy: str, plain: bool) -> None:
    assert not allowed(address, policy=policy, plain=plain)
    everywhere_else = [ip_network("10.0.0.0/8"), ip_network("127.0.0.0/8"), ip_network("fd12::/16")]
    assert not allowed(address, policy=policy, plain=plain, networks=everywhere_else)


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("10.0.0.1", "10.0.0.0/8"),
        ("::ffff:10.0.0.1", "10.0.0.0/24"),
        ("fd12:3456::1", "fd12:3456::/32"),
        ("169.254.7.7", "169.254.7.7/32"),
        ("fe80::1%lo", "fe80::/10"),
        ("203.0.113.7", "203.0.113.0/24"),
    ],
)
def test_stated_networks_are_allowed_with_tls_and_others_are_not(address: str, network: str) -> None:
    networks = [ip_network(network)]
    assert allowed(address, networks=networks)
    assert not allowed(address, networks=networks, plain=True)
    assert allowed(address, networks=networks, policy="own", plain=True)
    assert not allowed("192.168.0.1", networks=networks)
    assert not allowed("169.254.169.254", networks=networks, policy="own")


def test_a_translated_address_is_judged_by_what_is_inside_too() -> None:
    nat64 = ip_network("64:ff9b::/96")
    assert allowed("64:ff9b::808:808", networks=[nat64])
    assert not allowed("64:ff9b::a00:1", networks=[nat64])
    assert not allowed("64:ff9b::a9fe:a9fe", networks=[nat64], policy="own")
    assert allowed("64:ff9b::a00:1", networks=[nat64, ip_network("10.0.0.0/8")])


def test_the_tables_agree_with_the_registry_that_python_carries() -> None:
    """Every /16 of IPv4 and every /12 of IPv6: never public here what `ipaddress` calls private."""
    for high in range(2**16):
        address = IPv4Address((high << 16) + 0x0101)
        if not address.is_global and not address.is_multicast:
            assert kind(address) != "public", address
    for high in range(2**12):
        six = ip_address((high << 116) + 1)
        if not six.is_global:
            assert kind(six) != "public", six


@pytest.mark.parametrize("port", [22, 25, 53, 110, 445, 587, 8080 - 7057])
def test_a_partner_is_not_called_where_other_services_listen(port: int) -> None:
    with pytest.raises(PeerForbidden, match="port"):
        run(lambda client: client.fetch(f"https://8.8.8.8:{port}/"))


@pytest.mark.parametrize(
    "host", ["a..b", "a" * 64 + ".example.org", "%00.example.org", "0177.0.0.1", "1.2.3.4.5"]
)
def test_a_name_that_is_none_is_not_reached(host: str) -> None:
    with pytest.raises((PeerUnavailable, PeerForbidden)):
        run(lambda client: client.fetch(f"https://{host}/"), connect_timeout=1.0)


# -- names, and those who answer for them ------------------------------------------------------------------


class Names:
    """A name server under the control of whoever attacks: each question gets the next answer."""

    def __init__(self, *answers: Sequence[str] | Exception) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    async def __call__(self, host: str, _port: int) -> Sequence[str]:
        self.asked.append(host)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving() as running:
        yield running


@pytest.fixture
def place(server: Server) -> Place:
    server.place = Place(server.address)
    server.place.handlers["/x"] = always(200, "reached")
    return server.place


@pytest.mark.parametrize(
    "host",
    [
        "2130706433",
        "0x7f.1",
        "0x7f000001",
        "127.1",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "localhost",
        "LOCALHOST",
        "127.0.0.1.",
    ],
)
def test_this_machine_is_known_under_all_its_spellings(host: str, place: Place) -> None:
    """They are read by this system's own resolver, and it is the address that is judged."""
    partner = entry(place.address.replace("127.0.0.1", host))
    without_token = {partner.organization: Connection("none")}

    async def ask(client: PeerClient) -> Answer:
        return await client.request(partner, "GET", "/x", scope=SCOPE)

    with pytest.raises((PeerForbidden, PeerUnavailable)) as refused:
        run(ask, networks=(), connections=without_token)
    assert place.requests == []
    try:
        assert run(ask, connections=without_token).status == 200
    except PeerUnavailable:
        assert host.endswith("."), "a spelling that is not read here shows nothing"
    else:
        assert isinstance(refused.value, PeerForbidden)


def named(place: Place, name: str) -> str:
    """The address of a place, by a name that only our name server knows."""
    return place.address.replace("127.0.0.1", name)


def hook(url: str) -> Callable[[PeerClient], Awaitable[Answer]]:
    return lambda client: client.post_webhook(url, {}, b"MSH")


def test_a_name_is_resolved_once_and_connected_to_where_it_led(place: Place) -> None:
    """The second answer, which would lead elsewhere, is never asked for: a socket arrives at the first."""
    names = Names(["127.0.0.1"], ["127.0.0.2"])
    url = named(place, "case-system.example.org")
    assert run(hook(f"{url}/x"), resolve=names).body == b'"reached"'
    assert names.asked == ["case-system.example.org"]
    ((_method, _path, headers, _body),) = place.requests
    assert headers["host"] == url.removeprefix("http://")


@pytest.mark.parametrize(
    ("written", "asked"),
    [
        ("bücher.example", "xn--bcher-kva.example"),
        ("BÜCHER.example", "xn--bcher-kva.example"),
        ("Node.Example.ORG", "node.example.org"),
        ("node.example.org.", "node.example.org."),
    ],
)
def test_a_name_is_asked_for_as_it_stands_on_the_wire(written: str, asked: str, place: Place) -> None:
    names = Names(["10.0.0.1"])
    with pytest.raises(PeerForbidden, match="private"):
        run(lambda client: client.fetch(f"https://{written}/"), resolve=names)
    assert names.asked == [asked]


def test_nothing_beneath_asks_the_system_for_the_name_again(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []
    real = socket.getaddrinfo

    def watched(host: Any, *rest: Any, **more: Any) -> Any:
        asked.append(host)
        return real(host, *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", watched)
    run(hook(f"{named(place, 'case-system.example.org')}/x"), resolve=Names(["127.0.0.1"]))
    assert [host for host in asked if host not in ("127.0.0.1", b"127.0.0.1")] == []


@pytest.mark.parametrize(
    "answers",
    [
        ["8.8.8.8", "169.254.169.254"],
        ["169.254.169.254", "8.8.8.8"],
        ["127.0.0.1", "fe80::1"],
        ["127.0.0.1", "::ffff:169.254.169.254"],
        ["127.0.0.1", *["8.8.8.8"] * 20, "0.0.0.0"],
    ],
)
def test_one_forbidden_address_among_the_answers_spoils_them_all(answers: list[str], place: Place) -> None:
    url = named(place, "rebinding.example.org").replace("http:", "https:")
    with pytest.raises(PeerForbidden, match="special-purpose"):
        run(hook(f"{url}/x"), resolve=Names(answers))
    assert place.requests == []


def test_each_new_connection_is_judged_anew(place: Place) -> None:
    names = Names(["127.0.0.1"], ["169.254.169.254"])
    url = f"{named(place, 'case-system.example.org')}/x"

    async def after_the_first_is_closed(client: PeerClient) -> None:
        place.handlers["/x"] = always(200, "reached", Connection="close")
        assert (await client.post_webhook(url, {}, b"")).status == 200
        with pytest.raises(PeerForbidden):
            await client.post_webhook(url, {}, b"")

    run(after_the_first_is_closed, resolve=names)
    assert len(place.requests) == 1


def test_a_connection_of_our_own_system_is_not_lent_to_a_partner(place: Place) -> None:
    """Both at one address: what the agency's own system has opened must not let a partner's request in."""
    own, theirs = f"{place.address}/x", entry(place.address)

    async def one_after_the_other(client: PeerClient) -> None:
        assert (await client.post_webhook(own, {}, b"")).status == 200
        with pytest.raises(PeerForbidden):
            await client.request(theirs, "GET", "/x", scope=SCOPE)
        with pytest.raises(PeerForbidden):
            await client.fetch(own)
        assert (await client.post_webhook(own, {}, b"")).status == 200

    run(one_after_the_other, networks=())
    assert [path for _method, path, _headers, _body in place.requests] == ["/x", "/x"]


def test_an_address_that_does_not_answer_is_followed_by_the_next(place: Place) -> None:
    nobody = next(f"127.0.0.{last}" for last in range(7, 250) if not answers_at(f"127.0.0.{last}", place))
    url = f"{named(place, 'case-system.example.org')}/x"
    assert run(hook(url), resolve=Names([nobody, "127.0.0.1"])).status == 200
    with pytest.raises(PeerUnavailable, match="could not be reached"):
        run(hook(url), resolve=Names([nobody, nobody]))


def answers_at(address: str, place: Place) -> bool:
    try:
        socket.create_connection((address, int(place.address.rpartition(":")[2])), 1).close()
    except OSError:
        return False
    return True


@pytest.mark.parametrize(
    "answer",
    [OSError("no such name"), UnicodeError("no name at all"), [], ["not an address"]],
    ids=["unknown", "malformed", "empty", "nonsense"],
)
def test_a_name_that_leads_nowhere_is_unavailable(answer: Any) -> None:
    with pytest.raises(PeerUnavailable) as unavailable:
        run(lambda client: client.fetch("https://gone.example.org/"), resolve=Names(answer))
    assert "example" not in str(unavailable.value)


def test_a_name_server_that_does_not_answer_is_given_up() -> None:
    async def never(_host: str, _port: int) -> Sequence[str]:
        await asyncio.sleep(60)
        return []

    started = time.monotonic()
    with pytest.raises(PeerUnavailable, match="in time"):
        run(lambda client: client.fetch("https://slow.example.org/"), resolve=never, connect_timeout=0.1)
    # Before the limit of the whole exchange, which is 10 seconds.
    assert time.monotonic() - started < 5


@pytest.mark.parametrize("name", ["localhost", "localhost.", "LocalHost"])
def test_localhost_is_this_machine_whatever_the_name_server_says(name: str) -> None:
    with pytest.raises(PeerForbidden, match="localhost must be this machine"):
        run(
            lambda client: client.fetch(f"https://{name}/", configured=True),
            resolve=Names(["93.184.215.14"]),
        )


def test_partners_are_judged_before_a_token_is_asked_for(server: Server) -> None:
    peer = server.place = Peer(server.address)

    async def ask(client: PeerClient) -> Answer:
        return await client.request(peer.entry, "GET", "/fhir/Task/1", scope=SCOPE)

    with pytest.raises(PeerForbidden, match="networks"):
        run(ask, networks=())
    assert peer.requests == []


def test_a_refusal_names_neither_address_nor_name() -> None:
    with pytest.raises(PeerForbidden) as refused:
        run(
            lambda client: client.fetch("https://intranet.example.org:8443/secret-path"),
            resolve=Names(["10.20.30.40"]),
        )
    for word in ("intranet", "10.20", "8443", "secret-path"):
        assert word not in str(refused.value)


def test_a_socket_in_the_file_system_is_no_place_to_connect_to() -> None:
    with pytest.raises(PeerForbidden):
        asyncio.run(Egress().connect_unix_socket("/run/docker.sock"))
