from __future__ import annotations

import asyncio
import gzip
import json
import sys
from functools import partial
from typing import Any

import pytest
from manual_spool import turns

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

LOG = b'{"message": "m"}'
pack = partial(gzip.compress, mtime=0)  # the same bytes, and so the same test, in every worker


def lines(count: int) -> bytes:
    return b"\n".join(b'{"message": "%d"}' % number for number in range(count))


@pytest.mark.parametrize(
    ("body", "frames"),
    [
        (b'[{"message": "a"}, {"message": "b"}]', [b'{"message": "a"}', b'{"message": "b"}']),
        (b'{"message": "a"}\n{"message": "b"}\n', [b'{"message": "a"}', b'{"message": "b"}']),
        (LOG, [LOG]),
        (b'{\n  "message": "m"\n}', [b'{\n  "message": "m"\n}']),
    ],
    ids=["array", "lines", "object", "pretty-printed object"],
)
@pytest.mark.parametrize(("encoding", "compress"), [("identity", bytes), ("gzip", pack), ("zstd", zstd.compress)])
async def test_every_shape_is_taken_in_every_encoding(
    api: Any, body: bytes, frames: list[bytes], encoding: str, compress: Any
) -> None:
    status, answer, _ = await api.post(compress(body), Content_Encoding=encoding)
    assert (status, answer) == (200, {"accepted": len(frames), "rejected": []})
    assert api.spool.frames == frames
    (batch,) = api.spool.kept
    assert (batch.input, batch.peers) == ("http", ["127.0.0.1"])


async def test_the_answer_comes_when_the_last_batch_is_durable_and_not_before(api: Any) -> None:
    api.spool.prompt = False
    asking = asyncio.create_task(api.post(lines(250)))
    while api.spool.waiting < 3:
        await asyncio.sleep(0.001)
    for left in (2, 1, 0):
        await turns(20)
        assert not asking.done()
        assert api.metrics.ledger("http").imbalance == 0
        api.spool.keep()
        assert api.metrics.ledger("http").imbalance == 0
        assert api.spool.waiting == left
    status, answer, _ = await asking
    assert (status, answer["accepted"]) == (200, 250)
    assert api.metrics.ledger("http").spooled == 250


async def test_what_is_no_log_is_named_with_the_reason_and_the_rest_is_kept(api: Any) -> None:
    body = b'{"message": "a"}\nnot json\n{"message": "b", "level": "loud"}\n{"message": "c"}'
    status, answer, _ = await api.post(body)
    assert (status, answer["accepted"]) == (200, 2)
    assert [one["line"] for one in answer["rejected"]] == [2, 3]
    assert answer["rejected"][1]["reason"].startswith("level: must be one of")
    assert len(api.spool.frames) == 2


async def test_when_nothing_is_a_log_the_answer_is_no_success(api: Any) -> None:
    status, answer, _ = await api.post(b"x\ny")
    assert status == 400
    assert answer["error"]["code"] == "nothing_accepted"
    assert answer["error"]["message"].startswith("line 1: ")
    assert [one["line"] for one in answer["rejected"]] == [1, 2]


@pytest.mark.parametrize("body", [b"[]", b" [ \n ] "])
async def test_a_batch_of_no_logs_is_taken_as_it_is(api: Any, body: bytes) -> None:
    for _ in range(2):
        status, answer, _ = await api.post(body, Idempotency_Key="empty")
        assert (status, answer) == (200, {"accepted": 0, "rejected": []})
    assert api.metrics.ledger("http").received == 0


