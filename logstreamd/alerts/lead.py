"""Which of several daemons on one database evaluates: keeping the lead, taking over, standing by."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Set
from contextlib import suppress
from datetime import datetime

import structlog

from logstreamd.alerts.clock import Clock
from logstreamd.alerts.group import patience_seconds
from logstreamd.alerts.hand_over import HandOver
from logstreamd.alerts.journal import Journal, JournalError, Kept, Living
from logstreamd.alerts.records import ending_of, resolved_alert
from logstreamd.alerts.silence import Silence
from logstreamd.alerts.watched import Watched, WatchedGroup

__all__ = ["Lead"]

_log = structlog.get_logger(__name__)

_FOLLOW_SECONDS = 5.0  # how old a stand-by's picture may be; that of silences is as old as the last sign of life
_FLUSH_SECONDS = 5.0  # of values and times that are not worth a write of their own
_PRUNE_SECONDS = 60.0
_TIDY_SECONDS = 60.0

_RULE_GONE = "the rule was removed"
_RULE_CHANGED = "the rule was changed: its alerts have other labels"
_NOBODY = "no daemon evaluates the rule any more"


class Lead:
    """Gives signs of life, and keeps rules and journal together.

    Args:
        journal: who leads is known there.
        groups: returns the rules that are watched.
        hand_over: for alerts that an earlier leader recorded.
        clock: the time.
    """

    def __init__(
        self, journal: Journal, groups: Callable[[], Iterable[WatchedGroup]], hand_over: HandOver, clock: Clock
    ) -> None:
        self._journal = journal
        self._groups = groups
        self._hand_over = hand_over
        self._clock = clock
        self._due = dict.fromkeys(("follow", "flush", "prune", "tidy"), clock.monotonic())
        self._taken_over = 0
        self.silences: tuple[Silence, ...] = ()
        """Those that have not ended."""
        self.problem: str | None = "the database has not been reached yet"
        """What keeps this daemon from leading or standing by."""
        self.heard = asyncio.Event()
        """Set when it is known which silences there are and who leads, or that the database does not say."""

    @property
    def term(self) -> int:
        """The term in which rules may be evaluated: led, and begun where the last leader ended. 0: none."""
        return self._journal.term if self._journal.term == self._taken_over else 0

    @property
    def role(self) -> str:
        """What this daemon does: ``evaluates``, ``stands by``, or ``waits for the database``."""
        if self.problem is not None:
            return "waits for the database"
        return "evaluates" if self.term else "stands by"

    async def beat(self) -> None:
        """Give a sign of life, and do what is due."""
        led = bool(self.term)
        try:
            beat = await self._journal.beat(self._clock.now())
            self.silences = beat.silences
            if beat.term and beat.term != self._taken_over:
                await self.take_over()
            elif beat.term:
                await self._keep()
            else:
                await self._stand_by()
        except JournalError as problem:
            if self.problem is None:
                _log.warning("alert rules can't be evaluated: the database is away", problem=str(problem))
            self.problem = str(problem)
            return
        finally:
            self.heard.set()
        if self.problem is not None or led != bool(self.term):
            _log.info("alert rules", role="evaluates" if self.term else "stands by", after=self.problem)
        self.problem = None

    def _is_due(self, what: str, interval_seconds: float) -> bool:
        now = self._clock.monotonic()
        if now < self._due[what]:
            return False
        self._due[what] = now + interval_seconds
        return True

    async def leave(self) -> None:
        """Give up the lead, if this daemon has it: it has no rules. Now and then, see what others left behind."""
        if self._is_due("tidy", _TIDY_SECONDS):
            with suppress(JournalError):  # there is a next time
                await self._tidy()
            await self._journal.close()
        elif self._journal.term:
            await self._journal.close()
        self._taken_over, self.problem = 0, None
        self.heard.set()

    async def _tidy(self) -> None:
        """End the alerts of rules that nobody evaluates any more."""
        if not _are_abandoned(await self._journal.load()):
            return
        beat = await self._journal.beat(self._clock.now())
        if beat.term:
            self.silences = beat.silences
            await self.take_over(_NOBODY)
            _log.warning("alerts have ended: no daemon evaluates their rules any more")

    def begin_anew(self) -> None:
        """Take over at the next sign of life, as if another daemon had led: the rules are others now."""
        self._taken_over = 0
        self._due["follow"] = self._clock.monotonic()

    async def take_over(self, why_gone: str = _RULE_GONE) -> None:
        """Go on where the rules stand in the journal.

        Alerts whose rule is gone, or makes others now, end. They are handed over before that is recorded: after a crash
        in between it is done again, and the outbox knows it already.

        Args:
            why_gone: why alerts end whose rule this daemon does not have.

        Raises:
            JournalError: the lead was lost; nothing of this counts.
        """
        term, now = self._journal.term, self._clock.now()
        kept = {one.rule: one for one in await self._journal.load()}
        endings, changed = [], []
        for group in self._groups():
            for watched in group.rules:
                found = kept.pop(watched.rule.alert, None)
                if found is None:
                    continue
                strangers = watched.adopt(found)
                if strangers:
                    endings += await self._end(found, strangers, now, _RULE_CHANGED)
                    changed.append(watched)
                resolved = [one for one in watched.state.instances if one.state == "resolved"]
                await self._hand_over.rule(watched, () if watched.handed_over else resolved)
                watched.dirty = watched.dirty or not watched.handed_over
                watched.handed_over = True
            group.resume()
        for orphan in kept.values():
            endings += await self._end(orphan, orphan.alerts, now, why_gone)
        if endings or kept:
            rows = [watched.row() for watched in changed]
            await self._journal.record(term, states=rows, events=endings, gone=list(kept))
        self._taken_over = term

    async def _end(self, kept: Kept, alerts: Iterable[Living], now: datetime, reason: str) -> list[dict[str, object]]:
        ended = list(alerts)
        told = [alert for one in ended if (alert := resolved_alert(one, now, reason)) is not None]
        await self._hand_over.alerts(told, kept.notify, kept.interval_seconds)
        return [ending_of(kept.rule, one, now, reason) for one in ended]

    async def _stand_by(self) -> None:
        """Show what the leader finds, and leave it to him to tell what fires."""
        lost = bool(self._taken_over)
        self._taken_over = 0
        if self._is_due("follow", _FOLLOW_SECONDS) or lost:
            self._follow(await self._journal.load())
            await self._hand_over.stand_by()

    def _follow(self, kept: Iterable[Kept]) -> None:
        found = {one.rule: one for one in kept}
        for group in self._groups():
            for watched in group.rules:
                if watched.rule.alert in found:
                    watched.adopt(found[watched.rule.alert])

    async def _keep(self) -> None:
        untold = self._hand_over.untold()
        if self._is_due("flush", _FLUSH_SECONDS) or any(_is_told(one, untold) for one in self._rules()):
            await self.flush()
        if self._is_due("prune", _PRUNE_SECONDS):
            await self._journal.prune(self._clock.now())

    async def flush(self) -> None:
        """Record what is not worth a write of its own.

        A rule that is being evaluated is left out: the journal writes in the order of asking, so that what is recorded
        of an evaluation that begins now comes after this.

        Raises:
            JournalError: nothing was recorded, or nobody knows.
        """
        untold = self._hand_over.untold()
        changed = [one for one in self._rules() if (one.dirty or _is_told(one, untold)) and not one.busy]
        if not changed or not self.term:
            return
        rows = []
        for one in changed:
            one.dirty, one.marked = False, one.marked and not _is_told(one, untold)
            rows.append(one.row(handed_over=not one.marked))
        await self._journal.record(self.term, states=rows)

    def _rules(self) -> Iterator[Watched]:
        return (one for group in self._groups() for one in group.rules)


def _is_told(watched: Watched, untold: Set[str]) -> bool:
    """Tell whether the notifiers have told what the journal still has a mark for."""
    return watched.marked and watched.handed_over and watched.rule.alert not in untold


def _are_abandoned(kept: Iterable[Kept]) -> bool:
    """Tell whether there are rules of which none was evaluated for so long that nobody believes their alerts."""
    rules = list(kept)
    patience = patience_seconds(min((one.interval_seconds for one in rules), default=0.0))
    return bool(rules) and min(one.age_seconds for one in rules) > patience
