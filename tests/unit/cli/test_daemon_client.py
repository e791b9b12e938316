"""What commands say to a daemon over HTTP and HTTPS, and what they make of its refusals."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trustme
from aiohttp import web
from aiohttp.test_utils import TestServer

from logstreamd.cli.daemon_client import DaemonClient, Lost, Refused
from logstreamd.cli.endpoint import Endpoint


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def ca_file(authority: trustme.CA, tmp_path: Path) -> Path:
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    return tmp_path / "ca.pem"


async def echo(request: web.Request) -> web.Response:
    """Answer as the path says, with what came as authorization."""
    return web.Response(status=int(request.match_info["status"]), text=request.headers.get("Authorization", "none"))


def application() -> web.Application:
    echoing = web.Application()
    echoing.router.add_get("/{status}", echo)
    return echoing


@pytest.fixture
async def plain() -> AsyncIterator[str]:
    """Where an HTTP server is."""
    async with TestServer(application()) as server:
        yield f"http://127.0.0.1:{server.port}"


@pytest.fixture
async def encrypted(authority: trustme.CA) -> AsyncIterator[int]:
    """The port of an HTTPS server whose certificate is for localhost."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    server = TestServer(application(), scheme="https")
    await server.start_server(ssl=context)
    yield int(server.port or 0)
    await server.close()


async def test_the_token_is_brought_with_every_question(plain: str) -> None:
    async with DaemonClient(Endpoint(plain, "lsd_x")) as client:
        assert await client.ask("/200", []) == b"Bearer lsd_x"
    async with DaemonClient(Endpoint(plain)) as client:
        assert await client.ask("/200", []) == b"none"


async def test_a_certificate_of_a_known_authority_is_trusted(encrypted: int, ca_file: Path) -> None:
    async with DaemonClient(Endpoint(f"https://localhost:{encrypted}", "lsd_x", ca_file=ca_file)) as client:
        assert await client.ask("/200", []) == b"Bearer lsd_x"


async def test_one_of_an_unknown_authority_is_not(encrypted: int) -> None:
    async with DaemonClient(Endpoint(f"https://localhost:{encrypted}", "lsd_x")) as client:
        with pytest.raises(
            Lost, match=r"is not trusted \(unable to get local issuer certificate\).*--ca or LOGSTREAMD_CA"
        ):
            await client.ask("/200", [])


async def test_neither_is_one_for_another_name(encrypted: int, ca_file: Path) -> None:
    async with DaemonClient(Endpoint(f"https://127.0.0.1:{encrypted}", "lsd_x", ca_file=ca_file)) as client:
        with pytest.raises(Lost, match=r"is not trusted \(IP address mismatch.*by a name that its certificate has"):
            await client.ask("/200", [])


@pytest.mark.parametrize(
    ("status", "token", "said"),
    [
        (401, None, "wants a token: put it into LOGSTREAMD_TOKEN, or name its file with --token-file"),
        (401, "lsd_x", "does not know the token of LOGSTREAMD_TOKEN"),
        (403, "lsd_x", "does not answer as logstreamd does"),  # a proxy of somebody
    ],
)
async def test_a_refusal_says_what_to_do_whoever_gives_it(
    plain: str, status: int, token: str | None, said: str
) -> None:
    async with DaemonClient(Endpoint(plain, token)) as client:
        with pytest.raises(Refused, match=said) as refusal:
            await client.ask(f"/{status}", [])
    assert "lsd_x" not in refusal.value.message