async def test_a_list_of_reasons_ends_and_says_how_many_there_were(api: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("logstreamd.api.ingest._MAX_REJECTED_SHOWN", 3)
    _, answer, _ = await api.post(b"x\n" * 10)
    assert (len(answer["rejected"]), answer["rejected_total"]) == (3, 10)


@pytest.mark.parametrize(
    ("body", "headers", "expected"),
    [
        (b"", {}, (400, "bad_body")),
        (b"[", {}, (400, "bad_body")),
        (LOG, {"Content_Type": "text/plain"}, (415, "bad_content_type")),
        (LOG, {"Content_Type": "application/x-www-form-urlencoded"}, (415, "bad_content_type")),
        (LOG, {"Content_Type": "multipart/form-data"}, (415, "bad_content_type")),
        (LOG, {"Content_Encoding": "br"}, (415, "bad_content_encoding")),
        (LOG, {"Content_Encoding": "gzip"}, (400, "bad_body")),
        (pack(LOG)[:-4], {"Content_Encoding": "gzip"}, (400, "bad_body")),
        (zstd.compress(LOG)[:-2], {"Content_Encoding": "zstd"}, (400, "bad_body")),
        (pack(LOG) + b"x", {"Content_Encoding": "gzip"}, (400, "bad_body")),
        (pack(bytes(1_500_000)), {"Content_Encoding": "gzip"}, (413, "too_large")),
        (zstd.compress(bytes(50 << 20)), {"Content_Encoding": "zstd"}, (413, "too_large")),
        (pack(lines(90_000)), {"Content_Encoding": "gzip"}, (413, "too_large")),
        (lines(1001), {}, (413, "too_large")),
        (b" " * ((1 << 20) + 1), {}, (413, "too_large")),
        (LOG, {"Idempotency_Key": "k" * 257}, (400, "bad_parameter")),
        (LOG, {"Idempotency_Key": "é"}, (400, "bad_parameter")),
    ],
)
async def test_what_can_not_be_taken_is_refused_with_its_code_and_kept_nowhere(
    api: Any, body: bytes, headers: dict[str, str], expected: tuple[int, str]
) -> None:
    status, answer, _ = await api.post(body, **headers)
    assert (status, answer["error"]["code"]) == expected
    assert answer["error"]["message"]
    assert api.spool.offers == 0
    assert api.metrics.ledger("http").received == 0


async def test_a_key_in_bytes_that_are_no_text_is_refused(api: Any) -> None:
    host, port = api.server.endpoints[0].split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(
        b"POST /api/v1/logs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nConnection: close\r\n"
        b"Idempotency-Key: \xff\xfe\r\nContent-Length: 16\r\n\r\n" + LOG
    )
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    assert answer.startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize(
    "content_type",
    ["application/json", "application/json; charset=utf-8", "application/x-ndjson", "application/jsonl"],
)
async def test_the_usual_content_types_are_taken(api: Any, content_type: str) -> None:
    assert (await api.post(LOG, Content_Type=content_type))[0] == 200


async def test_without_room_nothing_is_accepted_and_the_sender_told_when_to_come_again(api: Any) -> None:
    api.spool.has_room = False
    status, answer, headers = await api.post(LOG)
    assert (status, answer["error"]["code"], headers["Retry-After"]) == (503, "no_room", "1")
    assert api.metrics.ledger("http").received == 0


async def test_what_a_failing_disk_refused_is_no_loss_because_the_sender_knows(api: Any) -> None:
    api.spool.prompt = False
    asking = asyncio.create_task(api.post(lines(150)))
    while api.spool.waiting < 2:
        await asyncio.sleep(0.001)
    api.spool.keep()
    api.spool.fail()
    status, answer, headers = await asking
    assert (status, answer["error"]["code"], headers["Retry-After"]) == (503, "no_room", "1")
    ledger = api.metrics.ledger("http")
    assert (ledger.spooled, ledger.dropped, ledger.imbalance) == (100, 50, 0)


async def test_a_client_that_goes_away_leaves_the_ledger_closed(api: Any) -> None:
    api.spool.prompt = False
    asking = asyncio.create_task(api.post(LOG))
    while not api.spool.waiting:
        await asyncio.sleep(0.001)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    await asyncio.sleep(0.05)  # the server notices; whenever that is, the sums hold
    assert api.metrics.ledger("http").in_flight == 1
    api.spool.keep()
    await turns()
    ledger = api.metrics.ledger("http")
    assert (ledger.spooled, ledger.dropped, ledger.in_flight, ledger.imbalance) == (1, 0, 0, 0)


async def test_a_request_that_is_repeated_with_its_key_is_answered_and_not_kept_again(api: Any) -> None:
    body = LOG + b"\nnot json"
    first = await api.post(body, Idempotency_Key="one")
    again = await api.post(body, Idempotency_Key="one")
    assert first[:2] == again[:2]
    assert "Idempotency-Replayed" not in first[2]
    assert again[2]["Idempotency-Replayed"] == "true"
    assert len(api.spool.frames) == 1


async def test_a_key_that_comes_with_another_body_is_refused(api: Any) -> None:
    await api.post(LOG, Idempotency_Key="one")
    status, answer, _ = await api.post(LOG + LOG, Idempotency_Key="one")
    assert (status, answer["error"]["code"], answer["error"]["field"]) == (422, "key_reused", "Idempotency-Key")


async def test_a_request_that_failed_can_be_repeated_with_its_key(api: Any) -> None:
    api.spool.has_room = False
    assert (await api.post(LOG, Idempotency_Key="one"))[0] == 503
    api.spool.has_room = True
    status, _, headers = await api.post(LOG, Idempotency_Key="one")
    assert status == 200
    assert "Idempotency-Replayed" not in headers


async def test_the_parts_of_a_request_have_the_same_names_each_time_they_come(api: Any) -> None:
    for _ in range(2):
        await api.post(lines(250), Idempotency_Key="one")
        api.input._answers.clear()  # as after a restart
    await api.post(lines(250), Idempotency_Key="two")
    await api.post(lines(5))
    names = [batch.request for batch in api.spool.kept]
    assert names[:3] == names[3:6]
    assert len({name for name in names if name}) == 6
    assert [name[1] for name in names[:3]] == [0, 1, 2]
    assert names[9] is None


async def test_answers_are_remembered_up_to_a_number(api: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("logstreamd.inputs.http._MAX_KEYS", 3)
    for key in "abcd":
        await api.post(LOG, Idempotency_Key=key)
    assert list(api.input._answers) == ["b", "c", "d"]


async def test_more_bodies_than_memory_is_set_aside_for_are_sent_away(api: Any) -> None:
    api.input._reading_bytes = 2 * api.input.limits.max_body_bytes
    status, answer, headers = await api.post(pack(LOG), Content_Encoding="gzip")
    assert (status, answer["error"]["code"], headers["Retry-After"]) == (429, "busy", "1")
    api.input._reading_bytes = 0
    assert (await api.post(pack(LOG), Content_Encoding="gzip"))[0] == 200
    assert api.input._reading_bytes == 0


@pytest.mark.parametrize("body", [b"not gzip", pack(LOG)])
async def test_the_memory_is_free_again_whatever_became_of_a_body(api: Any, body: bytes) -> None:
    await api.post(body, Content_Encoding="gzip")
    assert api.input._reading_bytes == 0


async def test_a_body_that_does_not_arrive_is_not_waited_for(api: Any) -> None:
    api.ingest._read_seconds = 0.05
    host, port = api.server.endpoints[0].split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(
        b"POST /api/v1/logs HTTP/1.1\r\nHost: localhost\r\n"
        b"Content-Type: application/json\r\nContent-Length: 999\r\n\r\n["
    )
    assert (await reader.readline()).startswith(b"HTTP/1.1 408 ")
    writer.close()
    await writer.wait_closed()


async def test_bodies_that_arrive_are_bounded_together(api: Any) -> None:
    host, port = api.server.endpoints[0].split(":")
    head = (
        b"POST /api/v1/logs HTTP/1.1\r\nHost: localhost\r\n"
        b"Content-Type: application/json\r\nContent-Length: 1048576\r\n\r\n"
    )
    slow = [await asyncio.open_connection(host, int(port)) for _ in range(4)]
    for _, writer in slow:
        writer.write(head + b" " * ((1 << 20) - 1))
    while api.ingest._held_bytes < 4 * ((1 << 20) - 1):
        await asyncio.sleep(0.001)
    status, answer, headers = await api.post(LOG)
    assert (status, answer["error"]["code"], headers["Retry-After"]) == (429, "busy", "1")
    for _, writer in slow:
        writer.close()
        await writer.wait_closed()
    while api.ingest._held_bytes:
        await asyncio.sleep(0.001)
    assert (await api.post(LOG))[0] == 200


async def test_a_large_body_is_taken(api: Any) -> None:
    body = b"[" + b",".join([json.dumps({"message": "x" * 5000}).encode()] * 200) + b"]"
    assert (await api.post(body))[1] == {"accepted": 200, "rejected": []}
    assert [len(batch) for batch in api.spool.kept] == [100, 100]


async def test_a_large_body_is_known_again_by_its_key_too(api: Any) -> None:
    body = lines(900) + b"\n" + json.dumps({"message": "x" * 60_000}).encode()
    assert len(body) > 64 * 1024  # hashed and read by a thread
    for repeated in (None, "true"):
        status, answer, headers = await api.post(body, Idempotency_Key="one")
        assert (status, answer["accepted"], headers.get("Idempotency-Replayed")) == (200, 901, repeated)
    assert len(api.spool.frames) == 901
    assert (await api.post(body + b"\n", Idempotency_Key="one"))[0] == 422
