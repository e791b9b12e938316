from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from certificates import LONG_AGO, Authority, Files
from structlog.testing import capture_logs

from logstreamd.tls import ServerTls, load_server_tls
from logstreamd.wire.batch import PARTIAL
from logstreamd.wire.sender import split_sender

Listen = Callable[..., Any]


class Pki:
    """Two authorities, the daemon's certificate, and those of some senders."""

    def __init__(self, directory: Path) -> None:
        self.ours = Authority(directory)
        self.theirs = Authority(directory, "foreign")
        self.server = self.ours.issue("localhost", "127.0.0.1")
        self.web = self.ours.issue("web-1.example.org", common_name="web-1")
        self.db = self.ours.issue("db-1.example.org", common_name="db-1")
        self.expired = self.ours.issue("web-1.example.org", common_name="web-1", **LONG_AGO)
        self.foreign = self.theirs.issue("web-1.example.org", common_name="web-1")

    def tls(self, *permitted: str, mutual: bool = True) -> ServerTls:
        return load_server_tls(
            replace(self.server, client_ca=self.ours.file if mutual else None, permitted_peers=permitted)
        )

    def client(self, shows: Files | None = None) -> ssl.SSLContext:
        return self.ours.client(shows)


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return Pki(tmp_path_factory.mktemp("pki"))


@pytest.fixture
async def listen_tls(listen_tcp: Listen, pki: Pki) -> Listen:
    async def listen(
        tls: ServerTls | None = None, *, handshake_timeout_seconds: float = 60, max_handshakes: int = 100, **more: Any
    ) -> Any:
        settings = {
            "tls": tls or pki.tls(mutual=False),
            "handshake_timeout_seconds": handshake_timeout_seconds,
            "max_handshakes": max_handshakes,
        }
        return await listen_tcp(tls=settings, **more)

    return listen


