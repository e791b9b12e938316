"""Lines as a shop's systems write them: many programs, requests with several lines and one trace id, stack traces.

The same seed gives the same lines. Needles lie at places that are known: what a search has to find.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

__all__ = ["COMMON_WORD", "NEEDLE", "NEEDLE_PLACES", "varied_messages"]

NEEDLE = "zq7xkneedle"
"""A word of three lines."""
NEEDLE_PLACES = (0.03, 0.5, 0.97)
"""Where they lie, as parts of all lines."""
COMMON_WORD = "timeout"
"""A word of about six lines in a hundred."""

_SPAN = timedelta(days=2)
_LATE_PART = 0.01  # of the lines come late, by up to
_LATEST_SECONDS = 600.0
_WEB = tuple(f"web-{number:02d}" for number in range(24))
_NODES = tuple(f"node-{number:03d}.fra1" for number in range(60))
_SHOP = ("checkout", "cart", "payment", "search", "auth", "gateway", "inventory", "mailer")
_SKUS = ("lamp", "chair", "desk", "mug", "poster", "kettle", "blanket", "mirror", "shelf", "clock")
_METHODS = ("GET", "GET", "GET", "GET", "POST", "PUT", "DELETE")
_AGENTS = ("Mozilla/5.0 (X11; Linux x86_64) Firefox/128.0", "curl/8.5.0", "okhttp/4.12", "Googlebot/2.1")
_STATUSES = (200, 200, 200, 200, 200, 200, 200, 200, 200, 201, 204, 302, 304, 404, 404, 500)
_ACCESS = (
    '/api/v2/{sku}/{n} HTTP/1.1 from {ip}, status {status}, {port} bytes in {ms} ms, request_id={hash} referer "-"'
)
_STEPS = (
    "request accepted from {ip} for /api/v2/{sku}/{n}",
    "session {uuid} belongs to user {user}",
    "cache miss for key {sku}:{n}, loaded in {ms} ms",
    "stock of {sku} checked: {left} left in warehouse {left}",
    "payment {uuid} authorised for {ms}.99 EUR",
    "timeout after {ms} ms while calling {service}, attempt {left}",
    "order {n} placed by user {user}, total {ms}.99 EUR",
    "response sent with status {status} in {ms} ms",
)
_TIMEOUT = 5  # which of the steps tells of one
_STACK = (
    'java.lang.IllegalStateException: order {n} is in state "{sku}"\n'
    "\tat com.example.shop.orders.OrderService.confirm(OrderService.java:{left})\n"
    "\tat com.example.shop.orders.OrderController.post(OrderController.java:{ms})\n"
    "\tat org.springframework.web.servlet.FrameworkServlet.doPost(FrameworkServlet.java:914)\n"
    "\tat org.apache.tomcat.util.net.NioEndpoint$SocketProcessor.doRun(NioEndpoint.java:1776)\n"
    "Caused by: java.sql.SQLException: deadlock detected on relation orders ({uuid})\n\t... 48 more"
)
_SYSTEM = (
    (38, "sshd", "Failed password for invalid user {sku} from {ip} port {port} ssh2"),
    (38, "sshd", "Accepted publickey for deploy from {ip} port {port} ssh2: ED25519 SHA256:{hash}"),
    (86, "sudo", "deploy : TTY=pts/{left} ; PWD=/srv/{sku} ; USER=root ; COMMAND=/usr/bin/systemctl restart {service}"),
    (30, "systemd", "Started session-{n}.scope - Session {n} of User deploy."),
    (78, "CRON", "(root) CMD (/usr/local/bin/report --customer {user} --month {left})"),
    (6, "kernel", "[{n}.{port}] TCP: request_sock_TCP: Possible SYN flooding on port {port}. Sending cookies."),
    (4, "kernel", "[{n}.{port}] EXT4-fs (sda1): warning: mounting fs with errors, running e2fsck is recommended"),
    (22, "postfix/smtp", "{hash}: to=<user{user}@example.org>, relay=mx.example.org[{ip}]:25, status=sent (250 Ok)"),
    (134, "postgres", "LOG:  duration: {ms}.{left} ms  statement: SELECT * FROM orders WHERE customer_id = {user}"),
    (131, "postgres", 'ERROR:  duplicate key value violates unique constraint "{sku}_pkey" DETAIL: Key (id)=({n})'),
    (132, "haproxy", "backend {service}/s{left} DOWN, reason: Layer4 timeout, check duration: {ms}ms"),
)  # fmt: skip


def varied_messages(count: int, *, end: datetime | None = None, seed: int = 7) -> Iterator[bytes]:
    """Yield JSON documents, access-log lines and lines of system programs in RFC 5424, a third each.

    Args:
        count: how many.
        end: the time of the last one; now when not given. The first one lies two days before.
        seed: of the chance in them.
    """
    end = end or datetime.now(UTC)
    chance = random.Random(seed)
    needles = {int(count * place) for place in NEEDLE_PLACES}
    lines = _Lines(chance)
    step = _SPAN / count
    for number in range(count):
        time = end - _SPAN + step * number
        if chance.random() < _LATE_PART:
            time -= timedelta(seconds=chance.random() * _LATEST_SECONDS)
        yield lines.line(time, f" {NEEDLE}" if number in needles else "")


class _Words(dict[str, object]):
    """What can stand in a text, made of 64 bits of chance when a template asks for it."""

    def __init__(self, bits: int) -> None:
        super().__init__()
        self.bits = bits

    def __missing__(self, name: str) -> object:
        return _MAKE[name](self.bits)


_MAKE: dict[str, Callable[[int], object]] = {
    "n": lambda bits: bits % 9_999_991,
    "ms": lambda bits: bits % 509,
    "left": lambda bits: bits % 61,
    "port": lambda bits: 1_024 + bits % 64_499,
    "ip": lambda bits: f"10.{bits >> 8 & 7}.{bits >> 16 & 255}.{bits >> 24 & 255}",
    "user": lambda bits: (bits % 50_000) * (bits >> 20 & 1_023) >> 10,
    "sku": lambda bits: _SKUS[bits >> 32 & 7],
    "service": lambda bits: _SHOP[bits >> 36 & 7],
    "status": lambda bits: _STATUSES[bits >> 40 & 15],
    "hash": lambda bits: f"{bits:016x}",
    "uuid": lambda bits: (
        f"{bits >> 32:08x}-{bits >> 16 & 0xFFFF:04x}-4{bits >> 4 & 0xFFF:03x}-a{bits & 0xFFF:03x}-"
        f"{bits * 0x9E3779B97F4A7C15 >> 20 & 0xFFFFFFFFFFFF:012x}"
    ),
}


class _Lines:
    """Writes one line after the other; what belongs to one request has its trace id."""

    def __init__(self, chance: random.Random) -> None:
        self._bits = chance.getrandbits
        self._requests = [self._new_request() for _ in range(16)]

    def _new_request(self) -> tuple[str, str, str, object]:
        """Return a request: its trace id, the host and the service that answer it, and its user."""
        bits = self._bits(128)
        return f"{bits:032x}", _WEB[bits % 24], _SHOP[bits >> 8 & 7], _MAKE["user"](bits >> 16)

    def line(self, time: datetime, extra: str) -> bytes:
        """Write the next line, with something behind its text."""
        bits = self._bits(64)
        stamp = time.isoformat(timespec="microseconds")
        kind = (bits >> 12) % 3
        if kind == 0:
            return self._request_line(stamp, bits, extra)
        return _access_line(stamp, bits, extra) if kind == 1 else _system_line(stamp, bits, extra)

    def _request_line(self, stamp: str, bits: int, extra: str) -> bytes:
        words, place, step = _Words(bits), bits >> 50 & 15, (bits >> 54) % len(_STEPS)
        trace_id, host, service, user = self._requests[place]
        left = words["left"]
        level, text = ("warning" if step == _TIMEOUT else "info"), _STEPS[step]
        if left == 0:
            level, text = "error", _STACK
        elif step == len(_STEPS) - 1:
            self._requests[place] = self._new_request()
        document = {
            "timestamp": stamp,
            "level": level,
            "service": service,
            "host": host,
            "trace_id": trace_id,
            "message": text.format_map(words) + extra,
            "user_id": user,
            "duration_ms": words["ms"],
            "tags": {"env": "prod", "version": f"4.{left}.1"},
        }
        return json.dumps(document, separators=(",", ":")).encode()


def _access_line(stamp: str, bits: int, extra: str) -> bytes:
    words = _Words(bits)
    priority = 187 if words["status"] == 500 else 190
    text = _ACCESS.format_map(words)
    method, agent = _METHODS[(bits >> 44) % len(_METHODS)], _AGENTS[bits >> 48 & 3]
    return f'<{priority}>1 {stamp} {_WEB[bits % 24]} nginx 812 - - {method} {text} "{agent}"{extra}'.encode()


def _system_line(stamp: str, bits: int, extra: str) -> bytes:
    words = _Words(bits)
    priority, program, text = _SYSTEM[(bits >> 44) % len(_SYSTEM)]
    host = _NODES[bits % len(_NODES)]
    return f"<{priority}>1 {stamp} {host} {program} {words['ms']} - - {text.format_map(words)}{extra}".encode()
