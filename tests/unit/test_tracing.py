from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from functools import partial
from typing import Any

import pytest
import structlog
from otlp_receiver import OtlpReceiver, only, traced

from logstreamd import tracing

TraceTo = Callable[..., "Traced"]
PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
async def receiver() -> AsyncIterator[OtlpReceiver]:
    async with OtlpReceiver() as receiver:
        yield receiver


class Traced:
    """A tracer in use, and what it lost."""

    def __init__(self, stack: ExitStack, endpoint: str, **settings: Any) -> None:
        self.lost = 0
        self.tracer = stack.enter_context(traced(endpoint, on_lost=self._on_lost, **settings))

    def _on_lost(self, spans: int) -> None:
        self.lost += spans


@pytest.fixture
def trace_to() -> Iterator[Callable[..., Traced]]:
    with ExitStack() as stack:
        yield partial(Traced, stack)


def test_nothing_happens_while_tracing_is_off() -> None:
    with tracing.span("batch", attributes={"rows": 1}, carrier={"traceparent": PARENT}) as span:
        span.set("rows", 2)
        span.fail("TimeoutError")
        tracing.record("encode", started_ns=1, ended_ns=2)
        assert tracing.outgoing_headers() == {}
        assert tracing.current_ids() == {}


def test_the_sdk_is_not_loaded_while_tracing_is_off() -> None:
    """Half a second and 30 MB: nobody pays for it who does not want it."""
    import subprocess
    import sys

    program = "import sys, logstreamd.tracing, logstreamd.daemon; print('opentelemetry.sdk' in sys.modules)"
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert answer.stdout == "False\n"


async def test_spans_arrive_with_their_parents_ids_and_attributes(receiver: OtlpReceiver, trace_to: TraceTo) -> None:
    traced = trace_to(receiver.endpoint)
    before = time.time_ns()
    with tracing.span("batch", attributes={"input": "udp", "rows": 3}, started_ns=before - 1_000) as batch:
        tracing.record("encode", started_ns=before - 500, ended_ns=before - 400, attributes={"rows": 3})
        with tracing.span("COPY", "client"):
            await asyncio.sleep(0)
        batch.set("age", 0.5)
    with tracing.span("other"):
        pass
    await traced.tracer.stop(10)
    batch_span, encode, copy, other = (only(receiver.spans, name) for name in ("batch", "encode", "COPY", "other"))
    assert (batch_span.kind, copy.kind, batch_span.parent_id) == ("internal", "client", "")
    assert batch_span.attributes == {"input": "udp", "rows": 3, "age": 0.5}
    assert {encode.parent_id, copy.parent_id} == {batch_span.span_id}
    assert {encode.trace_id, copy.trace_id} == {batch_span.trace_id}
    assert other.trace_id != batch_span.trace_id
    assert (batch_span.start_ns, encode.start_ns, encode.end_ns) == (before - 1_000, before - 500, before - 400)
    assert batch_span.end_ns >= copy.end_ns >= copy.start_ns > encode.end_ns
    assert not any(span.failed for span in receiver.spans)
    assert receiver.resources[0]["service.name"] == "logs"
    assert traced.lost == 0


@pytest.mark.parametrize("header", ["traceparent", "Traceparent", "TRACEPARENT"])
async def test_a_request_continues_the_trace_of_whoever_sent_it(
    receiver: OtlpReceiver, trace_to: TraceTo, header: str
) -> None:
    traced = trace_to(receiver.endpoint, sample_ratio=0.0)  # the sender decided that it is kept
    with tracing.span("GET /status", "server", carrier={header: PARENT, "Host": "x"}):
        ids = tracing.current_ids()
        assert tracing.outgoing_headers() == {"traceparent": f"00-{ids['trace_id']}-{ids['span_id']}-01"}
    await traced.tracer.stop(10)
    span = only(receiver.spans, "GET /status")
    assert (span.trace_id, span.parent_id, span.span_id) == (PARENT[3:35], PARENT[36:52], ids["span_id"])


@pytest.mark.parametrize(
    "header",
    [
        "",
        "00",
        "00-00000000000000000000000000000000-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
        "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01\n",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
        "x" * 10_000,
    ],
)
async def test_a_header_that_is_no_context_begins_a_new_trace(
    receiver: OtlpReceiver, trace_to: TraceTo, header: str
) -> None:
    traced = trace_to(receiver.endpoint)
    with tracing.span("GET /status", "server", carrier={"traceparent": header}):
        assert re.fullmatch("[0-9a-f]{32}", tracing.current_ids()["trace_id"])
    await traced.tracer.stop(10)
    span = only(receiver.spans, "GET /status")
    assert span.parent_id == ""
    assert span.trace_id != PARENT[3:35]


async def test_only_the_wanted_part_of_traces_is_kept(receiver: OtlpReceiver, trace_to: TraceTo) -> None:
    traced = trace_to(receiver.endpoint, sample_ratio=0.0)
    with tracing.span("batch"):
        assert "trace_id" in tracing.current_ids()  # lines of the log can still be told together
    with tracing.span("kept", carrier={"traceparent": PARENT}):
        pass
    await traced.tracer.stop(10)
    assert [span.name for span in receiver.spans] == ["kept"]


