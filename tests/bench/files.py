"""The messages as they are sent, in files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.bench.sender import pack_datagrams
from tests.bench.workload import bsd_messages, json_messages, syslog_messages

__all__ = ["PEER_PART", "Files"]

PEER_PART = 10
"""rsyslog gets a tenth of the rows: each takes it more than ten times as long."""


class Files:
    """Files of messages, written when they are first asked for.

    Args:
        directory: for the files.
        rows: how many messages each has.
    """

    def __init__(self, directory: Path, rows: int) -> None:
        self._directory = directory
        self.rows = rows

    def lines(self) -> Path:
        """RFC 5424 messages by line."""
        return self._file("lines", lambda: b"".join(one + b"\n" for one in syslog_messages(self.rows)))

    def bsd(self) -> Path:
        """RFC 3164 messages by line."""
        return self._file("bsd", lambda: b"".join(one + b"\n" for one in bsd_messages(self.rows)))

    def peer(self) -> Path:
        """RFC 5424 messages by line, for rsyslog."""
        return self._file("peer", lambda: b"".join(one + b"\n" for one in syslog_messages(self.rows // PEER_PART)))

    def counted(self) -> Path:
        """RFC 5424 messages with octet counting."""
        return self._file("counted", lambda: b"".join(b"%d %s" % (len(one), one) for one in syslog_messages(self.rows)))

    def json(self) -> Path:
        """JSON documents by line."""
        return self._file("json", lambda: b"".join(one + b"\n" for one in json_messages(self.rows)))

    def datagrams(self) -> Path:
        """RFC 5424 messages for UDP."""
        return self._file("datagrams", lambda: pack_datagrams(syslog_messages(self.rows)))

    def _file(self, name: str, content: Callable[[], bytes]) -> Path:
        path = self._directory / name
        if not path.exists():
            path.write_bytes(content())
        return path
