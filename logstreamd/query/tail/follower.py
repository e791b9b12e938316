"""The one loop behind all tails: round after round, what was stored since the last one, to everybody who wants it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import structlog

from logstreamd.metrics import Metrics
from logstreamd.query.errors import QueryTimeoutError, UnavailableError
from logstreamd.query.filter import Filter
from logstreamd.query.tail.feed import Feed
from logstreamd.query.tail.gather import gather, read_chunks
from logstreamd.query.tail.look import Chunk, Found, Question, look
from logstreamd.query.tail.position import Position
from logstreamd.query.tail.recent import RecentBatches
from logstreamd.query.tail.subscription import Subscription, pieces_of
from logstreamd.storage.blocks import SETTLE_SECONDS
from logstreamd.wire.block import Block

__all__ = ["RESUME_SECONDS", "Follower", "TooManyTailsError", "pause_seconds"]

_log = structlog.get_logger(__name__)

_POLL_SECONDS = 0.5
"""How long a row of another daemon may wait to be found; our own writer gives a sign."""
_LEAST_PAUSE_SECONDS = 0.05
_MOST_PAUSE_SECONDS = 2.0
_REST = 9
"""Pause after a round, in times of what the round took: a tail has a tenth of the time, whatever there is to see."""
_SEND_SECONDS_PER_BYTE = 2e-9
"""What sending takes, and reading where the client is on this machine; it happens in the pause. Measured with 50."""
_ROUND_SECONDS = 0.1  # of processor time to look at rows; with the rest after it, a row is seen after a second or so
_ROUND_ROWS = 4_000  # read from the database: some of what the time allows to look at
_TROUBLE_SECONDS = 1.0  # before the database is asked again
_ADMIT_SECONDS = 5.0  # for a client to wait until the database says where it begins: the longest pause, and some more

RESUME_SECONDS = SETTLE_SECONDS - 10.0
"""How old a position may be. Blocks are merged later than that, also when clocks disagree a little; of a merged block
nobody can tell any more when its rows came.
"""
_RESUME_ROWS = 20_000
_RESUME_LOOK_SECONDS = 0.2


class TooManyTailsError(Exception):
    """As many clients follow as may."""


@dataclass(slots=True)
class _Group:
    """Those who follow with the same filter."""

    question: Question
    subscriptions: set[Subscription] = field(default_factory=set)


class Follower:
    """Shows what is stored to those who follow.

    Args:
        feed: what was stored.
        recent: what the writer just stored.
        metrics: clients, and rows they did not get.
        max_clients: one more is refused.
    """

    def __init__(self, feed: Feed, recent: RecentBatches, metrics: Metrics, *, max_clients: int) -> None:
        self._feed = feed
        self._recent = recent
        self._metrics = metrics
        self._max_clients = max_clients
        self._groups: dict[Filter, _Group] = {}
        self._joining: dict[Subscription, asyncio.Future[None]] = {}
        self._kicked = asyncio.Event()
        self._position: Position | None = None
        self._clients = 0
        self._closed = False
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="tail")
        recent.kick = self._kicked.set

    @property
    def clients(self) -> int:
        """How many follow, or wait to."""
        return self._clients

    @asynccontextmanager
    async def subscribe(self, tree: Filter) -> AsyncIterator[Subscription]:
        """Follow what is stored from now on, for as long as the block lasts.

        Raises:
            TooManyTailsError: there are too many already.
            UnavailableError: the database does not answer, or the daemon stops.
        """
        if self._closed:
            raise UnavailableError("the daemon stops")
        if self._clients >= self._max_clients:
            raise TooManyTailsError(f"{self._max_clients} clients follow already")
        group = self._groups.get(tree)
        subscription = Subscription(group.question if group else Question(tree))
        self._count_clients(+1)
        try:
            await self._admitted(subscription)
            yield subscription
        finally:
            self._count_clients(-1)
            self._leave(subscription)

    def _count_clients(self, change: int) -> None:
        self._clients += change
        self._metrics.tail_clients.set(self._clients)

    async def _admitted(self, subscription: Subscription) -> None:
        """Wait for the round that lets the client in."""
        admitted = self._joining[subscription] = asyncio.get_running_loop().create_future()
        self._kicked.set()
        try:
            async with asyncio.timeout(_ADMIT_SECONDS):
                await admitted
        except TimeoutError:
            raise UnavailableError("the database does not say what is stored") from None

    def _leave(self, subscription: Subscription) -> None:
        subscription.close()
        self._joining.pop(subscription, None)
        group = self._groups.get(subscription.question.tree)
        if group is not None:
            group.subscriptions.discard(subscription)
            if not group.subscriptions:
                del self._groups[subscription.question.tree]

    def close(self) -> None:
        """End every stream and let nobody in."""
        self._closed = True
        for admitted in self._joining.values():
            if not admitted.done():
                admitted.set_exception(UnavailableError("the daemon stops"))
        for group in self._groups.values():
            for subscription in group.subscriptions:
                subscription.close()

    async def run(self) -> None:
        """Follow for ever, while anybody listens."""
        try:
            while True:
                await self._kicked.wait()
                while self._clients:
                    await self._attempt(self._round)
                self._position = None
                self._recent.rest()
                self._kicked.clear()
        finally:
            self._thread.shutdown(wait=False, cancel_futures=True)

    async def _attempt(self, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        except (UnavailableError, QueryTimeoutError) as problem:
            _log.warning("tails wait for the database", problem=str(problem))
            await asyncio.sleep(_TROUBLE_SECONDS)

    async def _round(self) -> None:
        started = time.monotonic()
        self._kicked.clear()
        # Who came before the database is asked begins with what it says; nothing that is stored later can be missed.
        joining = list(self._joining)
        sent_bytes = 0
        if self._position is None:
            self._recent.watch(self._wants)
            self._position = Position.after(await self._feed.snapshot(), time.time())
            self._admit(joining, self._position)
        else:
            sent_bytes = await self._show_since(self._position, joining)
        await self._rest(time.monotonic() - started + sent_bytes * _SEND_SECONDS_PER_BYTE)

    def _admit(self, joining: Sequence[Subscription], position: Position) -> None:
        for subscription in joining:
            admitted = self._joining.pop(subscription, None)  # it may have left meanwhile
            if admitted is None or admitted.done():
                continue
            subscription.position = position
            group = self._groups.setdefault(subscription.question.tree, _Group(subscription.question))
            group.subscriptions.add(subscription)
            admitted.set_result(None)

    async def _show_since(self, position: Position, joining: Sequence[Subscription]) -> int:
        """Show what is new and return how many bytes that is for all clients together."""
        delta = await self._feed.since(position)
        groups = [(group, list(group.subscriptions)) for group in self._groups.values()]
        questions = [group.question for group, _ in groups]
        chunks = await gather(delta.batches, questions, self._recent, self._feed, max_rows=_ROUND_ROWS)
        shown = position.round_until(delta.snapshot, time.time())
        found = await self._look(chunks, questions, shown, _ROUND_SECONDS)
        # Only now: a round that failed is begun again where it began. Who joins has nothing to do with it.
        self._position = reached = Position.after(delta.snapshot, time.time())
        overslept = not _is_fresh(position, reached)
        for (_, subscriptions), one in zip(groups, found, strict=True):
            one.unread += delta.rows_left_out
            self._deliver(one, reached, subscriptions, overslept=overslept)
        self._admit(joining, reached)
        return sum(one.bytes * len(subscriptions) for (_, subscriptions), one in zip(groups, found, strict=True))

    async def _look(
        self, chunks: Sequence[Chunk], questions: Sequence[Question], shown: Position, seconds: float
    ) -> list[Found]:
        return await asyncio.get_running_loop().run_in_executor(
            self._thread, lambda: look(chunks, questions, prefix=shown.prefix, budget_seconds=seconds)
        )

    def _deliver(
        self, found: Found, reached: Position, subscriptions: Sequence[Subscription], *, overslept: bool
    ) -> None:
        pieces = pieces_of(found)
        for subscription in subscriptions:
            if not subscription.closed:
                if overslept:
                    subscription.lose_track()
                slow = subscription.offer(pieces, found.unread, reached)
                self._metrics.tail_skipped_rows.labels("slow").inc(slow)
                self._metrics.tail_skipped_rows.labels("unread").inc(found.unread)

    async def _rest(self, work_seconds: float) -> None:
        """Pause as the round deserves it, and on until there is something to do."""
        pause = pause_seconds(work_seconds)
        await asyncio.sleep(pause)
        if pause < _POLL_SECONDS:
            try:
                async with asyncio.timeout(_POLL_SECONDS - pause):
                    await self._kicked.wait()
            except TimeoutError:
                pass

    def _wants(self, blocks: Sequence[Block]) -> bool:
        return any(group.question.may_match(blocks) for group in self._groups.values())

    async def missed(self, since: Position, subscription: Subscription) -> list[Found] | None:
        """Find what a client missed between two connections.

        Args:
            since: how far it had come.
            subscription: its new one, which has what is stored from now on.

        Returns:
            The rest of the round it was in the middle of, and what came then; None when that is too long ago to tell.
        """
        until = subscription.position
        if not _is_fresh(since, until):
            return None
        delta = await self._feed.since(since, until.now)
        rest = [batch for batch in delta.batches if batch.seen]
        later = [batch for batch in delta.batches if not batch.seen]
        missed = []
        for batches, shown in ((rest, since), (later, since.round_until(until.now, until.at))):
            chunks = await read_chunks(batches, [subscription.question], self._feed, max_rows=_RESUME_ROWS)
            in_order = [chunks[number] for number in sorted(chunks)]
            missed += await self._look(in_order, [subscription.question], shown, _RESUME_LOOK_SECONDS)
        missed[0].unread += delta.rows_left_out
        return missed


def pause_seconds(work_seconds: float) -> float:
    """Return how long to rest after a round of so much work."""
    return min(max(_REST * work_seconds, _LEAST_PAUSE_SECONDS), _MOST_PAUSE_SECONDS)


def _is_fresh(position: Position, reached: Position) -> bool:
    """Tell whether everything that was stored between two positions can still be told from what was there before."""
    return abs(reached.at - position.at) <= RESUME_SECONDS
