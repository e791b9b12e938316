"""Tokens on the real daemon: from every place they may come from, on every route, and from the commands."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPResponse, IncompleteRead
from pathlib import Path

import pytest

from logstreamd.tokens import SCOPES, digest_of, new_token
from tests.acceptance.command import ask, running
from tests.acceptance.daemon_process import DaemonProcess, wait_for
from tests.acceptance.reloading import Reloading

# Written down by hand, not taken from the daemon: what a client may rely on.
INGEST, QUERY, ADMIN, METRICS, OPEN = {"ingest"}, {"query"}, {"admin"}, {"metrics"}, set(SCOPES)
ROUTES = {
    ("POST", "/api/v1/logs"): INGEST,
    ("GET", "/api/v1/logs"): QUERY,
    ("GET", "/api/v1/logs?format=ndjson"): QUERY,
    ("GET", "/api/v1/logs/tail"): QUERY,
    ("GET", "/api/v1/counts"): QUERY,
    ("GET", "/api/v1/fields"): QUERY,
    ("GET", "/api/v1/fields/level/values"): QUERY,
    ("GET", "/api/v1/spikes"): QUERY,
    ("GET", "/api/v1/errors/stats"): QUERY,
    ("GET", "/errors/stats"): QUERY,
    ("GET", "/api/v1/rules"): QUERY,
    ("GET", "/api/v1/alerts"): QUERY,
    ("GET", "/api/v1/alerts/history"): QUERY,
    ("GET", "/prometheus/api/v1/rules"): QUERY,
    ("GET", "/prometheus/api/v1/alerts"): QUERY,
    ("GET", "/api/v1/silences"): QUERY,
    ("GET", "/api/v1/silences/8f8b8f0e-0000-4000-8000-000000000000"): QUERY,
    ("POST", "/api/v1/silences"): ADMIN,
    ("DELETE", "/api/v1/silences/8f8b8f0e-0000-4000-8000-000000000000"): ADMIN,
    ("GET", "/status"): QUERY | ADMIN,
    ("GET", "/metrics"): METRICS,
    ("GET", "/health"): OPEN,
    ("GET", "/ready"): OPEN,
    ("GET", "/api/v1/openapi.json"): OPEN,
}


@dataclass(frozen=True)
class Guarded:
    """A daemon and the tokens it knows, by their only scope."""

    daemon: DaemonProcess
    tokens: dict[str, str]


@pytest.fixture(scope="module")
def guarded(make_database: Callable[[], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    """A daemon with a token from its configuration, one from a file, one from the environment, one of systemd's."""
    directory = tmp_path_factory.mktemp("guarded")
    tokens = {scope: new_token() for scope in SCOPES}
    lines = {scope: f"{scope}-client sha256:{digest_of(text).hex()} {scope}\n" for scope, text in tokens.items()}
    (directory / "tokens").write_text(lines["query"])
    (directory / "logstreamd-tokens").write_text(lines["metrics"] + lines["ingest"])
    listed = f"[{{name: admin-client, sha256: {digest_of(tokens['admin']).hex()}, scopes: [admin]}}]"
    environment = {"LOGSTREAMD_HTTP__TOKENS": listed, "CREDENTIALS_DIRECTORY": str(directory)}
    http = {"listen": "127.0.0.1:0", "tokens_file": str(directory / "tokens")}
    daemon = DaemonProcess(directory / "state", dsn=make_database(), settings={"http": http}, environment=environment)
    daemon.token = tokens["query"]
    try:
        yield Guarded(daemon.start(), tokens)
        daemon.stop()
    finally:
        daemon.dispose()


def status_of(guarded: Guarded, method: str, path: str, token: str | None) -> tuple[int, HTTPResponse]:
    """Ask and read the head of the answer only: one of them has no end."""
    host, _, port = guarded.daemon.url.removeprefix("http://").rpartition(":")
    connection = HTTPConnection(host, int(port), timeout=30)
    try:
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
        connection.request(method, path, b"{}" if method == "POST" else None, headers)
        answer = connection.getresponse()
        return answer.status, answer
    finally:
        connection.close()


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_each_route_is_open_to_its_scopes_and_to_no_other(guarded: Guarded, method: str, path: str) -> None:
    allowed = ROUTES[method, path]
    without = {name: status_of(guarded, method, path, token)[0] for name, token in (("none", None), ("wrong", "x"))}
    found = {scope: status_of(guarded, method, path, token)[0] for scope, token in guarded.tokens.items()}
    if allowed == OPEN:
        assert {*without.values(), *found.values()} == {200}
        return
    assert without == {"none": 401, "wrong": 401}
    assert {scope for scope, status in found.items() if status == 403} == OPEN - allowed
    # What lies behind the check answers for itself: 404 for a silence that is not there, 400 for an empty log.
    assert {status for scope, status in found.items() if scope in allowed} <= {200, 400, 404}


def test_no_route_was_forgotten_here(guarded: Guarded) -> None:
    paths = guarded.daemon.get("/api/v1/openapi.json").json()["paths"]
    described = {(method.upper(), path) for path, item in paths.items() for method in item}
    silence, values = "/api/v1/silences/8f8b8f0e-0000-4000-8000-000000000000", "/api/v1/fields/level/values"
    names = {silence: "/api/v1/silences/{id}", values: "/api/v1/fields/{name}/values"}
    plain = {(method, path.partition("?")[0]) for method, path in ROUTES}
    assert {(method, names.get(path, path)) for method, path in plain} == described


