"""What an evaluation is called: in the log, and in its trace."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from log_lines import log_lines
from otlp_receiver import OtlpReceiver, traced
from watching import Watch, group_of, rule_of

from logstreamd.alerts.measure import MeasureError, Measurement


@pytest.fixture
async def watch() -> AsyncIterator[Watch]:
    watch = await Watch(group_of(rule_of("First"), rule_of("Second"))).start()
    watch.witness.asked.clear()
    yield watch
    await watch.kill()


async def test_a_line_about_a_rule_names_it_and_its_group(watch: Watch) -> None:
    async def fail(measurement: Measurement) -> None:
        if len(watch.witness.asked) == 1:
            raise ZeroDivisionError("a bug")

    watch.witness.measuring = fail
    with log_lines() as log:
        await watch.clock.advance(15)
    (line,) = log.about("a rule could not be evaluated")
    assert (line["rule"], line["group"]) == ("First", "group")


async def test_an_evaluation_is_a_span_with_its_rule_and_outcome(watch: Watch) -> None:
    async def refuse(measurement: Measurement) -> None:
        if len(watch.witness.asked) % 2:
            raise MeasureError("the question takes too long")

    watch.witness.measuring = refuse
    async with OtlpReceiver() as receiver:
        with traced(receiver.endpoint) as tracer:
            await watch.clock.advance(15)
            await tracer.stop(10)
    spans = receiver.named("rule")
    assert {span.attributes["logstreamd.rule"]: span.attributes["logstreamd.outcome"] for span in spans} == {
        "First": "failed",
        "Second": "ok",
    }
    assert {span.attributes["logstreamd.group"] for span in spans} == {"group"}
    assert len({span.trace_id for span in spans}) == 2
