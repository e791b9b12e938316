"""The compiled encode: what it takes itself, what it leaves to the plain one, and where its limits lie."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from bench.workload import json_messages, syslog_messages
from twins import ARRIVAL_US, WIDE, batch_of, compiled_twin, encode_with_both

from logstreamd.wire import copy_binary
from logstreamd.wire.batch import PARTIAL, TRUNCATED, Batch
from logstreamd.wire.policy import Policy
from logstreamd.wire.sender import sender_entry

pytestmark = pytest.mark.usefixtures("compiled")

HEADER = b"<34>1 2026-11-21T23:00:00Z h a p m "


@pytest.fixture(scope="module")
def compiled() -> None:
    compiled_twin()


def left_of(*frames: bytes) -> int:
    """Encode with both twins, which must agree; return how many frames the compiled one left to the plain one."""
    return encode_with_both(batch_of(frames))


@pytest.mark.parametrize(
    "frame",
    [
        b"<0>1 - - - - - -",
        b"<191>1 2026-11-21T23:00:00.123456789+05:30 host app 1 ID47 - message\r\n\0",
        b"<34>1 2026-11-21T23:00:00 host app 1 ID47 - a stamp without zone",
        HEADER + '- \ufeffÜber € 😀'.encode(),
        HEADER + b'[ex@1 iut="3" event="\\"quoted\\\\ \\] \\n"][b][c k=bare] message',
        HEADER + b'[origin ip="192.0.2.1" ip="192.0.2.2" software="x" ip="192.0.2.3"]',
        HEADER + b'[a trace_id="abc"] \x01\x02\n\ttext',
        b"<34>1 1970-01-01T00:00:00Z h a p m - too old to be believed",
    ],
)  # fmt: skip
def test_well_formed_rfc5424_frames_are_taken(frame: bytes) -> None:
    assert left_of(frame) == 0
    assert encode_with_both(batch_of([frame]), Policy()) == 0


@pytest.mark.parametrize(
    "frame",
    [
        b"<34>Oct 11 22:14:15 mymachine su: 'su root' failed for lonvick on /dev/pts/8",
        b"<34>oct  1 22:14:15 MYMACHINE sshd[4321]: Accepted publickey",
        b"<34>Nov 21 23:00:00 sshd[4321]: a host of its own is missing",
        b"<34>Nov 21 23:00:00 fe80::1 postfix/smtpd[12]:glued",
        b"<34>Nov 21 23:00:00 web-1 kernel: [12345.678901] usb 1-1: new device",
        b'<34>Nov 21 23:00:00 web-1 rsyslogd: [origin software="rsyslogd" x-pid="1"] start',
        b"<34>Nov 21 23:00:00 web-1 no tag here",
        b"<34>Nov 21 23:00:00 web-1 alone",
        b"<34>Nov 21 2026 23:00:00.123 CET: %SYS-5-CONFIG_I: Configured",
        b"<34>Nov 21 23:00:00 EST 2026 web-1 app: zone and year after the time",
        b"<166>Nov 21 23:00:00 fw-1 : %ASA-6-302013: Built inbound TCP connection",
        b"<189>105: 000104: *Nov 21 23:00:00.123: %SYS-5-CONFIG_I: Configured",
        b"<189>12: core-1: Nov 21 23:00:00 UTC: %LINK-3-UPDOWN: up",
        b"<14>myapp[12]: a line of Python's SysLogHandler\0",
        b"<14>just text",
        b"<34>2026-11-21T23:00:00.5+01:00 web-1 app[1]: ISO stamp",
        b"Nov 21 23:00:00 web-1 app: without priority",
        b"2026-11-21T23:00:00Z web-1 app: without priority",
        b"2026-11-21T23:00:00Z INFO nothing but an application's line",
        b"2026-11-21 23:00:00,123 INFO the same",
        b"\tat com.example.Main(Main.java:1)",
        b"<999>not a priority",
        b"Use the BFG!",
    ],
)
def test_usual_bsd_frames_and_raw_lines_are_taken(frame: bytes) -> None:
    assert left_of(frame) == 0
    assert encode_with_both(batch_of([frame]), Policy(zone=ZoneInfo("America/New_York"))) == 0


@pytest.mark.parametrize(
    "frame",
    [
        b"{}",
        b' { "message" : "m" } '[1:],
        b'{"timestamp":"2026-11-21T23:00:00.5Z","level":"WARN","service":"s","host":"h","trace_id":"t","message":"m"}',
        b'{"@timestamp":"2026-11-21 23:00:00,5","severity":"nonsense","lvl":50,"app":"","hostname":7,"msg":true}',
        b'{"ts":1795302000,"level":"30","logger":1.5,"traceId":"\\u00fc\\n","log":"\\ud83d\\ude00 \\"q\\""}',
        b'{"ts":1795302000.25,"time":1795302000123,"level":{},"x":[1,-2,3.50,true,null,{"a":"\\/\\u0041\\u001f"}]}',
        b'{"ts":1795302000.1234567,"ratio":0.30000000000000004,"small":0.0001,"zero":0.0,"big":999999999999999999}',
        b'{"ts":12,"message":"an event time that is not believed"}',
        b'{"a" : { "b" : [ 1 , 2 ] , "c" : { } } , "d" : [ ]}',
    ],
)
def test_usual_json_lines_are_taken(frame: bytes) -> None:
    assert left_of(frame) == 0
    assert encode_with_both(batch_of([frame]), Policy()) == 0


@pytest.mark.parametrize(
    "frame",
    [
        HEADER + b"- NUL \0 inside",
        HEADER + b"- bad \xff UTF-8",
        HEADER + b"- \xed\xa0\x80 a surrogate",
        HEADER + b"- CEF:0|a|b|c|d|e|f|",
        HEADER + b"- @cee:{}",
        HEADER + b"[broken",
        HEADER + b'[logstreamd k="v"]',
        HEADER + b'[a k="1"][a k="2"]',
        b"<34>1 2026-13-01T00:00:00Z h a p m - x",
        b"<34>1 - " + b"h" * 513 + b" a p m - x",
        b"<34>2 - h a p m - another version",
        b"17 <34>1 - - - - -",
        b"  <34>1 - - - - - -",
        b"<34>Nov 21 23:00:00 h LEEF:1.0|a|b|c|d|",
        b"<34>Foo 21 23:00:00 h a: m",
        b'{"a":1,"a":2}',
        b'{"\\u0061":1}',
        b'{"a":"\\u0000"}',
        b'{"a":"\\ud800"}',
        b'{"a":"\t"}',
        b'{"a":1e5}',
        b'{"a":-0}',
        b'{"a":0.00001}',
        b'{"logstreamd":1}',
        b'{"a":1',
    ],
)
def test_what_needs_repair_or_a_closer_look_is_left_to_the_plain_twin(frame: bytes) -> None:
    assert left_of(frame) == 1


@pytest.mark.parametrize("flags", [TRUNCATED, PARTIAL, TRUNCATED | PARTIAL])
def test_a_flagged_frame_is_left_to_the_plain_twin(flags: int) -> None:
    batch = Batch("edge")
    batch.append(HEADER + b"- x", ARRIVAL_US, batch.peer_id(""), flags)
    assert encode_with_both(batch) == 1


def known_left_of(*frames: bytes) -> int:
    """As :func:`left_of`, with a sender that showed a certificate."""
    batch = Batch("edge")
    for frame in frames:
        batch.append(frame, ARRIVAL_US, batch.peer_id(sender_entry("192.0.2.1", {"tls_subject": "CN=web-1"})))
    return encode_with_both(batch)


@pytest.mark.parametrize(
    "frame", [HEADER + b"- x", HEADER + b'[a k="v"] x', b"<34>just text", b'{"a":"tls_subject"}', b"x"]
)
def test_what_is_known_of_a_sender_costs_no_detour(frame: bytes) -> None:
    assert known_left_of(frame) == 0


@pytest.mark.parametrize(
    "frame", [HEADER + b'[tls_subject k="v"] x', b'{"tls_subject":"CN=me"}', b'{"a":{"tls_subject":1}}']
)
def test_a_frame_that_may_claim_the_name_of_something_known_is_left_to_the_plain_twin(frame: bytes) -> None:
    assert known_left_of(frame) == 1
    assert left_of(frame) == 0


def _params(count: int) -> bytes:
    return HEADER + b"[a" + b"".join(b' k%d="v"' % number for number in range(count)) + b"]"


def _elements(count: int) -> bytes:
    return HEADER + b"".join(b"[e%d]" % number for number in range(count))


def _object(keys: int) -> bytes:
    return json.dumps({f"k{number}": number for number in range(keys)}).encode()


def _nested_keys(keys: int) -> bytes:
    """An object whose objects have ``keys`` names together with it."""
    return json.dumps({f"o{n}": {f"k{m}": m for m in range(99)} for n in range(keys // 100)}).encode()


def _deep(levels: int) -> bytes:
    return b'{"a":' + b"[" * (levels - 1) + b"]" * (levels - 1) + b"}"


@pytest.mark.parametrize(
    ("make", "limit"),
    [
        (_params, 64),
        (_elements, 16),
        (_object, 128),
        (_deep, 64),
        (lambda digits: b'{"n":%s}' % (b"9" * digits), 18),
        (lambda size: b"x" * size, 1 << 18),
        (lambda size: b"<34>1 - " + b"h" * size + b" a p m - x", 512),
        (lambda size: b'{"host":"%s"}' % (b"h" * size), 512),
        (lambda size: b"<34>Nov 21 23:00:00 h " + b"t" * size + b": m", 512),
    ],
    ids=["parameters", "elements", "names of an object", "levels", "digits", "frame", "field", "JSON column", "tag"],
)
def test_the_compiled_twin_goes_up_to_its_limit_and_leaves_what_is_beyond(make: object, limit: int) -> None:
    assert callable(make)
    assert left_of(make(limit)) == 0
    assert left_of(make(limit + 1)) == 1


def test_a_document_may_have_a_thousand_names() -> None:
    assert left_of(_nested_keys(1000)) == 0
    assert left_of(_nested_keys(1100)) == 1


@pytest.mark.parametrize("left", [[0], [4], [0, 4], [1, 2, 3], [0, 1, 2, 3, 4]])
def test_rows_of_the_plain_twin_come_in_at_their_places(left: list[int]) -> None:
    frames = [HEADER + (b"[broken" if index in left else b"- fine") for index in range(5)]
    assert left_of(*frames) == len(left)


def test_an_empty_batch_has_no_rows() -> None:
    assert left_of() == 0


def test_a_frame_ends_where_it_ends_whatever_comes_after_it() -> None:
    lines = [
        HEADER + b'[a k="v"] message',
        b"<34>Nov 21 23:00:00 web-1 sshd[1]: message",
        b"<189>105: *Nov 21 23:00:00.123 CET: %SYS-5-X: y",
        b'{"timestamp":"2026-11-21T23:00:00Z","level":"info","n":1.25,"u":"\\u00fc","t":true,"l":[null]}',
    ]
    for line in lines:
        encode_with_both(batch_of(part for cut in range(len(line)) for part in (line[:cut], line[cut:])))


def test_more_local_minutes_than_are_remembered_are_read_in_the_inputs_zone() -> None:
    start = datetime(2026, 10, 25, tzinfo=UTC)  # the night in which summer time ends
    stamps = [start + timedelta(minutes=7 * number) for number in range(1000)]
    frames = [f"<34>{stamp:%b %e %H:%M:%S} h a: m".encode() for stamp in (*stamps, *reversed(stamps))]
    policy = Policy(zone=ZoneInfo("Europe/Berlin"), max_past_us=1 << 60, max_future_us=1 << 60)
    assert encode_with_both(batch_of(frames), policy) == 0


@pytest.mark.parametrize("policy", [Policy(max_past_us=1 << 62), Policy(max_future_us=1 << 80)], ids=str)
def test_a_window_wider_than_the_arithmetic_leaves_the_batch_to_the_plain_twin(policy: Policy) -> None:
    assert encode_with_both(batch_of([HEADER + b"- x"]), policy) == 1


def test_ids_go_up_to_the_largest_of_a_bigint() -> None:
    assert encode_with_both(batch_of([HEADER + b"- x"]), first_id=(1 << 63) - 65_536) == 0
    assert encode_with_both(batch_of([HEADER + b"- x"]), first_id=(1 << 63) - 1) == 1


def test_tables_that_do_not_fit_each_other_are_refused() -> None:
    batch = batch_of([HEADER + b"- x"] * 3)
    batch.flags.pop()
    with pytest.raises(ValueError, match="zip"):
        compiled_twin()(batch, 1, WIDE)


def test_a_frame_that_ends_beyond_the_data_is_cut_there_as_the_plain_twin_does() -> None:
    batch = batch_of([HEADER + b"- x"] * 3)
    batch.ends[2] += 1000
    assert encode_with_both(batch) == 3


def test_several_threads_encode_at_the_same_time() -> None:
    batch = batch_of([*syslog_messages(2000), *json_messages(2000)])
    policy = Policy(zone=ZoneInfo("Europe/Berlin"))
    expected = copy_binary.encode(batch, 1, policy)
    encode = compiled_twin()
    with ThreadPoolExecutor(4) as pool:
        for encoded, _ in pool.map(lambda _: encode(batch, 1, policy), range(8)):
            assert encoded == expected


def test_nothing_of_an_applications_usual_lines_is_left_to_the_plain_twin() -> None:
    now_us = int(datetime.now(UTC).timestamp() * 1_000_000)
    batch = batch_of([*syslog_messages(500), *json_messages(500)], received_at=now_us)
    assert encode_with_both(batch, Policy()) == 0
