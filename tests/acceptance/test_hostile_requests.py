"""Requests that nobody means well with: SQL in every parameter there is, and what is hardly HTTP."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from urllib.parse import quote, urlencode

import pytest
from prometheus_client.parser import text_string_to_metric_families

from logstreamd import __version__
from logstreamd.api.openapi import describe_api
from tests.acceptance.daemon_process import DaemonProcess
from tests.acceptance.database import Database
from tests.acceptance.senders import send_stream

DOCUMENT = describe_api(version=__version__, max_rows=1_000, max_export_rows=1_000_000)
INJECTIONS = (
    "'; DROP TABLE logs; --",
    "' OR '1'='1",
    "' UNION SELECT usename, passwd FROM pg_shadow --",
    "1); SELECT pg_sleep(60); --",
    "$1",
    "$$; DROP TABLE logs; $$",
    "{}",
    "{0.__class__}",
    "%s",
    "%(x)s",
    "<filter>",
    ":name",
    "\\'; DROP TABLE logs; --",
    '"; DROP TABLE logs; --',
    "/*",
    "--",
    "\\x27",
    "E'\\\\x'",
    "attrs.x'; DROP TABLE logs; --",
    'attrs."\'"',
    "message:/'; DROP TABLE logs; --/",
    "\u02bc\uff07; DROP TABLE logs",
    "\x1b\x1a\r\n",
    "-1 OR 1=1",
)

FREE_NAMES = {"tags": "tag.x", "labels": "label.x"}  # names that go on as the client likes


def questions() -> dict[str, list[str]]:
    """Return the names of the parameters of everything that can be asked, by path."""
    shared = DOCUMENT["components"]["parameters"]
    found = {}
    for path, item in DOCUMENT["paths"].items():
        given = item.get("get", {}).get("parameters", ())
        resolved = [shared[one["$ref"].rpartition("/")[2]] if "$ref" in one else one for one in given]
        found[path] = [FREE_NAMES.get(one["name"], one["name"]) for one in resolved if one["in"] == "query"]
    return found


QUESTIONS = questions()


@pytest.fixture(scope="module")
def target(make_database: Callable[[], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaemonProcess]:
    """A daemon with a row to lose."""
    process = DaemonProcess(tmp_path_factory.mktemp("target") / "state", dsn=make_database())
    try:
        process.start()
        send_stream(process.address("tcp"), [b'{"message": "harmless", "service": "kept", "level": "error"}\n'])
        with Database(process.psql) as database:
            database.wait_for_rows("kept", 1)
        yield process
        process.stop()
    finally:
        process.dispose()


@pytest.fixture
def tables(target: DaemonProcess) -> Iterator[Database]:
    with Database(target.psql) as database:
        yield database


def asked(target: DaemonProcess, path: str, query: str = "", **headers: str) -> tuple[int, bytes]:
    """Return the status and the answer; of a stream the beginning."""
    connection = HTTPConnection(target.url.removeprefix("http://"), timeout=30)
    try:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request("GET", f"{path}?{query}" if query else path, headers=named)
        response = connection.getresponse()
        stream = response.getheader("Content-Type", "").startswith("text/event-stream")
        return response.status, response.read1() if stream else response.read()
    finally:
        connection.close()


@pytest.mark.parametrize("path", [path for path, names in QUESTIONS.items() if names])
def test_sql_in_a_parameter_is_a_text_or_a_refusal(target: DaemonProcess, tables: Database, path: str) -> None:
    where = path.replace("{name}", "service")
    for attack in INJECTIONS:
        for name in (*QUESTIONS[path], attack):
            # What PostgreSQL complains about would be a 503.
            status, answer = asked(target, where, urlencode({name: attack}))
            assert status in (200, 400), (name, attack, answer)
    assert tables.count("kept") == 1


@pytest.mark.parametrize("attack", INJECTIONS)
def test_sql_in_a_path_or_a_header_is_a_text_or_a_refusal(target: DaemonProcess, tables: Database, attack: str) -> None:
    for path in ("/api/v1/fields/{}/values", "/api/v1/fields/attrs.{}/values", "/api/v1/silences/{}", "/{}"):
        status, answer = asked(target, path.format(quote(attack, safe="")))
        assert status in (200, 400, 404), answer
    header = quote(attack)
    assert asked(target, "/api/v1/logs/tail", Last_Event_ID=header)[0] == 400
    assert asked(target, "/api/v1/logs", "limit=1", Accept=header)[0] == 200
    key = attack if attack.isascii() and attack.isprintable() else header
    body = b'{"message": "an attack by its key", "service": "attack"}'
    headers = {"Content-Type": "application/json", "Idempotency-Key": key}
    assert target.post("/api/v1/logs", body, headers).status == 200
    assert tables.count("kept") == 1


TOO_LONG = b"a" * 70_000
HARDLY_HTTP = {
    "no method": b" / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    "syslog": b"<14>1 2026-11-22T03:00:00Z h a - - - wrong port\n\r\n\r\n",
    "a long URL": b"GET /api/v1/logs?q=" + TOO_LONG + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a long path": b"GET /" + TOO_LONG + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a long header": b"GET /health HTTP/1.1\r\nHost: localhost\r\nX: " + TOO_LONG + b"\r\n\r\n",
    "many headers": b"GET /health HTTP/1.1\r\nHost: localhost\r\n" + b"X: y\r\n" * 1_000 + b"\r\n",
    "bytes in the path": b"GET /\xff\xfe HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "controls in the path": b"GET /\x1b[31m HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "controls in a header": b"GET / HTTP/1.1\r\nHost: localhost\r\nX: \x00\x1b[31m\r\n\r\n",
    "a header in two lines": b"GET /health HTTP/1.1\r\nHost: localhost\r\nX: a\r\n b\r\n\r\n",
    "a negative length": b"POST /api/v1/logs HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
    "two lengths": b"POST /api/v1/logs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    "a length and chunks": b"POST /api/v1/logs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a chunk of no size": b"POST /api/v1/logs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n",
    "an address that is none": b"GET http://[::1/ HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "another version": b"GET / HTTP/9.9\r\nHost: localhost\r\n\r\n",
    "no host": b"GET /health HTTP/1.1\r\n\r\n",
}


@pytest.mark.parametrize("request_name", HARDLY_HTTP)
def test_what_is_hardly_http_is_refused_and_no_news_for_the_log(target: DaemonProcess, request_name: str) -> None:
    log = target.output
    host, _, port = target.url.removeprefix("http://").rpartition(":")
    answer = bytearray()
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        connection.sendall(HARDLY_HTTP[request_name])
        connection.shutdown(socket.SHUT_WR)
        while piece := connection.recv(65_536):
            answer += piece
    assert re.match(rb"HTTP/1\.[01] 4\d\d |\Z", answer), bytes(answer)
    assert target.get("/health").status == 200
    assert target.output == log


ODD_QUERIES = {
    "broken percents": "q=%&q2=%z&service=%4",
    "a percent at the end": "service=x%",
    "no UTF-8": "service=%ff%fe",
    "a surrogate": "service=%ed%a0%80",
    "an overlong slash": "service=%c0%af",
    "a NUL": "service=a%00b",
    "no name": "=x",
    "names only": "service&host&q",
    "separators only": "&&&&;;;;",
    "pluses": "q=a+b%2Bc",
    "the same once more": "limit=1&limit=1",
    "the same a thousand times": "&".join(["service=x"] * 1_000),
    "brackets": "service[]=x&service[0]=y",
    "names of a thousand": "&".join(f"x{number}=1" for number in range(1_000)),
    "a list of a thousand": "service=" + ",".join(f"s{number}" for number in range(1_000)),
    "right to left": "service=%E2%80%AEgpj.exe",
    "a filter as long as may be": "q=" + quote('"' + "ж" * 4_000 + '"'),
}


@pytest.mark.parametrize("path", [path for path, names in QUESTIONS.items() if "service" in names])
def test_odd_query_strings_are_answered_or_refused_in_the_usual_shape(target: DaemonProcess, path: str) -> None:
    where = path.replace("{name}", "service")
    for name, query in ODD_QUERIES.items():
        status, answer = asked(target, where, query)
        assert status in (200, 400), (name, answer)
        if status == 400:
            error = json.loads(answer)["error"]
            assert error["code"] in ("bad_parameter", "bad_filter"), name
            assert error["field"] is not None, name


def test_what_clients_type_makes_no_series_of_metrics(target: DaemonProcess) -> None:
    for number in range(50):
        asked(target, f"/nowhere/{number}")
        asked(target, f"/api/v1/fields/attrs.a{number}/values")
        asked(target, "/api/v1/logs", f"unknown{number}=1")
    families = text_string_to_metric_families(target.get("/metrics").body.decode())
    samples = [sample for family in families for sample in family.samples]
    routes = {sample.labels["route"] for sample in samples if "route" in sample.labels}
    assert routes <= {*DOCUMENT["paths"], "unknown"}