async def test_what_is_raised_inside_makes_a_failed_span_without_its_text(
    receiver: OtlpReceiver, trace_to: TraceTo
) -> None:
    traced = trace_to(receiver.endpoint)
    with pytest.raises(ValueError), tracing.span("COPY"):
        raise ValueError("a row of somebody")
    with pytest.raises(asyncio.CancelledError), tracing.span("GET /tail"):
        raise asyncio.CancelledError
    await traced.tracer.stop(10)
    failed = only(receiver.spans, "COPY")
    assert (failed.failed, failed.attributes) == (True, {"error.type": "ValueError"})
    assert not only(receiver.spans, "GET /tail").failed
    assert "somebody" not in repr(receiver.spans)


async def test_tasks_do_not_mix_their_spans(receiver: OtlpReceiver, trace_to: TraceTo) -> None:
    traced = trace_to(receiver.endpoint)

    async def work(name: str) -> None:
        with tracing.span(name):
            await asyncio.sleep(0)
            with tracing.span(f"{name} inside"):
                await asyncio.sleep(0)

    await asyncio.gather(*(work(f"task {number}") for number in range(5)))
    await traced.tracer.stop(10)
    for number in range(5):
        outer, inner = (only(receiver.spans, f"task {number}{end}") for end in ("", " inside"))
        assert (outer.parent_id, inner.parent_id) == ("", outer.span_id)


async def test_headers_come_from_the_environment(
    receiver: OtlpReceiver, trace_to: TraceTo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "authorization=Bearer%20t0ken")
    traced = trace_to(receiver.endpoint)
    with tracing.span("batch"):
        pass
    await traced.tracer.stop(10)
    assert receiver.headers[0]["authorization"] == "Bearer t0ken"


async def test_a_receiver_that_is_away_is_a_line_a_minute_and_one_when_it_is_back(
    receiver: OtlpReceiver, trace_to: TraceTo
) -> None:
    now = [0.0]
    receiver.status = 500
    traced = trace_to(receiver.endpoint, monotonic=lambda: now[0])
    exporter: Any = traced.tracer._exporter
    span = {"name": "batch"}

    async def send() -> None:
        with tracing.span(**span):  # type: ignore[arg-type]
            pass
        await asyncio.to_thread(traced.tracer._provider.force_flush)

    with structlog.testing.capture_logs() as logs:
        for _ in range(3):
            await send()
        now[0] = 61.0
        await send()
        receiver.status = 200
        await send()
        await send()
    assert [(entry["event"], entry["lost_spans"]) for entry in logs] == [
        ("traces can't be sent", 1),
        ("traces can't be sent", 4),
        ("traces are sent again", 4),
    ]
    assert "500" in logs[0]["problem"]
    assert traced.lost == 4
    assert exporter.give_up() == 0
    await traced.tracer.stop(10)


async def test_a_problem_never_names_the_path_of_the_receiver(trace_to: TraceTo) -> None:
    traced = trace_to("http://127.0.0.1:9/hunter2/v1/traces?key=hunter2", timeout_seconds=1.3)
    with tracing.span("batch"):
        pass
    with structlog.testing.capture_logs() as logs:
        await asyncio.to_thread(traced.tracer._provider.force_flush)
    assert [entry["event"] for entry in logs] == ["traces can't be sent"]
    assert "Connection refused" in logs[0]["problem"]
    assert "hunter2" not in repr(logs)
    await traced.tracer.stop(10)


async def test_the_queue_is_bounded_and_what_does_not_fit_is_counted(receiver: OtlpReceiver, trace_to: TraceTo) -> None:
    from logstreamd.tracing.otel import QUEUE_SPANS

    receiver.gate.clear()
    traced = trace_to(receiver.endpoint)
    for _ in range(2 * QUEUE_SPANS):
        with tracing.span("batch"):
            pass
    assert QUEUE_SPANS <= 2 * QUEUE_SPANS - traced.lost <= QUEUE_SPANS + 512  # a request may be under way
    receiver.gate.set()
    await traced.tracer.stop(10)
    assert len(receiver.spans) == 2 * QUEUE_SPANS - traced.lost


async def test_a_stop_does_not_wait_for_a_receiver_that_hangs(receiver: OtlpReceiver, trace_to: TraceTo) -> None:
    receiver.gate.clear()
    traced = trace_to(receiver.endpoint)
    with tracing.span("batch"):
        pass
    with structlog.testing.capture_logs() as logs:
        await traced.tracer.stop(0.05)
    assert [entry["event"] for entry in logs] == ["traces were not sent in time"]


async def test_a_line_of_the_log_has_the_ids_of_its_span(receiver: OtlpReceiver, trace_to: TraceTo) -> None:
    from logstreamd.ownlog.output import add_trace_ids

    traced = trace_to(receiver.endpoint)
    with tracing.span("GET /status", "server", carrier={"traceparent": PARENT}):
        entry = add_trace_ids(None, "info", {"event": "inside"})
    outside = add_trace_ids(None, "info", {"event": "outside"})
    await traced.tracer.stop(10)
    assert entry["trace_id"] == PARENT[3:35]
    assert entry["span_id"] == only(receiver.spans, "GET /status").span_id
    assert outside == {"event": "outside"}
