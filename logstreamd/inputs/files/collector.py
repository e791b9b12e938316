"""All files of one input: what there is to read, what was rotated, what is gone.

A *look* compares what lies in the directories with what is known; a *turn* reads on where there is more. ``stat`` is
the truth for both. What a look or a turn moves without giving out a record (a truncated file begins anew, its copy is
taken up where it had been read) is handed over with the next records: all of it becomes durable in one step.

Once a name is followed, all its rotated files are known, read or not; so one that is unknown has unread lines.

============================= ========================================================================================
rename                         the inode has another name: it is read on, the new file under the old name from its start
copy and truncate              the content before the position is another one: the rest is read from the copy, which is
                               recognised by the anchor; then the file from its start
while the daemon was away      the same; rotated files that are newer than the one read last are read whole
gone                           read to its end while it is open; its position is forgotten after a day
============================= ========================================================================================
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

import structlog

from logstreamd.inputs.files.cut import Cutter
from logstreamd.inputs.files.discovery import Discovery, Found
from logstreamd.inputs.files.followed import ANCHOR_SPAN, ContentChangedError, FollowedFile, Reading, anchor_of
from logstreamd.wire.batch import FileKey, FilePosition

__all__ = ["Collector", "Turn"]

_log = structlog.get_logger(__name__)

MAX_FILES = 20_000
"""Files an input knows, those that are gone included: 200 bytes of position each, 4 MiB of the spool."""

_READ_BYTES = 256 << 10  # of one file at a time: some 2,500 lines, 5 ms
_TURN_BYTES = 1 << 20  # then the records go to their batch
LINGER_SECONDS = 30.0
"""How long a rotated file may be quiet before it counts as finished: who writes it may reopen late."""
FORGET_SECONDS = 86_400.0
"""How long a file may be gone before its position is forgotten: a file system that was away comes back sooner."""
_RESTLESS_SECONDS = 2.0  # after a change, the next one is expected soon


@dataclass(slots=True)
class Turn:
    """What one turn found.

    Attributes:
        readings: records, file by file.
        moved: positions that changed without a record, to be kept with the next records.
        more: whether there is more to read at once.
    """

    readings: list[Reading] = field(default_factory=list)
    moved: dict[FileKey, FilePosition] = field(default_factory=dict)
    more: bool = False


class Collector:
    """Follows files; used on one thread, ``now`` is that thread's monotonic clock.

    Args:
        discovery: finds them.
        cutter: cuts them into records.
        positions: how far they were read by earlier runs.
        join_timeout_seconds: a record that may go on is given out when its file was quiet for this long.
        max_open_files: descriptors kept; further files are opened when they change.
    """

    def __init__(
        self,
        discovery: Discovery,
        cutter: Cutter,
        positions: Mapping[FileKey, FilePosition],
        *,
        join_timeout_seconds: float,
        max_open_files: int,
    ) -> None:
        self._discovery = discovery
        self._cutter = cutter
        self._join_timeout_seconds = join_timeout_seconds
        self._max_open_files = max_open_files
        self._read_bytes = max(_READ_BYTES, 2 * cutter.max_frame_bytes + 4096)
        self._files = {
            key: FollowedFile(position, position.path, missing_since=0.0) for key, position in positions.items()
        }
        self._open: OrderedDict[FileKey, FollowedFile] = OrderedDict()
        self._moved: dict[FileKey, FilePosition] = {}
        self._begun: dict[FileKey, FilePosition] = {}
        self._queue: deque[FollowedFile] = deque()
        self.rotations = {"renamed": 0, "truncated": 0}
        self.lost_bytes = 0
        """Bytes that are known to have been truncated away before they were read."""
        self.errors = 0
        self.lines = 0

    def files(self) -> list[FollowedFile]:
        """Return the files that are there."""
        return [
            file for file in list(self._files.values()) if file.missing_since is None or file.descriptor is not None
        ]

    @property
    def open_count(self) -> int:
        """Files that are open."""
        return len(self._open)

    @property
    def problems(self) -> dict[str, str]:
        """What can't be read, with the reason."""
        return {**self._discovery.problems, **{file.path: file.error for file in self.files() if file.error}}

    def look(self, now: float) -> list[FileKey]:
        """Compare what is known with what lies there.

        Returns:
            The files whose positions may be forgotten.
        """
        found = self._discovery.look(self._sources())
        self._reconcile(found, now)
        present = {one.key for one in found}
        forgotten = [key for key, file in self._files.items() if key not in present and self._miss(file, now)]
        for key in forgotten:
            self._close(self._files.pop(key))
        self._queue.clear()
        return forgotten

    def take_begun(self) -> dict[FileKey, FilePosition]:
        """Return the files that are followed since the last call, and from where."""
        begun, self._begun = self._begun, {}
        return begun

    def _reconcile(self, found: list[Found], now: float) -> None:
        truncated, renamed = [], {}
        for one in found:  # rotated files first, in the order of their times
            file = self._files.get(one.key)
            if file is None:
                continue
            was_renamed = self._update(file, one, now)
            if was_renamed:
                renamed[file.source] = one
            # A renamed file may have been truncated before; its copies must be found before they are settled.
            if one.size < file.position.offset or (was_renamed and not self._is_same(file)):
                truncated.append(file)
        for file in truncated:
            self._on_truncated(file, now)
        self._follow_unread_copies(found, renamed, now)
        for one in found:
            if one.past_of is None and one.key not in self._files:
                if one.path in renamed:  # the name has a new file: it was rotated, perhaps several times
                    self._follow_newer(renamed[one.path], found, now)
                self._follow(one, one.path, 0, anchor_of(b""), now)
                self._settle(one.path, found)

    def _follow(self, one: Found, source: str, offset: int, anchor: bytes, now: float) -> None:
        """Begin to follow a file."""
        if len(self._files) >= MAX_FILES:
            self._discovery.problems[one.path] = f"more than {MAX_FILES} files"
            return
        position = FilePosition(*one.key, offset, anchor, source)
        self._files[one.key] = FollowedFile(position, one.path, one.past_of is None, one.size, one.mtime_ns, now)
        self._files[one.key].was_live = one.past_of is None
        self._moved[one.key] = self._begun[one.key] = position

    def _settle(self, source: str, found: Iterable[Found]) -> None:
        """Take the rotated files of a name that are not to be read as read: from now on an unknown one is a new one."""
        for one in found:
            if one.past_of == source and one.key not in self._files and len(self._files) < MAX_FILES:
                file = FollowedFile(
                    FilePosition(*one.key, one.size, anchor_of(b""), source), one.path, False, one.size, one.mtime_ns
                )
                with suppress(OSError):
                    file.open()
                    file.position = file.position_here(one.size)
                file.close()
                file.is_checked, file.was_live = True, False
                self._files[one.key] = file
                self._moved[one.key] = self._begun[one.key] = file.position

    def _update(self, file: FollowedFile, one: Found, now: float) -> bool:
        """Take note of what a look found; True when the file was renamed by a rotation."""
        was_live = file.is_live
        file.path, file.is_live, file.missing_since = one.path, one.past_of is None, None
        if file.error is not None:
            file.error = file.seen = None
        # Of a truncated file the size it had is kept: it tells how much was not read.
        if one.size >= file.position.offset and (file.size, file.mtime_ns) != (one.size, one.mtime_ns):
            file.size, file.mtime_ns, file.changed_at, file.is_checked = one.size, one.mtime_ns, now, False
        if file.is_live and file.source != file.path:  # it has another name that is followed, too
            file.position = file.position._replace(path=file.path)
        if was_live and not file.is_live:
            file.rotations += 1
            self.rotations["renamed"] += 1
        return was_live and not file.is_live

    def _follow_newer(self, past: Found, found: Iterable[Found], now: float) -> None:
        """Follow what was rotated after a file, and never seen: there were several rotations since the last look."""
        for one in found:
            is_newer = one.past_of == past.past_of and one.mtime_ns > past.mtime_ns
            if one.past_of is not None and is_newer and not _is_backup(one.path) and self._is_unknown(one):
                self._follow(one, one.past_of, 0, anchor_of(b""), now)

    def _is_unknown(self, one: Found) -> bool:
        """Whether a rotated file is none that is known; its inode may be that of one that was known and is deleted."""
        file = self._files.get(one.key)
        if file is None or file.is_live:
            return file is None
        if self._is_same(file):
            return False
        self._close(self._files.pop(one.key))
        return True

    def _on_truncated(self, file: FollowedFile, now: float) -> None:
        """Begin anew with a file, and read the rest of what it was from its copy."""
        if not file.is_live and not file.was_live:  # the inode belongs to another rotated file now
            self._close(self._files.pop(file.key))
            return
        found = self._discovery.look(self._sources())
        unread = file.lag_bytes
        copy = self._find_copy(file, found)
        if copy is not None:
            self._take_up(copy, file, now)
            self._follow_newer(copy, found, now)
        elif unread:
            self.lost_bytes += unread
            _log.warning("file truncated before it was read, and no copy found", file=file.path, bytes=unread)
        file.restart()
        file.size, file.changed_at = next((one.size for one in found if one.key == file.key), 0), now
        self.rotations["truncated"] += 1
        self._moved[file.key] = file.position
        self._settle(file.source, found)

    def _follow_unread_copies(self, found: list[Found], renamed: Mapping[str, Found], now: float) -> None:
        """Read the copy of a file of which nothing had been read when it was truncated: no anchor would find it."""
        had_the_name = {one.key for one in renamed.values()}
        untouched = {
            file.source: file.path
            for file in self._files.values()
            if file.position.offset == 0 and (file.is_live or file.key in had_the_name)
        }
        for one in found:
            if one.past_of is None or one.past_of not in untouched or _is_backup(one.path) or not self._is_unknown(one):
                continue
            if not _begin_alike(one.path, untouched[one.past_of]):  # else it was not truncated yet
                self._follow(one, one.past_of, 0, anchor_of(b""), now)

    def _take_up(self, copy: Found, file: FollowedFile, now: float) -> None:
        """Read a copy from where its original was read to; unless that is under way already."""
        if not self._is_unknown(copy):
            if self._files[copy.key].position.offset >= file.position.offset:
                return
            self._close(self._files.pop(copy.key))
        self._follow(copy, file.source, file.position.offset, file.position.anchor, now)

    def _is_same(self, file: FollowedFile) -> bool:
        """Whether a file still is what was read; one that can't be read is taken for it, until it can be."""
        try:
            self._keep_open(file)
            return file.holds(file.position.offset, file.position.anchor)
        except OSError:
            return True

    def _find_copy(self, file: FollowedFile, found: Iterable[Found]) -> Found | None:
        """Return the rotated file that has what was read before the position of a truncated one, the newest first."""
        offset, anchor = file.position.offset, file.position.anchor
        pasts = [one for one in found if one.past_of == file.source and one.size >= offset > 0]
        for one in sorted(pasts, key=lambda one: -one.mtime_ns):
            candidate = FollowedFile(FilePosition(*one.key, offset, anchor, file.source), one.path)
            with suppress(OSError):
                candidate.open()
                if candidate.holds(offset, anchor):
                    candidate.close()
                    return one
            candidate.close()
        return None

    def _sources(self) -> set[str]:
        return {file.source for file in self._files.values()}

    def _miss(self, file: FollowedFile, now: float) -> bool:
        """Take note that a file is not there; True when it may be forgotten."""
        if not file.missing_since:  # none, or of an earlier run: counted from now
            file.missing_since = now
        return now - file.missing_since > FORGET_SECONDS

    def turn(self, now: float) -> Turn:
        """Read on, a bounded amount."""
        self._glance(now)
        turn = Turn()
        if not self._queue:
            self._queue.extend(self._due(now))
        nbytes = 0
        while self._queue and nbytes < _TURN_BYTES:
            reading = self._read(self._queue.popleft(), now)
            if reading is not None:
                nbytes += len(reading.buffer)
                turn.more |= not reading.at_end
                if reading.records:
                    turn.readings.append(reading)
        turn.more |= bool(self._queue)
        turn.moved, self._moved = self._moved, {}
        return turn

    def is_restless(self, now: float) -> bool:
        """Whether something changed lately, so that the next turn should come soon."""
        restless_seconds = max(_RESTLESS_SECONDS, 2 * self._join_timeout_seconds)
        return any(now - file.changed_at < restless_seconds for file in self._files.values())

    def close(self) -> None:
        """Let go of every file."""
        for file in tuple(self._open.values()):
            self._close(file)

    def _glance(self, now: float) -> None:
        """Ask the open files for their sizes, between two looks; let go of those that are finished."""
        for file in tuple(self._open.values()):
            size = file.size_now()
            if size != file.size:
                file.size, file.changed_at, file.is_checked = size, now, False
            elif self._is_finished(file, now) and not self._is_due(file, now):
                self._close(file)

    def _is_finished(self, file: FollowedFile, now: float) -> bool:
        return (not file.is_live or file.missing_since is not None) and now - file.changed_at > LINGER_SECONDS

    def _due(self, now: float) -> list[FollowedFile]:
        """Return the files to be read; one under its own name waits for its rotated past."""
        due = [file for file in self._files.values() if self._is_due(file, now)]
        behind = {file.source for file in due if not file.is_live}
        return [file for file in due if not file.is_live or file.source not in behind]

    def _is_due(self, file: FollowedFile, now: float) -> bool:
        if file.missing_since is not None and file.descriptor is None:
            return False
        if file.size == file.position.offset and (file.is_checked or not file.size):
            return False
        return file.seen != (file.size, *self._closing(file, now)) or not file.is_checked

    def _closing(self, file: FollowedFile, now: float) -> tuple[bool, bool]:
        """Whether the record that may go on is given out, and whether the line without its end is."""
        return now - file.changed_at >= self._join_timeout_seconds, self._is_finished(file, now)

    def _read(self, file: FollowedFile, now: float) -> Reading | None:
        close, last = self._closing(file, now)
        try:
            self._keep_open(file)
            reading = file.read(self._cutter, self._read_bytes, close=close, last=last)
        except ContentChangedError:
            self._on_truncated(file, now)
            return None
        except OSError as error:
            self._fail(file, error, (file.size, close, last))
            return None
        if reading.at_end:
            file.size = max(file.size, reading.base + len(reading.buffer))
            file.seen = (file.size, close, last)
        else:
            file.seen = None
        if reading.position != file.position and not reading.records:
            self._moved[file.key] = reading.position
        file.position = reading.position
        file.records += len(reading.records)
        lines = sum(record.lines for record in reading.records)
        file.lines += lines
        self.lines += lines
        return reading

    def _fail(self, file: FollowedFile, error: OSError, seen: tuple[int, bool, bool]) -> None:
        self.errors += 1
        file.error = error.strerror or str(error)
        file.seen, file.is_checked = seen, True  # the next look tries again
        self._close(file)

    def _keep_open(self, file: FollowedFile) -> None:
        file.open()
        self._open[file.key] = file
        self._open.move_to_end(file.key)
        while len(self._open) > self._max_open_files:
            self._close(next(iter(self._open.values())))

    def _close(self, file: FollowedFile) -> None:
        self._open.pop(file.key, None)
        file.close()


def _begin_alike(path: str, other: str) -> bool:
    """Whether one of two files begins like the other; an empty one begins like none."""
    try:
        with open(path, "rb") as one, open(other, "rb") as two:  # noqa: PTH123
            head, other_head = one.read(ANCHOR_SPAN), two.read(ANCHOR_SPAN)
    except OSError:
        return False
    length = min(len(head), len(other_head))
    return length > 0 and head[:length] == other_head[:length]


def _is_backup(path: str) -> bool:
    """Whether a name is rather one that a person gave to a copy."""
    return path.endswith((".old", ".bak", ".prev"))
