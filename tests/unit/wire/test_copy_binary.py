from __future__ import annotations

from datetime import UTC, datetime

import pytest
from copy_decoder import READERS, decode_stream

from logstreamd.record import COLUMNS
from logstreamd.wire.batch import PARTIAL, TRUNCATED, Batch
from logstreamd.wire.copy_binary import Encoded, encode
from logstreamd.wire.policy import Policy
from logstreamd.wire.sender import sender_entry

NOW = datetime(2026, 11, 22, 3, 0, 0, 123_456, UTC)
NOW_US = 1_795_316_400_123_456

RICH = (
    b'<165>1 2026-11-22T02:59:59.000003Z web-1.example checkout 814 ID47 [ex@1 user="M\xc3\xbcller" user="two"] '
    b"paid 5 \xe2\x82\xac"
)
JSON = b'{"message":"m","level":"error","service":"api","trace_id":"t-1","user":{"id":42,"tags":["a",null]},"ok":true}'


def batch_of(*frames: bytes, peer: str = "192.0.2.7", flags: int = 0) -> Batch:
    batch = Batch("udp-1")
    for frame in frames:
        batch.append(frame, NOW_US, batch.peer_id(peer), flags)
    return batch


def rows_of(encoded: Encoded, start: int = 0, end: int | None = None) -> list[dict[str, object]]:
    return decode_stream(encoded.copy_stream(start, len(encoded) if end is None else end))


def test_the_decoder_knows_the_columns_of_the_table() -> None:
    assert tuple(READERS) == COLUMNS


def test_a_rich_message_fills_every_column() -> None:
    (row,) = rows_of(encode(batch_of(RICH), 65_536, Policy()))
    assert row == {
        "id": 65_536,
        "ts": datetime(2026, 11, 22, 2, 59, 59, 3, UTC),
        "received_at": NOW,
        "severity": 5,
        "facility": 20,
        "host": "web-1.example",
        "service": "checkout",
        "proc_id": "814",
        "msg_id": "ID47",
        "trace_id": None,
        "message": "paid 5 €",
        "attrs": {"ex@1": {"user": ["Müller", "two"]}},
        "input": "udp-1",
        "peer": "192.0.2.7",
        "format": "rfc5424",
    }


def test_json_attributes_keep_their_types() -> None:
    (row,) = rows_of(encode(batch_of(JSON), 1, Policy()))
    assert (row["severity"], row["service"], row["trace_id"], row["format"]) == (3, "api", "t-1", "json")
    assert row["attrs"] == {"user": {"id": 42, "tags": ["a", None]}, "ok": True}


def test_what_a_message_does_not_say_is_null() -> None:
    (row,) = rows_of(encode(batch_of(b"just text", peer=""), 1, Policy()))
    nulls = {name for name, value in row.items() if value is None}
    assert nulls == {"host", "service", "proc_id", "msg_id", "trace_id", "attrs", "peer"}
    assert (row["message"], row["format"], row["severity"], row["facility"]) == ("just text", "raw", 5, 1)


def test_an_empty_message_is_empty_and_not_null() -> None:
    (row,) = rows_of(encode(batch_of(b""), 1, Policy()))
    assert row["message"] == ""


@pytest.mark.parametrize("peer", ["192.0.2.7", "2001:db8::1", "::", "::ffff:192.0.2.1", "255.255.255.255"])
def test_senders_of_both_ip_versions_are_kept(peer: str) -> None:
    (row,) = rows_of(encode(batch_of(b"x", peer=peer), 1, Policy()))
    assert row["peer"] in (peer, "::ffff:c000:201")


def test_what_is_known_of_a_sender_is_an_attribute_of_its_rows() -> None:
    entry = sender_entry("192.0.2.7", {"tls_subject": "CN=web-1"})
    plain, rich = rows_of(encode(batch_of(b"text", RICH, peer=entry), 1, Policy()))
    assert (plain["peer"], plain["attrs"]) == ("192.0.2.7", {"tls_subject": "CN=web-1"})
    assert rich["attrs"] == {"ex@1": {"user": ["Müller", "two"]}, "tls_subject": "CN=web-1"}


