"""Single frames: what the vectors of the conformance tests do not say."""

from __future__ import annotations

from typing import Any

import pytest
from storable import assert_storable

from logstreamd.record import Record
from logstreamd.wire.batch import PARTIAL, TRUNCATED
from logstreamd.wire.parse import parse_frame
from logstreamd.wire.policy import Policy

ARRIVAL_US = 1_795_305_600_000_000  # 2026-11-22T00:00:00Z


def parse(frame: bytes, flags: int = 0) -> Record:
    record = parse_frame(frame, ARRIVAL_US, Policy(), flags)
    assert_storable(record)
    return record


def notes(record: Record) -> dict[str, Any]:
    return record.attrs.get("logstreamd", {})


def test_what_is_no_syslog_and_no_json_is_kept_whole_as_a_notice_of_facility_user() -> None:
    record = parse(b"Use the BFG!")
    assert (record.message, record.severity, record.facility, record.format) == ("Use the BFG!", 5, 1, "raw")
    assert (record.ts, record.host, record.service, record.attrs) == (ARRIVAL_US, None, None, {})


@pytest.mark.parametrize("stamp", [b"2003-10-11T22:14:15.003Z", b"2027-01-01T00:00:00Z", b"2026-11-14T23:59:59Z"])
def test_an_event_time_outside_the_window_gives_way_to_the_arrival_and_is_noted(stamp: bytes) -> None:
    record = parse(b"<34>1 " + stamp + b" h a - - - m")
    assert (record.ts, notes(record)["event_time"]) == (ARRIVAL_US, stamp.decode())


@pytest.mark.parametrize("stamp", [b"2026-11-15T00:00:00Z", b"2026-11-22T00:10:00Z"])
def test_an_event_time_at_the_edge_of_the_window_is_taken(stamp: bytes) -> None:
    record = parse(b"<34>1 " + stamp + b" h a - - - m")
    assert record.ts != ARRIVAL_US
    assert record.attrs == {}


def test_what_the_framing_knows_is_flagged() -> None:
    assert notes(parse(b"<34>x", TRUNCATED))["flags"] == ["truncated"]
    assert notes(parse(b"<34>x", PARTIAL))["flags"] == ["partial"]


def test_nul_and_bytes_that_are_not_utf8_become_visible_and_are_flagged() -> None:
    record = parse(b'<34>1 - h\xff a p m [x \xfe="a\0b"] t\0\xc3\x28')
    assert (record.host, record.message) == ("h\\xff", "t\\x00\\xc3(")
    assert record.attrs["x"] == {"\\xfe": "a\\x00b"}
    assert set(notes(record)["flags"]) == {"invalid_utf8", "nul"}


def test_a_host_too_long_for_an_index_is_cut_in_its_column_and_kept_whole_beside_it() -> None:
    record = parse(b"<34>1 - " + b"h" * 600 + b" a - - - m")
    assert record.host == "h" * 512
    assert notes(record) == {"host": "h" * 600, "flags": ["long_host"]}


def test_a_repeated_parameter_becomes_a_list_and_a_repeated_element_is_one() -> None:
    record = parse(b'<34>1 - h a - - [origin ip="1" ip="2" ip="3"][x k="1"][x k="2"] m')
    assert record.attrs == {"origin": {"ip": ["1", "2", "3"]}, "x": {"k": ["1", "2"]}}


def test_a_parameter_named_trace_id_fills_the_column_the_first_one_wins() -> None:
    record = parse(b'<34>1 - h a - - [a k="v"][b trace_id="t1"][c trace_id="t2"] m')
    assert record.trace_id == "t1"


def test_an_element_of_our_own_name_is_kept_without_clashing() -> None:
    record = parse(b'<34>1 2000-01-01T00:00:00Z h a - - [logstreamd flags="x"] m')
    assert notes(record) == {"sender": {"flags": "x"}, "event_time": "2000-01-01T00:00:00Z"}


