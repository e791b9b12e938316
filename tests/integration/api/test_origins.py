"""Names under which the server may be asked, and web pages that may read its answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from logstreamd.config import HttpConfig, ListenAddress
from logstreamd.tokens import Token, TokenSet, digest_of

GRAFANA = "https://grafana.example.org"
PREFLIGHT = {"Access-Control-Request-Method": "DELETE", "Access-Control-Request-Headers": "authorization"}


async def ask(api: Any, method: str = "GET", path: str = "/health", **headers: str) -> tuple[int, Any, dict[str, str]]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    async with api.client.request(method, api.url + path, headers=named) as answer:
        body = await answer.json() if answer.content_type == "application/json" else None
        return answer.status, body, {**answer.headers, "Vary": ",".join(answer.headers.getall("Vary", []))}


@pytest.mark.parametrize(
    "host", ["localhost", "LocalHost:80", "localhost.", "127.0.0.1:8514", "[::1]", "[::1]:8514", "logs.example.org:443"]
)
async def test_on_a_loopback_address_it_is_asked_as_localhost_or_as_allowed(
    start_api: Callable[..., Any], host: str
) -> None:
    api = await start_api(http=HttpConfig(allowed_hosts=("logs.example.org",)))
    assert (await ask(api, Host=host))[0] == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "localhost.evil.example:8514",
        "logs.example.org.evil.example",
        "xlogs.example.org",
        "127.0.0.1.evil.example",
        "127.0.0.2",
        "[::2]",
        "::1",
        "localhost:x",
        "localhost@evil.example",
        "",
    ],
)
async def test_under_every_other_name_it_is_not_served(start_api: Callable[..., Any], host: str) -> None:
    api = await start_api(http=HttpConfig(allowed_hosts=("logs.example.org",)))
    status, body, _ = await ask(api, Host=host)
    assert (status, body["error"]["code"]) == (421, "wrong_host")
    assert "http.allowed_hosts" in body["error"]["message"]
    assert api.metrics.http_denied_requests.labels("host")._value.get() == 1


async def test_the_host_of_the_listen_address_is_a_name_of_it(start_api: Callable[..., Any]) -> None:
    api = await start_api(http=HttpConfig(listen=ListenAddress("127.0.0.7", 8514)))
    assert (await ask(api, Host="127.0.0.7"))[0] == 200
    api.access.apply(HttpConfig(listen=ListenAddress("::1", 8514)), TokenSet())
    assert (await ask(api, Host="127.0.0.7"))[0] == 421


async def test_on_an_open_address_every_name_is_served_unless_some_are_given(start_api: Callable[..., Any]) -> None:
    listen = ListenAddress("*", 8514)
    api = await start_api(http=HttpConfig(listen=listen))
    assert (await ask(api, Host="logstreamd"))[0] == 200
    api.access.apply(HttpConfig(listen=listen, allowed_hosts=("logs.example.org",)), TokenSet())
    statuses = [(await ask(api, Host=host))[0] for host in ("logs.example.org", "localhost", "logstreamd")]
    assert statuses == [200, 200, 421]


async def test_without_listed_origins_no_page_is_told_that_it_may_read(start_api: Callable[..., Any]) -> None:
    api = await start_api()
    for method, status in (("GET", 200), ("OPTIONS", 405)):
        answer = await ask(api, method, Origin=GRAFANA, **PREFLIGHT)
        assert answer[0] == status
        assert not [name for name in answer[2] if name.startswith("Access-Control")]


async def test_a_page_of_a_listed_origin_may_ask_and_read(start_api: Callable[..., Any]) -> None:
    tokens = TokenSet([Token("a", digest_of("admin"), frozenset({"admin"}))])
    api = await start_api(http=HttpConfig(cors_origins=(GRAFANA, "http://localhost:3000")), tokens=tokens)
    # A preflight carries no token.
    status, _, headers = await ask(api, "OPTIONS", "/api/v1/logs", Origin=GRAFANA, **PREFLIGHT)
    assert status == 204
    assert headers["Access-Control-Allow-Origin"] == GRAFANA
    assert "DELETE" in headers["Access-Control-Allow-Methods"]
    assert "Authorization" in headers["Access-Control-Allow-Headers"]
    assert headers["Vary"] == "Origin"
    # A refusal can be read, too.
    status, _, headers = await ask(api, "GET", "/status", Origin=GRAFANA)
    assert (status, headers["Access-Control-Allow-Origin"], headers["Vary"]) == (401, GRAFANA, "Origin")
    assert "Access-Control-Allow-Credentials" not in headers


@pytest.mark.parametrize("origin", ["https://evil.example", GRAFANA + ".evil.example", GRAFANA + ":8443", "null", ""])
async def test_a_page_of_another_origin_may_not(start_api: Callable[..., Any], origin: str) -> None:
    api = await start_api(http=HttpConfig(cors_origins=(GRAFANA,)))
    for method, status in (("GET", 200), ("OPTIONS", 405)):
        answer = await ask(api, method, Origin=origin, **PREFLIGHT)
        assert answer[0] == status
        assert not [name for name in answer[2] if name.startswith("Access-Control")]
        assert answer[2]["Vary"] == "Origin"  # what a cache keeps is not for pages of another origin
