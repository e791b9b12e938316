"""The messages of a benchmark: realistic lines, the same ones for every way they are sent."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

__all__ = ["SERVICES", "bsd_messages", "json_messages", "syslog_messages"]

SERVICES = ("checkout", "cart", "payment", "search", "auth", "gateway", "nginx", "postgres")
_HOSTS = tuple(f"web-{number:02d}" for number in range(24))
_TEXTS = (
    "GET /api/v1/products/{n} 200 {ms} ms user={user}",
    "order {n} placed by user {user}, total {ms}.99 EUR",
    "connection from 10.2.{h}.{ms} closed after {n} bytes",
    "cache miss for key session:{user}:{n}, loaded in {ms} ms",
    "retrying request {n} to payment provider, attempt {h}",
)
# Mostly info, some warnings, few errors: PRI values of facility local0.
_PRIORITIES = (134, 134, 134, 134, 134, 134, 134, 132, 134, 131)
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_SEVERITY_NAMES = {134: "info", 132: "warning", 131: "error"}


def _fields(count: int, now: datetime) -> Iterator[tuple[int, str, str, str, str]]:
    """Yield priority, stamp, host, service and text; all stamps lie within the last minutes of one day."""
    started = max(now - timedelta(minutes=5), now.replace(hour=0, minute=0, second=0, microsecond=0))
    for n in range(count):
        stamp = (started + timedelta(microseconds=7 * n)).isoformat(timespec="microseconds")
        text = _TEXTS[n % len(_TEXTS)].format(n=n, ms=n % 251, user=n % 9_973, h=n % 24)
        yield _PRIORITIES[n * 7 % 10], stamp, _HOSTS[n % 24], SERVICES[n * 5 % 8], text


def syslog_messages(count: int) -> Iterator[bytes]:
    """Yield RFC 5424 messages of about 130 bytes without framing."""
    for n, (priority, stamp, host, service, text) in enumerate(_fields(count, datetime.now(UTC))):
        yield f"<{priority}>1 {stamp} {host} {service} {1_000 + n % 50} - - {text}".encode()


def bsd_messages(count: int) -> Iterator[bytes]:
    """Yield the same as RFC 3164 messages of about 115 bytes without framing."""
    for n, (priority, stamp, host, service, text) in enumerate(_fields(count, datetime.now(UTC))):
        day = datetime.fromisoformat(stamp)
        bsd_stamp = f"{_MONTHS[day.month - 1]} {day.day:2d} {stamp[11:19]}"
        yield f"<{priority}>{bsd_stamp} {host} {service}[{1_000 + n % 50}]: {text}".encode()


def json_messages(count: int) -> Iterator[bytes]:
    """Yield the same as JSON documents of about 240 bytes."""
    for n, (priority, stamp, host, service, text) in enumerate(_fields(count, datetime.now(UTC))):
        document = {
            "timestamp": stamp,
            "level": _SEVERITY_NAMES[priority],
            "service": service,
            "host": host,
            "trace_id": f"{n:032x}",
            "message": text,
            "duration_ms": n % 251,
            "tags": ["shop", "eu"],
        }
        yield json.dumps(document, separators=(",", ":")).encode()