@pytest.mark.parametrize(
    "broken", [b'[x k="v', b'[x k="v" m', b"[] m", b"[ x] m", b"[x k] m", b"x m", b"-m", b'[x k="v"]m']
)
def test_broken_structured_data_keeps_the_header_and_becomes_the_message(broken: bytes) -> None:
    record = parse(b"<34>1 - h a p m " + broken)
    assert (record.host, record.service, record.proc_id, record.msg_id) == ("h", "a", "p", "m")
    assert (record.message, notes(record)["flags"]) == (broken.decode(), ["structured_data"])


def test_structured_data_of_more_than_a_thousand_keys_stays_text() -> None:
    most = b"[x" + b"".join(b' k%d="v"' % n for n in range(999)) + b"] m"
    assert parse(b"<34>1 - h a - - " + most).message == "m"
    more = b"[x" + b"".join(b' k%d="v"' % n for n in range(1000)) + b"] m"
    assert parse(b"<34>1 - h a - - " + more).message == more.decode()


@pytest.mark.parametrize(
    ("frame", "host", "service", "message"),
    [
        (b"<34>1 - h a", "h", "a", ""),
        (b"<34>1 - h a\x01 p m - x", "h", None, "a\x01 p m - x"),
        (b"<34>1 -  h a - - - x", None, None, " h a - - - x"),
        (b"<34>1 2026-13-01T00:00:00Z h a - - - x", "h", "a", "x"),
        (b"<34>1 2026-11-21 22:14:15Z h a p m - x", "h", None, "a p m - x"),
        (b"<34>1 Nov 21 22:14:15 h a: x", "h", "a", "x"),
    ],
)
def test_a_header_that_breaks_off_keeps_what_it_had(
    frame: bytes, host: str | None, service: str | None, message: str
) -> None:
    record = parse(frame)
    assert (record.host, record.service, record.message, record.format) == (host, service, message, "rfc5424")


@pytest.mark.parametrize(
    ("content", "host", "service", "proc_id", "message"),
    [
        (b"h a: m", "h", "a", None, "m"),
        (b"h a[1]: m", "h", "a", "1", "m"),
        (b"h a[1] m", "h", "a", "1", "m"),
        (b"h a:m", "h", "a", None, "m"),
        (b"a[1]: m", None, "a", "1", "m"),
        (b"h connection lost", "h", None, None, "connection lost"),
        (b"h     at java.lang", "h", None, None, "    at java.lang"),
        (b"h 12:30:45 done", "h", None, None, "12:30:45 done"),
        (b"h http://x/ is down", "h", None, None, "http://x/ is down"),
        (b"h 10.0.0.1:80 refused", "h", None, None, "10.0.0.1:80 refused"),
        (b"h C:\\x is full", "h", None, None, "C:\\x is full"),
        (b'h user="a:b" in', "h", None, None, 'user="a:b" in'),
        (b"10.0.0.1: m n", "10.0.0.1", None, None, "m n"),
        (b"last message repeated 3 times", None, None, None, "last message repeated 3 times"),
        (b"name,001122,v4: a[1]: m", None, "name,001122,v4", None, "a[1]: m"),
        (b"name,001122,v4 a: m", "name", "a", None, "m"),
        (b"h\x01 a: m", "h\\x01", "a", None, "m"),
        (b"date=2026-11-21 devname=x", None, None, None, "date=2026-11-21 devname=x"),
    ],
)
def test_the_content_of_a_bsd_frame_is_read_as_a_person_would(
    content: bytes, host: str | None, service: str | None, proc_id: str | None, message: str
) -> None:
    record = parse(b"<34>Nov 21 22:14:15 " + content)
    assert (record.host, record.service, record.proc_id, record.message) == (host, service, proc_id, message)
    assert record.format == "rfc3164"


def test_one_word_after_the_host_is_its_service_and_the_message() -> None:
    record = parse(b"<34>Nov 21 22:14:15 h sudo")
    assert (record.service, record.message) == ("sudo", "sudo")


def test_ciscos_counters_and_clock_mark_are_kept() -> None:
    record = parse(b"<189>22191: router: 022546: .Nov 21 22:14:15.003 CET: %SYS-5-CONFIG_I: Configured")
    assert (record.host, record.service, record.message) == ("router", "%SYS-5-CONFIG_I", "%SYS-5-CONFIG_I: Configured")
    assert record.attrs["cisco"] == {"message_counter": 22191, "sequence": 22546}
    assert notes(record)["flags"] == ["clock_unsynchronised"]


