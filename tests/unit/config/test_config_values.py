"""Durations, sizes and addresses: what is read, and how it is written again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logstreamd.config import ListenAddress, duration_text, parse_duration, parse_size, redacted, size_text
from logstreamd.config.units import TIB, Duration, WholeNumber
from logstreamd.config.yaml_source import read_plain_value


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("500ms", 0.5), ("100ms", 0.1), ("10s", 10.0), ("5m", 300.0), ("1h", 3600.0), ("1.5h", 5400.0), ("7d", 604800.0)],
)
def test_a_duration_is_read_as_seconds(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "10", "s", "10 seconds", "1h30m", "-5s", "1e3s", "٣s", "1_0s", "9" * 16 + "s", "1S"]
)
def test_other_texts_are_no_durations(text: str) -> None:
    with pytest.raises(ValueError, match="must be a duration"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("text", "size_bytes"), [("512B", 512), ("64KiB", 65536), ("1.5MiB", 1572864), ("4GiB", 4 << 30), ("8TiB", 8 << 40)]
)
def test_a_size_is_read_as_bytes(text: str, size_bytes: int) -> None:
    assert parse_size(text) == size_bytes


@pytest.mark.parametrize(
    ("text", "meant"), [("64KB", "64KiB"), ("64k", "64KiB"), ("2M", "2MiB"), ("4gb", "4GiB"), ("4gib", "4GiB")]
)
def test_an_ambiguous_size_is_refused_with_the_likely_meaning(text: str, meant: str) -> None:
    with pytest.raises(ValueError, match=f"did you mean {meant}"):
        parse_size(text)


@pytest.mark.parametrize("text", ["", "10", "KiB", "-1KiB", "1PiB", "1 000KiB", "0x10B"])
def test_other_texts_are_no_sizes(text: str) -> None:
    with pytest.raises(ValueError, match="must be a size"):
        parse_size(text)


@given(st.integers(0, 8 * TIB))
def test_a_size_survives_being_written(size_bytes: int) -> None:
    assert parse_size(size_text(size_bytes)) == size_bytes


@given(st.integers(0, 366 * 86_400_000))
def test_a_duration_survives_being_written(milliseconds: int) -> None:
    assert parse_duration(duration_text(milliseconds / 1000)) == pytest.approx(milliseconds / 1000)


def test_zero_is_accepted_where_it_has_a_meaning() -> None:
    assert Duration(1, 10, zero_means="never").read(0) == 0.0
    with pytest.raises(ValueError, match=r"must be 1s\.\.10s \(got 0\)"):
        Duration(1, 10).read(0)


def test_null_is_accepted_where_it_has_a_meaning() -> None:
    assert WholeNumber(1, 10, nullable=True).read(None) is None
    with pytest.raises(ValueError, match="got null"):
        WholeNumber(1, 10).read(None)


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("127.0.0.1:5514", "127.0.0.1", 5514),
        ("[::1]:5514", "::1", 5514),
        ("[2001:DB8:0::1]:5514", "2001:db8::1", 5514),
        ("[fe80::1%eth0]:5514", "fe80::1%eth0", 5514),
        ("*:5514", "*", 5514),
        ("localhost:0", "localhost", 0),
        ("Log-1.Example.ORG:65535", "log-1.example.org", 65535),
    ],
)
def test_an_address_is_read(text: str, host: str, port: int) -> None:
    assert ListenAddress.parse(text) == ListenAddress(host, port)


@pytest.mark.parametrize("text", ["127.0.0.1:5514", "[::1]:5514", "*:0", "localhost:5514"])
def test_an_address_is_written_as_it_is_read(text: str) -> None:
    assert str(ListenAddress.parse(text)) == text


@pytest.mark.parametrize(
    "text", ["", ":", "*", "5514", "a:b:c", "[::1]", "[]:1", "-a:1", "a..b:1", "a:99999", "1.2.3:1", "a b:1"]
)
def test_other_texts_are_no_addresses(text: str) -> None:
    with pytest.raises(ValueError, match="must"):
        ListenAddress.parse(text)


@pytest.mark.parametrize(
    ("one", "two", "overlap"),
    [
        ("127.0.0.1:1", "127.0.0.1:1", True),
        ("127.0.0.1:1", "127.0.0.1:2", False),
        ("127.0.0.1:1", "127.0.0.2:1", False),
        ("127.0.0.1:1", "0.0.0.0:1", True),
        ("127.0.0.1:1", "[::]:1", False),
        ("[::1]:1", "[::]:1", True),
        ("[::1]:1", "*:1", True),
        ("localhost:1", "*:1", True),
        ("localhost:1", "127.0.0.1:1", False),
        ("*:0", "*:0", False),
    ],
)
def test_addresses_overlap_when_one_socket_would_take_the_others_port(one: str, two: str, overlap: bool) -> None:
    first, second = ListenAddress.parse(one), ListenAddress.parse(two)
    assert first.overlaps(second) is second.overlaps(first) is overlap


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("null", None), ("~", None), ("true", True), ("FALSE", False), ("7", 7), ("-7", -7), ("010", 10), ("1.5", 1.5),
        ("1e3", 1000.0), ("yes", "yes"), ("off", "off"), ("12:30", "12:30"), ("0x10", "0x10"), (".inf", ".inf"),
        ("2026-01-01", "2026-01-01"), ("1_000", "1_000"), ("9" * 19, "9" * 19), ("<<", "<<"), ("=", "="),
    ],
)  # fmt: skip
def test_plain_values_follow_the_core_schema(text: str, value: object) -> None:
    read = read_plain_value(text)
    assert (type(read), read) == (type(value), value)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql://app:hunter2@db/logs", "postgresql://app:***@db/logs"),
        ("postgresql://app:hun@ter/2@db:5432/logs", "postgresql://app:***@db:5432/logs"),
        ("postgresql://:hunter2@db/logs", "postgresql://:***@db/logs"),
        (
            "postgresql://app@db/logs?password=hunter2&sslmode=require",
            "postgresql://app@db/logs?password=***&sslmode=require",
        ),
        ("host=db password='hunter2 x' user=app", "host=db password=*** user=app"),
        ("postgresql://app@db/logs", "postgresql://app@db/logs"),
        ("embedded", "embedded"),
    ],
)
def test_a_password_is_replaced(text: str, shown: str) -> None:
    assert redacted(text) == shown
