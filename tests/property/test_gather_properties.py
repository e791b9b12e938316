"""Whatever a spool does to an input, no frame is lost uncounted, doubled or overtaken."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from manual_spool import ManualSpool, turns

from logstreamd.inputs import gather
from logstreamd.inputs.gather import Gatherer
from logstreamd.metrics import Metrics

ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("receive"), st.integers(1, 7)),
        st.tuples(st.sampled_from(["keep", "fail", "cancel"]), st.just(0)),
        st.tuples(st.sampled_from(["full", "room", "told", "seal", "turn"]), st.just(0)),
    ),
    max_size=40,
)


@pytest.fixture(scope="module", autouse=True)
def _retry_at_once() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gather, "_RETRY_SECONDS", 0)
        yield


class Run:
    """One life of an input, its ledger looked at after every step."""

    def __init__(self, *, rows: int, drop: bool) -> None:
        self.spool = ManualSpool()
        self.metrics = Metrics(version="test", wire="python")
        self.gatherer = Gatherer(
            "in", self.spool.append, self.metrics, max_rows=rows, max_bytes=12, max_age_seconds=0, drop_when_full=drop
        )
        self.metrics.watch_input("in", in_flight=self.gatherer.count_in_flight, spooled=lambda: len(self.spool.frames))
        self.sent = 0

    async def step(self, action: str, count: int) -> None:
        match action:
            case "receive":
                self.receive(count)
            case "keep" | "fail" if self.spool.waiting:
                getattr(self.spool, action)()
            case "cancel" if self.spool.waiting:
                self.spool._waiting.popleft()[1].cancel()
            case "full" | "room":
                self.spool.has_room = action == "room"
            case "told":
                self.gatherer.room()
            case "seal":
                self.gatherer.seal()
            case "turn":
                await turns(2)

    def receive(self, count: int) -> None:
        for _ in range(count):
            batch = self.gatherer.batch
            batch.append(b"%03d" % self.sent, 0, batch.peer_id("192.0.2.1"))
            self.sent += 1
            if batch.full or self.sent % 2:
                self.gatherer.added(3)
        self.gatherer.added(0)

    def check(self) -> None:
        ledger = self.metrics.ledger("in")
        assert ledger.received == self.sent
        assert ledger.imbalance == 0
        numbers = [int(frame) for frame in self.spool.frames]
        assert numbers == sorted(set(numbers))


async def live(run: Run, actions: list[tuple[str, int]], *, in_time: bool) -> None:
    for action, count in actions:
        await run.step(action, count)
        run.check()
    if in_time:
        run.spool.open_up()
    given_up = await run.gatherer.flush(5 if in_time else 0)
    run.check()
    ledger = run.metrics.ledger("in")
    if in_time:
        assert (given_up, ledger.in_flight) == (0, 0)
        assert ledger.spooled + ledger.dropped == run.sent
        run.gatherer.room()
    while run.spool.waiting:
        run.spool.fail()
        await turns()
        run.check()
    assert run.metrics.ledger("in").in_flight == 0


@settings(max_examples=60, deadline=None)
@given(ACTIONS, st.integers(1, 4), st.booleans())
def test_the_ledger_closes_after_every_step_and_nothing_overtakes(
    actions: list[tuple[str, int]], rows: int, in_time: bool
) -> None:
    async def run() -> None:
        one = Run(rows=rows, drop=False)
        await live(one, actions, in_time=in_time)
        if in_time:
            assert [int(frame) for frame in one.spool.frames] == list(range(one.sent))

    asyncio.run(run())


@settings(max_examples=60, deadline=None)
@given(ACTIONS, st.integers(1, 4), st.booleans())
def test_an_input_that_drops_counts_exactly_what_is_missing(
    actions: list[tuple[str, int]], rows: int, in_time: bool
) -> None:
    asyncio.run(live_dropping(actions, rows, in_time))


async def live_dropping(actions: list[tuple[str, int]], rows: int, in_time: bool) -> None:
    await live(Run(rows=rows, drop=True), actions, in_time=in_time)