def test_a_counter_of_absurd_length_stays_text() -> None:
    record = parse(b"<189>" + b"1" * 30 + b": Nov 21 22:14:15: %A-1-B: m")
    assert record.attrs["cisco"] == {"message_counter": "1" * 30}


def test_rfc5424_without_its_version_is_still_seen() -> None:
    record = parse(b'<134> 2026-11-21T22:14:15Z h RT_IDP - ATTACK [j@1 k="v"] m')
    assert (record.host, record.service, record.msg_id, record.message) == ("h", "RT_IDP", "ATTACK", "m")
    assert record.attrs == {"j@1": {"k": "v"}}


@pytest.mark.parametrize(
    ("frame", "format_", "host"),
    [
        (b"Nov 21 22:14:15 h a: m", "rfc3164", "h"),
        (b"1 2026-11-21T22:14:15Z h a - - - m", "rfc5424", "h"),
        (b"2026-11-21T22:14:15Z h a[1]: m", "rfc3164", "h"),
        (b"2026-11-21T22:14:15Z ERROR something failed", "raw", None),
        (b"2026-11-21 22:14:15 h a: m", "raw", None),
        (b"1 2026-99-21T22:14:15Z h a - - - m", "raw", None),
    ],
)
def test_a_line_without_priority_is_syslog_only_when_it_is_clear(frame: bytes, format_: str, host: str | None) -> None:
    record = parse(frame)
    assert (record.format, record.host, record.severity, record.facility) == (format_, host, 5, 1)


def test_blanks_around_a_frame_and_a_count_that_nothing_took_off_are_not_its_text() -> None:
    assert parse(b"\n   <34>Nov 21 22:14:15 h a: m\n  ").message == "m"
    assert parse(b"27 <34>Nov 21 22:14:15 h a: mm").message == "mm"
    assert parse(b"28 <34>Nov 21 22:14:15 h a: mm").format == "raw"


def test_json_behind_a_cee_cookie_is_read_and_the_message_kept() -> None:
    record = parse(b'<34>Nov 21 22:14:15 h a: @cee: {"trace_id":"t","x":1e999}')
    assert record.attrs["cee"] == {"trace_id": "t", "x": "1e999"}
    assert (record.trace_id, notes(record)["flags"]) == ("t", ["number"])
    assert parse(b"<34>Nov 21 22:14:15 h a: @cee: {").attrs == {}


CEF = r"CEF:0|Vendor|Pro\|duct|1.0|100|a \\ name|5|src=1"


@pytest.mark.parametrize("frame", [b"", b"<34>", b"<34>Nov 21 22:14:15 h ", b"<34>1 - h ", b"<34>1 - h - - - - "])
def test_cef_is_kept_whole_with_its_header_beside_it(frame: bytes) -> None:
    record = parse(frame + CEF.encode())
    assert (record.message, record.format, record.service) == (CEF, "cef", "Pro|duct")
    assert record.attrs["cef"]["name"] == "a \\ name"
    assert record.attrs["cef"]["severity"] == "5"


def test_leef_has_its_own_fields_and_a_tag_stays_the_service() -> None:
    record = parse(b"<34>Nov 21 22:14:15 h a: LEEF:2.0|V|P|1|42|^|k=v")
    assert (record.format, record.service) == ("leef", "a")
    assert record.attrs["leef"] == {
        "version": "2.0",
        "vendor": "V",
        "product": "P",
        "product_version": "1",
        "event_id": "42",
    }


@pytest.mark.parametrize(
    "text", [b"CEF:0|only|three|", b"we got " + b"x" * 100 + b" CEF:0|a|b|c|d|e|f|", b"REF:0|a|b|c|d|e|f|"]
)
def test_what_only_looks_like_cef_is_an_ordinary_message(text: bytes) -> None:
    assert parse(b"<34>" + text).format == "rfc3164"


def test_an_element_named_cef_and_the_header_of_the_message_are_both_kept() -> None:
    record = parse(b'<34>1 - h a - - [cef k="v"] ' + CEF.encode())
    assert record.attrs["cef"] == {"k": "v"}
    assert notes(record)["cef"]["severity"] == "5"