@pytest.mark.parametrize("path", ["/api/v1/logs/tail", "/api/v1/logs?format=csv", "/api/v1/logs?limit=x", "/nowhere"])
def test_streams_and_errors_have_the_same_headers_as_everything(guarded: Guarded, path: str) -> None:
    _, answer = status_of(guarded, "GET", path, guarded.tokens["query"])
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert "Server" not in answer.headers


def test_a_client_that_knows_basic_only_brings_the_token_as_its_password(guarded: Guarded) -> None:
    login = b64encode(f"anybody:{guarded.tokens['ingest']}".encode()).decode()
    headers = {"Content-Type": "application/json", "Authorization": f"Basic {login}"}
    answer = guarded.daemon.post("/api/v1/logs", b'{"message": "by password", "service": "basic"}', headers)
    assert answer.status == 200, answer
    (line,) = wait_for("the line", lambda: guarded.daemon.logs(service="basic"))
    assert line["message"] == "by password"


def test_the_state_says_that_tokens_are_wanted_and_nothing_of_them(guarded: Guarded) -> None:
    answer = guarded.daemon.get("/status")
    assert answer.json()["access"] == "tokens"
    for text in guarded.tokens.values():
        for secret in (text, digest_of(text).hex()):
            assert secret not in answer.body.decode()
            assert secret not in guarded.daemon.output


def test_commands_bring_the_token_of_the_environment_or_of_a_file(guarded: Guarded, tmp_path: Path) -> None:
    done = ask(guarded.daemon, "query", "--limit", "1", LOGSTREAMD_TOKEN=guarded.tokens["query"])
    assert (done.returncode, done.stderr) == (0, "")
    (tmp_path / "token").write_text(guarded.tokens["query"] + "\n")
    done = ask(guarded.daemon, "query", "--count-by", "level", "--token-file", str(tmp_path / "token"))
    assert (done.returncode, done.stderr) == (0, "")
    with running(guarded.daemon.url, tmp_path, "tail", "-n", "0", LOGSTREAMD_TOKEN=guarded.tokens["query"]) as tail:
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {guarded.tokens['ingest']}"}
        wait_for(
            "a line in the tail",
            lambda: guarded.daemon.post("/api/v1/logs", b'{"message": "follow me"}', headers) and tail.lines,
        )
        assert "follow me" in tail.lines[0]
        assert tail.interrupt() == 0


@pytest.mark.parametrize(
    ("token", "said"),
    [
        (None, "wants a token: put it into LOGSTREAMD_TOKEN, or name its file with --token-file"),
        ("wrong", "does not know the token of LOGSTREAMD_TOKEN"),
        ("metrics", "this token lacks the scope query (LOGSTREAMD_TOKEN): `logstreamd token create` makes one"),
    ],
)
@pytest.mark.parametrize("command", ["query", "tail"])
def test_commands_say_what_to_do_where_they_are_turned_away(
    guarded: Guarded, command: str, token: str | None, said: str
) -> None:
    variables = {"LOGSTREAMD_TOKEN": guarded.tokens.get(token, "lsd_wrong")} if token else {}
    done = ask(guarded.daemon, command, **variables)
    assert (done.returncode, done.stdout) == (1, "")
    assert said in done.stderr
    assert "lsd_" not in done.stderr


def test_a_bad_file_of_tokens_keeps_the_daemon_from_starting(make_daemon: Callable[..., DaemonProcess]) -> None:
    daemon = make_daemon(dsn="embedded")
    file = daemon.config_file.with_name("tokens")
    file.write_text("# tokens\nlsd_hunter2 query\n")
    daemon.environment = {"LOGSTREAMD_HTTP__TOKENS_FILE": str(file)}
    daemon.launch()
    assert daemon.wait_exit() == 2
    assert daemon.output.startswith(f"{file}:2:1: must be a line such as: grafana sha256:… query,metrics")
    assert "hunter2" not in daemon.output


@contextmanager
def followed(guarded: Guarded, token: str) -> Iterator[HTTPResponse]:
    """Follow the log while the block runs."""
    host, _, port = guarded.daemon.url.removeprefix("http://").rpartition(":")
    connection = HTTPConnection(host, int(port), timeout=30)
    connection.request("GET", "/api/v1/logs/tail", headers={"Authorization": f"Bearer {token}"})
    answer = connection.getresponse()
    assert answer.readline() == b"retry: 2000\n"
    try:
        yield answer
    finally:
        answer.close()
        connection.close()


def test_a_reload_lets_tokens_in_and_out_and_ends_only_what_they_had_going_on(guarded: Guarded) -> None:
    file = guarded.daemon.config_file.with_name("tokens")
    before, added = file.read_text(), new_token()
    reloading = Reloading(guarded.daemon)
    try:
        assert status_of(guarded, "GET", "/api/v1/logs", added)[0] == 401
        file.write_text(f"{before}added sha256:{digest_of(added).hex()} query\n")
        assert reloading.hang_up()["outcome"] == "applied"
        with followed(guarded, added) as ended, followed(guarded, guarded.tokens["query"]) as kept:
            file.write_text("# nobody\n")
            last = reloading.hang_up()
            assert (last["outcome"], len(last["problems"])) == ("refused", 1)
            assert status_of(guarded, "GET", "/api/v1/logs", added)[0] == 200
            file.write_text(before)
            assert reloading.hang_up()["outcome"] == "applied"
            with pytest.raises(IncompleteRead):
                ended.read()
            headers = {"Content-Type": "application/json", "Authorization": f"Bearer {guarded.tokens['ingest']}"}
            guarded.daemon.post("/api/v1/logs", b'{"message": "still here"}', headers)
            assert any(b"still here" in line for line in iter(kept.readline, b""))
        assert status_of(guarded, "GET", "/api/v1/logs", added)[0] == 401
    finally:
        file.write_text(before)
