"""The one thread that touches the spool's files: commands in, group commits, events out.

Everything that waits is written in one transaction. After any error the handle is given up, the batches of
that transaction are reported as not kept (and deleted first thing should the disk have kept them after all),
deletions and batch numbers are remembered, and the file is opened again after a pause.
"""

from __future__ import annotations

import queue
import time
import uuid
from collections.abc import Callable, Mapping

from logstreamd import faults
from logstreamd.spool.database import Changes, SpoolDatabase
from logstreamd.spool.directory import FORMAT, Identity, SpoolDirectory
from logstreamd.spool.file_format import READ_ERRORS, CorruptDatabaseError, is_corruption, probe
from logstreamd.spool.interface import CorruptionReport, Spooled, SpoolError
from logstreamd.spool.limits import disk_cost
from logstreamd.spool.messages import (
    Acknowledge,
    Append,
    Assign,
    Broken,
    Command,
    Committed,
    Corruption,
    Event,
    Forget,
    Note,
    Noted,
    Opened,
    Ping,
    Pong,
    Read,
    ReadBack,
    Ready,
    Recount,
    Recounted,
    Salvaged,
    Stop,
    Stopped,
)
from logstreamd.spool.positions import PositionKey, Positions
from logstreamd.spool.rows import Row
from logstreamd.spool.salvage import finish_swap, set_aside
from logstreamd.wire.batch import FilePosition
from logstreamd.wire.batch_codec import CorruptBatch

__all__ = ["Owner"]

_RESERVED_SEQS = 65_536  # seqs reserved at a time: one write of the identity per 65,536 batches
_IDLE_SECONDS = 0.5  # quiet for this long: time to empty the log
_FIRST_RETRY_SECONDS = 0.1
_LAST_RETRY_SECONDS = 5.0  # a disk that was full is looked at this often at least

_WAITING = "the spool waits for the disk"

_DISK_ERRORS = (*READ_ERRORS, OSError, CorruptDatabaseError)


