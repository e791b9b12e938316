"""Which addresses a notifier refuses, and that a name or an odd spelling is no way around it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from logstreamd.alerts.notify.addresses import refusal
from logstreamd.alerts.notify.http_client import HttpClient
from logstreamd.alerts.notify.notifier import UnavailableError

REFUSED = [
    ("0.0.0.0", "unspecified"),
    ("127.0.0.1", "loopback"),
    ("127.255.255.254", "loopback"),
    ("169.254.169.254", "link-local"),
    ("10.0.0.1", "private"),
    ("172.16.0.1", "private"),
    ("172.31.255.255", "private"),
    ("192.168.1.1", "private"),
    ("100.64.0.1", "reserved"),  # RFC 6598, carrier-grade NAT
    ("198.18.0.1", "private"),  # RFC 2544
    ("192.0.2.1", "private"),  # RFC 5737
    ("224.0.0.1", "multicast"),
    ("239.255.255.250", "multicast"),
    ("240.0.0.1", "private"),
    ("255.255.255.255", "private"),
    ("::", "unspecified"),
    ("::1", "loopback"),
    ("fe80::1", "link-local"),
    ("fe80::1%eth0", "link-local"),
    ("fc00::1", "private"),
    ("fd00::1", "private"),
    ("fd00:ec2::254", "private"),  # a cloud's metadata service
    ("fec0::1", "private"),
    ("ff02::1", "multicast"),
    ("2001:db8::1", "private"),
    ("::ffff:127.0.0.1", "loopback"),
    ("::ffff:169.254.169.254", "link-local"),
    ("::ffff:10.0.0.1", "private"),
    ("::ffff:0:0", "unspecified"),
    ("::127.0.0.1", "loopback"),
    ("64:ff9b::7f00:1", "loopback"),
    ("64:ff9b::a9fe:a9fe", "link-local"),
    ("2002:7f00:1::", "loopback"),
    ("2002:a9fe:a9fe::1", "link-local"),
    ("2001:0:4136:e378:8000:63bf:80ff:fffe", "loopback"),  # Teredo with 127.0.0.1 inside
    ("no address", "not an address"),
]

PUBLIC = [
    "1.1.1.1",
    "8.8.8.8",
    "172.32.0.1",
    "169.253.255.255",
    "2606:4700:4700::1111",
    "::ffff:8.8.8.8",
    "64:ff9b::808:808",
]


@pytest.mark.parametrize(("address", "kind"), REFUSED)
def test_an_address_of_the_own_machine_or_network_is_refused(address: str, kind: str) -> None:
    assert kind in (refusal(address) or "public")


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_is_not_refused(address: str) -> None:
    assert refusal(address) is None


async def post(url: str, resolver: AbstractResolver | None = None) -> None:
    http = HttpClient(allow_private=False, timeout_seconds=5, connect_timeout_seconds=5, resolver=resolver)
    try:
        await http.post(url, b"{}", {})
    finally:
        await http.close()


class Answering(AbstractResolver):
    """A resolver that gives one address after the other: the second answer is the rebinding."""

    def __init__(self, *answers: list[str]) -> None:
        self._answers = list(answers)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for address in self._answers.pop(0)
        ]

    async def close(self) -> None:
        pass


Listening = tuple[int, list[object]]


@pytest.fixture
async def listening() -> AsyncIterator[Listening]:
    """A server on the loopback address that counts its connections."""
    connections: list[object] = []

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(writer)
        writer.close()

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1], connections
    server.close()
    await server.wait_closed()


# Decimal, hexadecimal, octal and short spellings are not addresses to Python, but they are to getaddrinfo.
@pytest.mark.parametrize(
    "host", ["127.0.0.1", "2130706433", "0x7f000001", "0177.0.0.1", "127.1", "0", "localhost", "[::ffff:127.0.0.1]"]
)
async def test_no_spelling_of_the_loopback_address_is_connected_to(host: str, listening: Listening) -> None:
    port, connections = listening
    with pytest.raises(UnavailableError, match=r"no connection|InvalidUrl"):
        await post(f"http://{host}:{port}/")
    assert connections == []


async def test_a_name_that_leads_to_the_own_machine_is_not_connected_to(listening: Listening) -> None:
    port, connections = listening
    resolver = Answering(["127.0.0.1"], ["::1", "169.254.169.254"])
    with pytest.raises(UnavailableError, match=r"127\.0\.0\.1 is a loopback address; allow_private"):
        await post(f"http://hooks.example.org:{port}/", resolver)
    with pytest.raises(UnavailableError, match=r"169\.254\.169\.254 is a link-local address"):
        await post(f"http://hooks.example.org:{port}/", resolver)
    assert connections == []


async def test_every_message_is_judged_by_the_address_it_would_go_to(listening: Listening) -> None:
    """Rebinding: the name is public when it is looked at first, and the own machine when it is connected to."""
    port, connections = listening
    answers = Answering(["192.0.2.1"], ["127.0.0.1"])
    assert await answers.resolve("hooks.example.org")
    with pytest.raises(UnavailableError, match="loopback"):
        await post(f"http://hooks.example.org:{port}/", answers)
    assert connections == []


async def test_a_proxy_of_the_environment_is_not_used(listening: Listening, monkeypatch: pytest.MonkeyPatch) -> None:
    port, connections = listening
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{port}")
    resolver = Answering(["10.0.0.1"])
    with pytest.raises(UnavailableError, match="private"):
        await post("http://hooks.example.org/", resolver)
    assert connections == []
