"""What is taken for a token in the headers of a request, whatever they hold."""

from __future__ import annotations

from base64 import b64encode

from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from hypothesis import given
from hypothesis import strategies as st

from logstreamd.api.credentials import read_token
from logstreamd.api.origins import is_served
from logstreamd.tokens import TokenSet, new_token


def request_of(**headers: str) -> web.Request:
    return make_mocked_request("GET", "/", headers={name: value for name, value in headers.items() if value})


@given(st.text() | st.text().map("Bearer ".__add__) | st.text().map("Basic ".__add__))
def test_no_header_brings_the_reading_down(header: str) -> None:
    text = read_token(request_of(Authorization=header))
    assert text is None or TokenSet().find(text) is None


@given(st.binary())
def test_neither_do_bytes_that_are_no_login(login: bytes) -> None:
    assert read_token(request_of(Authorization=f"Basic {b64encode(login).decode()}")) is not None


@given(st.text(st.characters(exclude_characters=":", exclude_categories=["Cs"])))
def test_a_token_comes_out_as_it_was_put_in(user: str) -> None:
    token = new_token()
    login = b64encode(f"{user}:{token}".encode()).decode()
    assert read_token(request_of(Authorization=f"Basic {login}")) == token
    assert read_token(request_of(Authorization=f"bearer {token}")) == token


@given(st.from_regex(r"[A-Za-z0-9.-]{0,20}localhost[A-Za-z0-9.@:-]{0,20}", fullmatch=True))
def test_nothing_around_a_name_makes_it_that_name(host: str) -> None:
    name = host.lower().partition(":")[0].removesuffix(".")
    port = host.partition(":")[2]
    served = name == "localhost" and (not port or port.isdigit())
    assert is_served(request_of(Host=host), {"localhost"}) == served