def test_a_process_of_this_machine_has_no_address() -> None:
    (row,) = rows_of(encode(batch_of(b"text", peer=sender_entry("", {"peer_pid": 812, "peer_uid": 0})), 1, Policy()))
    assert (row["peer"], row["attrs"]) == (None, {"peer_pid": 812, "peer_uid": 0})


def test_a_sender_cannot_pass_for_another_and_what_it_said_is_kept() -> None:
    entry = sender_entry("192.0.2.7", {"tls_subject": "CN=web-1"})
    (row,) = rows_of(encode(batch_of(b'{"tls_subject": "CN=root", "a": 1}', peer=entry), 1, Policy()))
    assert row["attrs"] == {"a": 1, "logstreamd": {"tls_subject": "CN=root"}, "tls_subject": "CN=web-1"}


def test_rows_have_the_senders_and_times_of_their_own_frames() -> None:
    batch = Batch("tcp")
    for number in range(10):
        batch.append(b"%d" % number, NOW_US + number, batch.peer_id(f"192.0.2.{number % 3}"))
    encoded = encode(batch, 7 * 65_536, Policy())
    rows = rows_of(encoded)
    assert [row["id"] for row in rows] == list(range(7 * 65_536, 7 * 65_536 + 10))
    assert [row["peer"] for row in rows] == [f"192.0.2.{number % 3}" for number in range(10)]
    assert [row["message"] for row in rows] == [str(number) for number in range(10)]
    assert (encoded.ts_min, encoded.ts_max) == (NOW_US, NOW_US + 9)


def test_the_times_of_a_batch_are_those_of_the_events() -> None:
    encoded = encode(batch_of(RICH, JSON, b"<13>1 2026-11-20T00:00:00Z h a - - - old"), 1, Policy())
    assert encoded.ts_min == int(datetime(2026, 11, 20, tzinfo=UTC).timestamp()) * 1_000_000
    assert encoded.ts_max == NOW_US


@pytest.mark.parametrize("year", [1970, 1999, 2000, 2038])
def test_times_before_and_after_the_databases_epoch(year: int) -> None:
    stamp = datetime(year, 1, 1, 0, 0, 0, 1, UTC)
    wide = Policy(max_past_us=1 << 62, max_future_us=1 << 62)
    (row,) = rows_of(encode(batch_of(b"<13>1 %d-01-01T00:00:00.000001Z h a - - - x" % year), 1, wide))
    assert row["ts"] == stamp


def test_the_marks_of_the_framing_are_on_the_row() -> None:
    (row,) = rows_of(encode(batch_of(b"<13>x", flags=TRUNCATED | PARTIAL), 1, Policy()))
    assert row["attrs"] == {"logstreamd": {"flags": ["truncated", "partial"]}}


def test_any_range_of_rows_is_a_stream_of_its_own() -> None:
    encoded = encode(batch_of(*(b"%d" % number for number in range(5))), 100, Policy())
    assert len(encoded) == 5
    for start in range(6):
        for end in range(start, 6):
            assert [row["id"] for row in rows_of(encoded, start, end)] == list(range(100 + start, 100 + end))


def test_the_largest_batch_is_one_row_per_frame() -> None:
    batch = Batch("udp", max_rows=65_535)
    for _ in range(65_535):
        batch.append(b"<13>x", NOW_US, batch.peer_id("::1"))
    encoded = encode(batch, 65_536, Policy())
    assert len(encoded) == 65_535
    assert rows_of(encoded, 65_534)[0]["id"] == 65_536 + 65_534


def test_the_inputs_own_host_stands_in_where_a_message_names_none() -> None:
    batch = batch_of(b"<34>Nov 22 02:59:59 su[12]: for root", RICH, b"just text", b'{"host":"api-1","message":"m"}')
    rows = rows_of(encode(batch, 0, Policy(host="edge-1")))
    assert [row["host"] for row in rows] == ["edge-1", "web-1.example", "edge-1", "api-1"]
    assert [row["host"] for row in rows_of(encode(batch, 0, Policy()))] == [None, "web-1.example", None, "api-1"]