@asynccontextmanager
async def connected(
    one: Any, context: ssl.SSLContext | None, *, sender: str = "127.0.0.1"
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection to the input, closed at the end."""
    name = "localhost" if context is not None else None
    reader, writer = await asyncio.open_connection(
        *one.address, ssl=context, server_hostname=name, local_addr=(sender, 0)
    )
    try:
        yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def send(one: Any, data: bytes, context: ssl.SSLContext) -> None:
    async with connected(one, context) as (_, writer):
        writer.write(data)
        await writer.drain()


async def is_closed(one: Any, context: ssl.SSLContext | None, data: bytes = b"<34>never\n") -> None:
    """Connect, send, and see that the other side closes."""
    with contextlib.suppress(OSError):
        async with connected(one, context) as (reader, writer):
            writer.write(data)
            assert await reader.read() == b""


def senders_of(one: Any) -> list[tuple[str, Any]]:
    return [split_sender(batch.peers[number]) for batch in one.spool.kept for number in batch.peer_ids]


async def test_octet_counts_and_lines_come_over_tls(listen_tls: Listen, pki: Pki) -> None:
    one = await listen_tls()
    await send(one, b"8 <34>a\nb\n<34>line\n9 <34>count", pki.client())
    await one.received(3)
    await one.stop()
    assert one.spool.frames == [b"<34>a\nb\n", b"<34>line", b"<34>count"]
    assert set(map(str, senders_of(one))) == {str(("127.0.0.1", {}))}


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_megabytes_arrive_as_they_were_sent(listen_tls: Listen, pki: Pki, version: ssl.TLSVersion) -> None:
    one = await listen_tls(rows=65_535)
    client = pki.client()
    client.minimum_version = client.maximum_version = version
    lines = [b"<34>%07d %s" % (number, b"x" * (number % 90)) for number in range(60_000)]
    await send(one, b"\n".join(lines) + b"\n", client)
    await one.received(len(lines))
    await one.stop()
    assert one.spool.frames == lines


async def test_who_shows_a_certificate_is_named_in_its_rows(listen_tls: Listen, pki: Pki) -> None:
    one = await listen_tls(pki.tls())
    await send(one, b"<34>from web\n", pki.client(pki.web))
    await send(one, b"<34>from db\n", pki.client(pki.db))
    await one.received(2)
    await one.stop()
    found = dict(zip(one.spool.frames, senders_of(one), strict=True))
    assert {address for address, _ in found.values()} == {"127.0.0.1"}
    assert found[b"<34>from web"][1]["tls_subject"].startswith("CN=web-1,OU=")
    assert found[b"<34>from db"][1]["tls_subject"].startswith("CN=db-1,OU=")


@pytest.mark.parametrize(
    ("shown", "reason", "words"),
    [
        (None, "no_certificate", "the sender shows no certificate"),
        ("expired", "expired", "the sender's certificate has expired"),
        ("foreign", "unknown_ca", "the sender's certificate is of an unknown authority: unable to get local issuer"),
        ("db", "not_permitted", "the certificate of CN=db-1,OU="),
    ],
)
async def test_who_may_not_come_in_is_told_apart(
    listen_tls: Listen, pki: Pki, shown: str | None, reason: str, words: str
) -> None:
    one = await listen_tls(pki.tls("*.example.net", "web-1.example.org"))
    with capture_logs() as lines:
        await is_closed(one, pki.client(shown and getattr(pki, shown)))
        await one.reaches("tls_failures_total", 1, reason=reason)
    await send(one, b"<34>a good one\n", pki.client(pki.web))
    await one.received(1)
    await one.stop()
    assert one.spool.frames == [b"<34>a good one"]
    assert one.count("closed_connections_total", reason="tls_failure") == 1
    (line,) = [line for line in lines if line["event"] == "TLS connection closed"]
    assert (line["peer"], line["log_level"]) == ("127.0.0.1", "warning")
    assert line["reason"].startswith(words)


async def test_a_fingerprint_permits_one_certificate(listen_tls: Listen, pki: Pki) -> None:
    pem = pki.web.certificate.read_text()
    digest = hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest()
    one = await listen_tls(pki.tls(f"sha256:{digest}"))
    await send(one, b"<34>pinned\n", pki.client(pki.web))
    await one.received(1)
    await is_closed(one, pki.client(pki.db))
    await one.reaches("tls_failures_total", 1, reason="not_permitted")


@pytest.mark.parametrize("data", [b"<34>plain\n", b"GET / HTTP/1.1\r\n\r\n", b"\x80\x2e\x01\x03\x01"])
async def test_plain_text_on_the_tls_port_is_said_so(listen_tls: Listen, data: bytes) -> None:
    one = await listen_tls()
    with capture_logs() as lines:
        await is_closed(one, None, data)
        await one.reaches("tls_failures_total", 1, reason="plain_text")
    assert [line["reason"] for line in lines if "reason" in line] == ["a sender speaks plain text to the TLS port"]
    assert one.spool.frames == []


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1")
async def test_tls_before_1_2_is_refused(listen_tls: Listen, pki: Pki) -> None:
    one = await listen_tls()
    client = pki.client()
    client.minimum_version, client.maximum_version = ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1_1
    client.set_ciphers("ALL:@SECLEVEL=0")
    with capture_logs() as lines:
        await is_closed(one, client)
        await one.reaches("tls_failures_total", 1, reason="other")
    assert lines[-1]["reason"] == "the sender offers no TLS version from 1.2 on"


def refuse_certificate(address: tuple[str, int], context: ssl.SSLContext) -> None:
    """Say why, unlike a client of asyncio, which just goes."""
    with (
        socket.create_connection(address) as sock,
        pytest.raises(ssl.SSLCertVerificationError),
        context.wrap_socket(sock, server_hostname="localhost"),
    ):
        pass


async def test_a_sender_that_does_not_trust_the_daemon_is_said_so(listen_tls: Listen, pki: Pki) -> None:
    one = await listen_tls()
    with capture_logs() as lines:
        await asyncio.to_thread(refuse_certificate, one.address, pki.theirs.client())
        await one.reaches("tls_failures_total", 1, reason="other")
    assert lines[-1]["reason"] == "the sender refuses this daemon or its certificate: unknown ca"


@pytest.mark.parametrize("begin", [b"", b"\x16", b"\x16\x03\x01\x02\x00\x01\x00"])
async def test_a_handshake_that_stalls_is_ended_and_keeps_nobody_waiting(
    listen_tls: Listen, pki: Pki, begin: bytes
) -> None:
    one = await listen_tls(sweep_seconds=0.01, max_handshakes=4)
    async with AsyncExitStack() as stalling:
        readers = []
        for _ in range(8):
            reader, writer = await stalling.enter_async_context(connected(one, None, sender="127.0.0.2"))
            writer.write(begin)
            readers.append(reader)
        await one.reaches("connections", 8)
        await send(one, b"<34>healthy\n", pki.client())
        await one.received(1)
        assert one.count("tls_failures_total", reason="timeout") == 0
        one.input.apply_tls(one.input.tls, handshake_timeout_seconds=0.02, max_handshakes=4)
        for reader in readers:
            assert await reader.read() == b""
    await one.reaches("tls_failures_total", 8, reason="timeout")
    assert one.count("tls_handshakes") == 0


async def test_one_that_is_gone_in_the_middle_of_its_handshake_gives_its_place_back(listen_tls: Listen) -> None:
    one = await listen_tls(max_handshakes=1)
    async with connected(one, None) as (_, writer):
        writer.write(b"\x16\x03\x01\x02\x00")
        await one.reaches("tls_handshakes", 1)
    await one.reaches("tls_handshakes", 0)
    assert one.count("tls_failures_total", reason="other") == 1


async def test_a_look_whether_the_port_is_open_is_no_failure(listen_tls: Listen) -> None:
    one = await listen_tls()
    async with connected(one, None):
        await one.reaches("connections", 1)
    await one.reaches("closed_connections_total", 1, reason="peer")
    assert all(one.count("tls_failures_total", reason=reason) == 0 for reason in ("other", "timeout", "plain_text"))


async def test_more_handshakes_than_places_wait_for_their_turn(listen_tls: Listen, pki: Pki) -> None:
    one = await listen_tls(max_handshakes=4)
    senders = [send(one, b"<34>%d\n" % number, pki.client()) for number in range(40)]
    await asyncio.gather(*senders)
    await one.received(40)
    await one.stop()
    assert sorted(one.spool.frames) == sorted(b"<34>%d" % number for number in range(40))
    assert one.count("tls_handshakes") == 0


async def test_who_waits_for_a_place_can_be_told_to_go(listen_tls: Listen) -> None:
    one = await listen_tls(max_handshakes=1)
    async with connected(one, None) as (_, first), connected(one, None) as (second, waiting):
        first.write(b"\x16\x03\x01\x02\x00")
        await one.reaches("tls_handshakes", 1)
        waiting.write(b"\x16\x03\x01\x02\x00")
        await one.reaches("connections", 2)
        await one.stop()
        assert await second.read() == b""
    assert one.count("tls_handshakes") == 0


async def test_who_is_not_allowed_gets_no_handshake(listen_tls: Listen, pki: Pki) -> None:
    one = await listen_tls(admission={"allow": ["192.0.2.0/24"]})
    await is_closed(one, pki.client())
    await one.reaches("denied_connections_total", 1)
    assert one.count("accepted_connections_total") == 0


async def handshake(
    sock: socket.socket, context: ssl.SSLContext
) -> tuple[ssl.SSLObject, Callable[[Callable[[], Any]], Awaitable[Any]]]:
    """Shake hands over a socket; returns the client, and what does something with it until it is done."""
    loop = asyncio.get_running_loop()
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing, server_hostname="localhost")

    async def until_done(step: Callable[[], Any]) -> Any:
        while True:
            try:
                return step()
            except ssl.SSLWantReadError:
                await loop.sock_sendall(sock, outgoing.read())
                incoming.write(await loop.sock_recv(sock, 65_536))
            finally:
                await loop.sock_sendall(sock, outgoing.read())

    await until_done(tls.do_handshake)
    return tls, until_done


async def test_our_close_is_said_to_the_sender(listen_tls: Listen, pki: Pki) -> None:
    one = await listen_tls(idle_timeout_seconds=0.05, frame_deadline_seconds=0.05, sweep_seconds=0.01)
    with socket.create_connection(one.address) as sock:
        sock.setblocking(False)
        tls, until_done = await handshake(sock, pki.client())
        await until_done(lambda: tls.write(b"<34>half a line"))
        assert await until_done(lambda: tls.read(1)) == b""  # close_notify, not just the end of the connection
    await one.stop()
    assert one.spool.frames == [b"<34>half a line"]


async def test_a_stop_shows_senders_the_end_of_tcp_and_reads_on(listen_tls: Listen, pki: Pki) -> None:
    """A close_notify would hide it from who looks at TCP before he sends, as rsyslog does."""
    one = await listen_tls()
    loop = asyncio.get_running_loop()
    with socket.create_connection(one.address) as sock:
        sock.setblocking(False)
        tls, until_done = await handshake(sock, pki.client())
        await until_done(lambda: tls.write(b"<34>before\n"))
        await one.received(1)
        stopping = asyncio.create_task(one.stop())
        assert await loop.sock_recv(sock, 1) == b""
        await until_done(lambda: tls.write(b"<34>on its way\n"))
    await stopping
    assert one.spool.frames == [b"<34>before", b"<34>on its way"]


async def fill_window(transport: Any) -> None:
    """Leave the peer with so much that it does not read that the kernel takes not a byte more."""
    refused = 0
    while refused < 20:  # what it refuses now it may take when the other side's buffer has grown
        try:
            os.write(transport.get_extra_info("socket").fileno(), b"x" * 65_536)
            refused = 0
        except BlockingIOError:
            refused += 1
            await asyncio.sleep(0.001)


@pytest.mark.parametrize("stopping", [False, True])
async def test_a_peer_that_does_not_read_our_close_is_not_waited_for(
    listen_tls: Listen, pki: Pki, stopping: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("logstreamd.inputs.tcp._CLOSE_SECONDS", 0.05)
    one = await listen_tls(sweep_seconds=60 if stopping else 0.01)
    with socket.create_connection(one.address) as sock:
        sock.setblocking(False)
        await handshake(sock, pki.client())
        await one.reaches("connections", 1)
        (connection,) = one.input._connections
        await fill_window(connection._transport)
        if stopping:
            await one.stop()
        else:
            connection.close("idle")
        await one.reaches("connections", 0)


async def test_who_does_not_read_our_answers_is_not_read_itself(listen_tls: Listen, pki: Pki) -> None:
    one = await listen_tls()
    async with connected(one, pki.client()) as (_, writer):
        writer.write(b"<34>first\n")
        await one.received(1)
        (connection,) = one.input._connections
        connection.pause_writing()  # what the event loop says when its buffer is full
        writer.write(b"<34>second\n")
        await writer.drain()
        for _ in range(50):
            await asyncio.sleep(0)
        assert one.count("received_frames_total") == 1
        connection.resume_writing()
        await one.received(2)


async def test_what_is_damaged_on_the_way_ends_the_connection(listen_tls: Listen, pki: Pki) -> None:
    one = await listen_tls()
    async with connected(one, pki.client()) as (_, writer):
        writer.write(b"<34>whole\n100 <34>half")
        await one.received(1)
        sock = writer.get_extra_info("socket")
        with socket.socket(fileno=socket.dup(sock.fileno())) as raw:
            raw.send(b"\x17\x03\x03\x00\x20" + b"x" * 32)
        await one.reaches("tls_failures_total", 1, reason="other")
    await one.reaches("closed_connections_total", 1, reason="tls_failure")
    await one.stop()
    assert one.spool.frames == [b"<34>whole", b"<34>half"]
    assert [flag for batch in one.spool.kept for flag in batch.flags] == [0, PARTIAL]


async def test_a_new_certificate_is_for_new_connections(listen_tls: Listen, pki: Pki) -> None:
    one = await listen_tls(pki.tls(mutual=False))
    async with connected(one, pki.client()) as (_, writer):
        await one.reaches("connections", 1)
        successor = pki.theirs.issue("localhost")
        one.input.apply_tls(load_server_tls(successor), handshake_timeout_seconds=60, max_handshakes=100)
        await send(one, b"<34>new\n", pki.theirs.client())
        await one.received(1)
        writer.write(b"<34>old\n")
        await one.received(2)
        await is_closed(one, pki.client())
    await one.stop()
    assert one.spool.frames == [b"<34>new", b"<34>old"]


async def test_a_congested_input_makes_tls_senders_wait_and_loses_nothing(listen_tls: Listen, pki: Pki) -> None:
    one = await listen_tls(rows=100)
    one.spool.has_room = False
    lines = [b"<34>%07d %s" % (number, b"x" * 100) for number in range(30_000)]
    sending = asyncio.create_task(send(one, b"\n".join(lines) + b"\n", pki.client()))
    await one.reaches("input_paused", 1)
    assert one.count("received_frames_total") < len(lines)
    one.spool.open_up()
    one.gatherer.room()
    await sending
    await one.received(len(lines))
    await one.stop()
    assert one.spool.frames == lines
