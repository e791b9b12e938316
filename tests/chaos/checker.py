"""What became of every message, in the classes of Jepsen's total-queue checker.

=============  ===========================================================
class          meaning
=============  ===========================================================
ok             acknowledged, and stored
recovered      not acknowledged, and stored all the same
lost           acknowledged, and not stored
duplicated     stored more than once
unexpected     stored, and never sent
corrupted      stored with other bytes than were sent
partial        stored as the marked rest of a connection that broke
inversions     stored with an id below that of an earlier message
=============  ===========================================================

*Acknowledged* is what the daemon had answered for: an HTTP 200, or (for senders that get no answers) what was found
in its spool and in the table when it was killed.

Whenever the table is read, its blocks and counts are checked against it: they are exact at any moment.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from logstreamd.spool.inspect import export_frames
from tests.acceptance.database import Database
from tests.chaos.messages import Stamp, read_stamp
from tests.chaos.senders import Journal
from tests.exactness import VIOLATIONS

__all__ = ["Outcome", "assert_exact", "assert_good", "check", "spooled_stamps", "stored_stamps"]

_ROWS = """
    SELECT message, coalesce(attrs #> '{logstreamd,flags}' ? 'partial', false)
    FROM logs WHERE message LIKE $1 ORDER BY id
"""


@dataclass
class Outcome:
    """The messages of one sender, by class."""

    ok: int = 0
    recovered: int = 0
    partial: int = 0
    lost: list[int] = field(default_factory=list)
    duplicated: list[int] = field(default_factory=list)
    unexpected: list[int] = field(default_factory=list)
    inversions: list[int] = field(default_factory=list)

    @property
    def flawless(self) -> bool:
        return not (self.lost or self.duplicated or self.unexpected or self.inversions)

    def __str__(self) -> str:
        counts = {name: len(value) if isinstance(value, list) else value for name, value in vars(self).items()}
        shown = {name: value[:5] for name, value in vars(self).items() if isinstance(value, list) and value}
        return f"{counts} {shown}"


def stored_stamps(database: Database, run: str) -> Iterator[Stamp]:
    """Yield what is in the table, in the order of ids.

    Raises:
        AssertionError: a row is not what anybody sent, or blocks or counts are not those of the rows.
    """
    assert_exact(database)
    for message, partial in database.fetch(_ROWS, f"run={run} %"):
        stamp = read_stamp(message)
        assert stamp is not None or partial, f"corrupted: {message[:200]!r}"
        if stamp is not None:
            yield stamp


def assert_exact(database: Database) -> None:
    """Blocks and counts are those of the rows, and every row lies in a block of its day."""
    broken = {name: found for name, query in VIOLATIONS.items() if (found := database.fetch(query))}
    assert not broken, broken


def spooled_stamps(spool: Path) -> Iterator[Stamp]:
    """Yield what lies in the spool of a daemon that does not run."""
    for entry in export_frames(spool):
        text = str(entry["frame"])
        stamp = read_stamp(text[text.index("run=") :].removesuffix('"}'))
        assert stamp is not None or entry["flags"], f"corrupted: {entry}"
        if stamp is not None:
            yield stamp


def check(stored: Iterable[Stamp], journals: Iterable[Journal]) -> dict[str, Outcome]:
    """Compare the table with the journals.

    Args:
        stored: what is in the table, in the order of ids.
        journals: of every sender of the run.
    """
    by_sender: dict[str, list[int]] = {}
    for stamp in stored:
        by_sender.setdefault(stamp.sender, []).append(stamp.number)
    return {journal.sender: _classify(by_sender.get(journal.sender, []), journal) for journal in journals}


def _classify(numbers: list[int], journal: Journal) -> Outcome:
    outcome = Outcome()
    seen: set[int] = set()
    highest = -1
    for number in numbers:
        if number in seen:
            outcome.duplicated.append(number)
        elif not 0 <= number < journal.sent:
            outcome.unexpected.append(number)
        elif number < highest:
            outcome.inversions.append(number)
        seen.add(number)
        highest = max(highest, number)
    outcome.lost = sorted(journal.acknowledged - seen)
    outcome.ok = len(journal.acknowledged & seen)
    outcome.recovered = len(seen - journal.acknowledged - set(outcome.unexpected))
    return outcome


def assert_good(outcomes: dict[str, Outcome]) -> None:
    """Nothing acknowledged is lost, nothing is stored twice or made up, and each sender's order is kept."""
    bad = {sender: str(outcome) for sender, outcome in outcomes.items() if not outcome.flawless}
    assert not bad, bad
