"""Tokens in the configuration, in a file and as a credential: what is read, what is refused, and that nothing leaks."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from logstreamd.config import Config, ConfigError, load_config
from logstreamd.config.token_file import CREDENTIAL, configured_tokens, token_line
from logstreamd.tokens import MAX_TOKENS, Token, TokenSet, digest_of

SECRET = "lsd_hunter2"  # stands for a token where its hash belongs
HASH = digest_of("first").hex()
OTHER = digest_of("second").hex()


def tokens_of(file: Path | None, environ: Mapping[str, str] | None = None, **variables: str) -> TokenSet:
    settings = {"LOGSTREAMD_HTTP__TOKENS_FILE": str(file)} if file else {}
    return configured_tokens(load_config(None, settings | variables).http, environ or {})


def problems_of(tmp_path: Path, text: str | bytes, variables: Mapping[str, str] | None = None) -> list[str]:
    file = tmp_path / "tokens"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ConfigError) as refusal:
        tokens_of(file, None, **(variables or {}))
    return [str(problem).removeprefix(f"{file}:") for problem in refusal.value.problems]


def test_without_any_there_are_none() -> None:
    assert len(configured_tokens(Config().http, {})) == 0


def test_a_file_has_a_token_a_line_and_comments(tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    file.write_text(
        f"# tokens\n\n  grafana\tsha256:{HASH.upper()}  query,metrics  # ours\r\nvector sha256:{OTHER} ingest"
    )
    tokens = tokens_of(file)
    assert Token("grafana", digest_of("first"), frozenset({"query", "metrics"})) in tokens
    assert Token("vector", digest_of("second"), frozenset({"ingest"})) in tokens
    assert len(tokens) == 2


def test_the_line_that_is_printed_can_be_read(tmp_path: Path) -> None:
    token = Token("all.of-them_1", digest_of("x"), frozenset({"ingest", "query", "admin", "metrics"}))
    (tmp_path / "tokens").write_text(token_line(token))
    assert token in tokens_of(tmp_path / "tokens")


def test_the_environment_has_them_as_a_list() -> None:
    tokens = tokens_of(None, LOGSTREAMD_HTTP__TOKENS=f"[{{name: a, sha256: {HASH}, scopes: [query]}}]")
    assert tokens.find("first") == Token("a", digest_of("first"), frozenset({"query"}))


def test_a_credential_of_systemd_is_a_file_of_tokens(tmp_path: Path) -> None:
    credentials = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    assert len(tokens_of(None, credentials)) == 0
    (tmp_path / CREDENTIAL).write_text(f"a sha256:{HASH} query\n")
    assert tokens_of(None, credentials).find("first") is not None


def test_all_sources_add_up_and_no_token_comes_twice(tmp_path: Path) -> None:
    listed = f"[{{name: a, sha256: {HASH}, scopes: [query]}}]"
    assert problems_of(
        tmp_path, f"a sha256:{OTHER} admin\nb sha256:{HASH} admin\n", {"LOGSTREAMD_HTTP__TOKENS": listed}
    ) == [
        "1:1: the name 'a' is already that of a token in http.tokens",
        "2:1: this is the token 'a' again",
    ]
    file = tmp_path / "tokens"
    file.write_text(f"b sha256:{OTHER} admin\n")
    assert len(tokens_of(file, LOGSTREAMD_HTTP__TOKENS=listed)) == 2


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("x", "2:3: must be a line such as: grafana sha256:… query,metrics (`logstreamd token create` prints one)"),
        (f"a b sha256:{HASH} query", "2:3: must be a line such as"),
        (f"a!b sha256:{HASH} query", "2:3: name: must be 1..32 of A-Z a-z 0-9 _ - ."),
        (f"a md5:{HASH} query", "2:5: hash: must begin with sha256:"),
        ("a sha256:12 query", "2:5: hash: must be the SHA-256 of a token"),
        (
            f"a sha256:{HASH}  quary",
            f"2:{5 + 71 + 2}: scopes: must be one of ingest, query, admin, metrics (did you mean",
        ),
        (f"a sha256:{HASH} query,", "scopes: must be one of"),
    ],
)
def test_a_line_that_cannot_be_read_is_reported_with_its_place(tmp_path: Path, line: str, expected: str) -> None:
    (problem,) = problems_of(tmp_path, f"# tokens\n  {line}\n")
    assert expected in problem


@pytest.mark.parametrize(
    "line", [SECRET, f"{SECRET} query", f"a {SECRET} query", f"a sha256:{SECRET} query", f"a sha256:{HASH} {SECRET}"]
)
def test_a_token_in_the_place_of_its_hash_is_not_repeated(tmp_path: Path, line: str) -> None:
    assert "hunter2" not in "".join(problems_of(tmp_path, line))


@pytest.mark.parametrize(
    "text",
    [
        SECRET,
        f"[{SECRET}]",
        f"[{{name: {SECRET} 1, sha256: {SECRET}, scopes: {SECRET}}}]",
        f"[{{name: a, sha256: {HASH}, scopes: [{SECRET}], token: {SECRET}}}]",
    ],
)
def test_neither_is_one_in_the_configuration(text: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        load_config(None, {"LOGSTREAMD_HTTP__TOKENS": text})
    assert refusal.value.problems
    assert "hunter2" not in str(refusal.value)


@pytest.mark.parametrize("text", ["", "# none yet\n\n"])
def test_a_file_without_a_token_does_not_open_the_door(tmp_path: Path, text: str) -> None:
    assert problems_of(tmp_path, text) == [" http.tokens_file: has no token in it: everybody would be let in"]


def test_every_problem_of_a_file_is_reported_at_once(tmp_path: Path) -> None:
    assert len(problems_of(tmp_path, f"a! md5:x {SECRET}\nb\nc sha256:{HASH} query\nc sha256:{OTHER} query")) == 5


def test_there_is_a_most_of_tokens(tmp_path: Path) -> None:
    lines = [token_line(Token(str(number), digest_of(str(number)), frozenset({"query"}))) for number in range(257)]
    assert MAX_TOKENS == 256
    assert problems_of(tmp_path, "\n".join(lines)) == ["257:1: more than 256 tokens"]


def test_a_file_that_everybody_may_write_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    file.write_text(f"a sha256:{HASH} query\n")
    file.chmod(0o644)  # to read it is no use to anybody
    assert len(tokens_of(file)) == 1
    file.chmod(0o602)
    with pytest.raises(ConfigError, match=f"tokens: http.tokens_file: everybody may write it.*chmod o-w {file}"):
        tokens_of(file)


def test_a_file_that_cannot_be_read_is_a_problem(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"tokens: http\.tokens_file: cannot be read: No such file"):
        tokens_of(tmp_path / "tokens")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ConfigError, match="is no regular file"):
        tokens_of(tmp_path / "pipe")
    assert problems_of(tmp_path, b"\xff") == [" http.tokens_file: is not UTF-8"]
    assert problems_of(tmp_path, b"#" * (64 * 1024 + 1)) == [
        " http.tokens_file: is larger than 64 KiB: this is no file of tokens"
    ]


def test_two_listed_tokens_are_different_in_name_and_text() -> None:
    one = f"{{name: a, sha256: {HASH}, scopes: [query]}}"
    with pytest.raises(ConfigError, match=r"TOKENS\[1\].name: 'a' is already the name of http.tokens\[0\]"):
        load_config(None, {"LOGSTREAMD_HTTP__TOKENS": f"[{one}, {one}]"})
    with pytest.raises(ConfigError, match=r"TOKENS\[1\].sha256: this is the token 'a' again"):
        load_config(None, {"LOGSTREAMD_HTTP__TOKENS": f"[{one}, {one.replace('name: a', 'name: b')}]"})


def test_printing_the_configuration_shows_no_hash() -> None:
    config = load_config(None, {"LOGSTREAMD_HTTP__TOKENS": f"[{{name: a, sha256: {HASH}, scopes: [query]}}]"})
    assert HASH not in repr(config)


@pytest.mark.parametrize(
    ("written", "read"),
    [("LOGS.example.org", "logs.example.org"), ("192.0.2.1", "192.0.2.1"), ("'[2001:db8::0:1]'", "[2001:db8::1]")],
)
def test_a_host_is_a_name_or_an_address_without_a_port(written: str, read: str) -> None:
    assert load_config(None, {"LOGSTREAMD_HTTP__ALLOWED_HOSTS": f"[{written}]"}).http.allowed_hosts == (read,)


@pytest.mark.parametrize("host", ["logs:80", "'*'", "''", "'*.example.org'", "'http://logs'", "1.2.3.4.5", "{a: b}"])
def test_everything_else_is_no_host(host: str) -> None:
    with pytest.raises(ConfigError, match=r"ALLOWED_HOSTS\[0\]: must"):
        load_config(None, {"LOGSTREAMD_HTTP__ALLOWED_HOSTS": f"[{host}]"})


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("https://Grafana.example.org:443/", "https://grafana.example.org"),
        ("http://localhost:3000", "http://localhost:3000"),
        ("'http://[::1]:80'", "http://[::1]"),
    ],
)
def test_an_origin_is_read_as_browsers_write_it(written: str, read: str) -> None:
    assert load_config(None, {"LOGSTREAMD_HTTP__CORS_ORIGINS": f"[{written}]"}).http.cors_origins == (read,)


@pytest.mark.parametrize(
    "origin",
    ["'*'", "null", "'null'", "https://a/b", "https://u@a", "ftp://a", "a.example", "https://a:x", "https://*.a"],
)
def test_everything_else_is_no_origin(origin: str) -> None:
    with pytest.raises(ConfigError, match=r"CORS_ORIGINS\[0\]: must be the origin of a page"):
        load_config(None, {"LOGSTREAMD_HTTP__CORS_ORIGINS": f"[{origin}]"})