class Owner:
    """Serves one spool directory on the thread that calls :meth:`run`.

    Args:
        directory: claimed at the start, released at the end.
        database: its database, not open yet.
        group_bytes: one transaction takes batches up to this, at least one.
        sync_seconds: 0 fsyncs every commit of batches; otherwise an fsync follows a commit within this time.
        emit: gets every event, on the owner's thread.
    """

    def __init__(
        self,
        directory: SpoolDirectory,
        database: SpoolDatabase,
        *,
        group_bytes: int,
        sync_seconds: float,
        emit: Callable[[Event], None],
    ) -> None:
        self.inbox: queue.SimpleQueue[Command] = queue.SimpleQueue()
        self._directory = directory
        self._database = database
        self._group_bytes = group_bytes
        self._sync_seconds = sync_seconds
        self._emit = emit
        self._identity = Identity(uuid.uuid4(), 0)
        self._changes = Changes()
        self._positions: Positions = {}
        self._notes = 0
        self._reads: list[Read] = []
        self._recounts: list[Recount] = []
        self._last_seq = 0
        self._stopping = False
        self._untidy = True
        self._sync_due: float | None = None
        self._corrupt: str | None = None
        self._retry_at: float | None = None
        self._retry_seconds = _FIRST_RETRY_SECONDS
        self._failing = False

    def run(self) -> None:
        """Open the spool, serve until :class:`Stop`, close it; always ends with a :class:`Stopped`."""
        stopped = SpoolError("the spool's owner thread died")
        error: SpoolError | None = stopped
        try:
            self._start()
            while not self._stopping:
                self._turn()
            self._finish()
            error = None
        except SpoolError as refusal:
            error = refusal
        except _DISK_ERRORS as failure:
            error = SpoolError(f"the spool {self._directory.path} cannot be opened: {failure}")
        finally:
            self._database.close()
            self._directory.release()
            self._emit(Stopped(error))

    def _start(self) -> None:
        self._directory.claim()
        identity = self._directory.identity()
        finish_swap(self._directory)
        try:
            probe(self._directory.database, identity.format if identity else None)
        except CorruptDatabaseError as error:
            self._corrupt = str(error)
        self._open()
        self._identity = identity or self._identity
        if identity is None:
            self._replace_identity()
        elif self._identity.format < FORMAT:
            self._identity.format = FORMAT
            self._directory.write_identity(self._identity)
        self._positions = self._database.positions()
        self._last_seq = max(self._database.last_seq(), self._identity.reserved_seq)
        cost = sum(map(disk_cost, self._database.lengths()))
        last_seq = self._database.last_seq()
        usage = self._database.usage()
        self._emit(Opened(self._identity.id, self._last_seq + 1, last_seq, usage, cost, dict(self._positions)))

    def _replace_identity(self) -> None:
        """Give the spool a new id; by the old one alone batches that are stored could be recognised."""
        kept_in = self._directory.keep_corrupt_identity()
        self._directory.write_identity(self._identity)
        if kept_in is not None:
            reason = "the identity is unreadable: what was stored but not acknowledged is stored again"
            self._emit(Salvaged(CorruptionReport(reason, kept_in, 0)))

    def _open(self) -> None:
        """Open the database; one that is corrupt is set aside first."""
        if self._corrupt is None:
            finish_swap(self._directory)
            try:
                self._database.open()
            except CorruptDatabaseError as error:
                self._corrupt = str(error)
        if self._corrupt is not None:
            salvaged = set_aside(self._directory)
            self._database.open()
            self._keep_positions()
            reason, self._corrupt = self._corrupt, None
            self._emit(Salvaged(CorruptionReport(reason, salvaged.aside, salvaged.lost, salvaged.lost_frames_by_input)))

    def _keep_positions(self) -> None:
        """Have every position written again: the file is a new one."""
        self._changes.positions = {**self._positions, **self._changes.positions}

    def _reserve(self, seq: int) -> None:
        """See that ``seq`` is durably marked as used before it is."""
        if seq > self._identity.reserved_seq:
            self._identity.reserved_seq = seq + _RESERVED_SEQS - 1
            try:
                self._directory.write_identity(self._identity)
            except OSError:
                self._identity.reserved_seq = seq - 1
                raise

    def _turn(self) -> None:
        self._collect(self._patience())
        waiting = self._retry_at is not None and time.monotonic() < self._retry_at and not self._stopping
        try:
            if waiting:
                self._refuse(_WAITING)
            self._answer()
            if not waiting:
                self._work()
        except _DISK_ERRORS as error:
            self._break(error)

    def _patience(self) -> float | None:
        """How long to wait for a command: until there is something else to do, None for ever."""
        times = [time for time in (self._retry_at, self._sync_due) if time is not None]
        if times:
            return max(0.0, min(times) - time.monotonic())
        return _IDLE_SECONDS if self._untidy else None

    def _collect(self, patience: float | None) -> None:
        """Gather what waits, up to one transaction's worth."""
        nbytes = 0
        try:
            command = self.inbox.get(timeout=patience)
            while True:
                nbytes += self._accept(command)
                if self._stopping or nbytes >= self._group_bytes:
                    return
                command = self.inbox.get_nowait()
        except queue.Empty:
            return

    def _accept(self, command: Command) -> int:
        match command:
            case Append(seq, appended_at, batch):
                row = Row.from_batch(seq, appended_at, batch)
                self._changes.rows.append(row)
                return len(row.body)
            case Acknowledge(seqs):
                self._changes.deleted.update(seqs)
            case Assign(seq, number):
                self._changes.numbers[seq] = number
            case Forget(keys):
                self._changes.positions.update(dict.fromkeys(keys))
            case Note(positions):
                self._changes.positions.update(positions)
                self._notes += 1
            case Read():
                self._reads.append(command)
            case Recount():
                self._recounts.append(command)
            case Ping():
                self._emit(Pong())
            case Stop():
                self._stopping = True
        return 0

    def _answer(self) -> None:
        """Read what is asked for: a disk that takes nothing more must still give what it has."""
        while self._reads:
            if not self._database.is_open:
                self._open()
            self._read(self._reads[0])
            self._reads.pop(0)

    def _work(self) -> None:
        if not self._database.is_open:
            self._open()
        if self._failing:
            self._recover()
        while self._recounts:
            self._recount(self._recounts[0])
            self._recounts.pop(0)
        if self._changes:
            self._commit()
        elif self._sync_due is None and not self._stopping:
            self._untidy = self._database.tidy()
        if self._sync_due is not None and time.monotonic() >= self._sync_due:
            self._database.sync()
            self._sync_due = None

    def _recover(self) -> None:
        """Get back to a file that is on disk for certain.

        After a failed fsync the log may only seem to be on disk, and all that follows in it would be lost with it in a
        power cut; so all of it is moved into the database before anything is appended. On a full disk that may take
        until everything is stored, and then an empty file is the way out.
        """
        self._refuse(_WAITING)
        deleted = self._changes.deleted
        if deleted and self._database.seqs(len(deleted) + 1) <= deleted:
            self._database.start_anew()
            self._keep_positions()
        if self._changes:
            self._commit()
        self._database.empty_log()
        self._failing = False
        self._retry_at = None
        self._emit(Ready())

    def _commit(self) -> None:
        changes = self._changes
        if changes.rows:
            self._reserve(changes.rows[-1].seq)
        moved = changes.moved_positions()
        # With positions always: see spool/positions.py.
        durable = bool(moved) or (bool(changes.rows) and self._sync_seconds == 0)
        self._database.write(changes, durable=durable)
        appended = tuple(row.seq for row in changes.rows)
        if appended:
            faults.hit("spool.committed")
            self._last_seq = appended[-1]
            self._retry_seconds = _FIRST_RETRY_SECONDS
            if not durable and self._sync_due is None:
                self._sync_due = time.monotonic() + self._sync_seconds
        self._note_positions(moved)
        self._changes = Changes()
        self._untidy = True
        self._emit(Committed(appended, tuple(changes.deleted)))
        if self._notes:
            self._emit(Noted(self._notes))
            self._notes = 0
        if changes.deleted:
            faults.hit("spool.ack_written")
        if changes.numbers:
            faults.hit("spool.assigned")

    def _note_positions(self, moved: Mapping[PositionKey, FilePosition | None]) -> None:
        for key, position in moved.items():
            if position is None:
                self._positions.pop(key, None)
            else:
                self._positions[key] = position

    def _read(self, read: Read) -> None:
        found: list[Spooled] = []
        rows, more = self._database.read(read.after, read.max_bytes, at_least_one=read.at_least_one)
        for row in rows:
            if row.seq in self._changes.deleted:  # not kept, or stored: only the disk has not been told yet
                continue
            try:
                found.append(Spooled(row.seq, row.batch(), row.appended_at, row.number))
            except CorruptBatch as error:
                self._drop_corrupt(row, str(error))
        last_read = rows[-1].seq if rows else read.after
        self._emit(ReadBack(tuple(found), last_read if more else max(last_read, self._last_seq)))

    def _drop_corrupt(self, row: Row, reason: str) -> None:
        """Move a body that is not a batch any more out of the way; on a full disk it stays where it is."""
        kept_in = None
        try:
            kept_in = self._directory.keep_corrupt(f"{row.seq}.batch", row.body)
            self._changes.deleted.add(row.seq)
        except OSError as error:
            reason = f"{reason}; left in the database: {error}"
        report = CorruptionReport(f"batch {row.seq}: {reason}", kept_in, 1, {row.input: row.frames})
        self._emit(Corruption(report, disk_cost(len(row.body))))

    def _recount(self, recount: Recount) -> None:
        missing = [spooled for spooled in recount.held if not self._database.contains(spooled.seq)]
        if missing:
            rows = [Row.from_batch(spooled.seq, spooled.appended_at, spooled.batch) for spooled in missing]
            for row, spooled in zip(rows, missing, strict=True):
                row.number = spooled.number
            self._database.write(Changes(rows=rows), durable=True)
        self._emit(Recounted(self._database.usage(), sum(map(disk_cost, self._database.lengths()))))

    def _break(self, error: BaseException) -> None:
        """Give up the handle and everything that is not on disk for certain."""
        if is_corruption(error):
            self._corrupt = str(error)
        self._database.close()
        self._failing = True
        self._sync_due = None
        self._retry_at = time.monotonic() + self._retry_seconds
        self._retry_seconds = min(_LAST_RETRY_SECONDS, 2 * self._retry_seconds)
        self._refuse(str(error), always=True)

    def _refuse(self, error: str, *, always: bool = False) -> None:
        """Report the waiting batches as not kept, and see that they are not."""
        appended = tuple(row.seq for row in self._changes.rows)
        for row in self._changes.rows:  # the disk may have kept row and positions; they go together
            for key in row.positions:
                self._changes.positions.setdefault(key, self._positions.get(key))
        self._changes.rows.clear()
        self._changes.deleted.update(appended)
        if appended or always:
            self._emit(Broken(appended, error))

    def _finish(self) -> None:
        """Leave nothing in the log, and note the last seq so that the next run goes on from there."""
        if not self._database.is_open:
            return
        try:
            if self._changes:
                self._commit()
            self._database.sync()
            self._database.empty_log()
            self._identity.reserved_seq = max(self._last_seq, self._database.last_seq())
            self._directory.write_identity(self._identity)
        except _DISK_ERRORS as error:
            self._break(error)
