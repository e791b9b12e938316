"""``python -m tests.bench``: messages a second from a socket to committed rows, beside raw COPY of the same rows.

Sender, daemon and PostgreSQL share this machine. So compare rows of one run, and mostly their ratio to COPY; numbers of
different machines or hours tell little.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from logstreamd.wire import IMPLEMENTATION
from tests.bench.daemon_rows import Flow, measure_daemon
from tests.bench.raw_copy import measure_copy
from tests.bench.result import Result, as_json, as_table
from tests.bench.rsyslog_rows import has_rsyslog, measure_rsyslog
from tests.bench.sender import pack_datagrams
from tests.bench.server import Server, running_server
from tests.bench.workload import json_messages, syslog_messages

_PEER_PART = 10  # rsyslog gets a tenth of the rows: it takes ten times as long for each


@dataclass(frozen=True)
class Measurement:
    """One row of the table.

    Attributes:
        take: given a database and a directory of its own, measures.
        yardstick: name of the measurement of COPY that has the same rows.
    """

    take: Callable[[str, Path], Result]
    yardstick: str = "copy"


def measurements(rows: int, udp_rate: int, files: Files) -> dict[str, Measurement]:
    """Return every measurement by name, in the order of the table."""

    def daemon(
        name: str, protocol: str, file: Callable[[], Path], *, yardstick: str = "copy", **options: Any
    ) -> Measurement:
        def take(dsn: str, directory: Path) -> Result:
            return measure_daemon(Flow(name, protocol, file(), rows, **options), dsn, directory / "state")

        return Measurement(take, yardstick)

    def peer(dsn: str, directory: Path) -> Result:
        return measure_rsyslog("rsyslog, imtcp to ompgsql", dsn, files.peer(), rows // _PEER_PART, directory)

    in_memory = {"spool": {"sync": "memory"}}
    found = {
        "copy": Measurement(lambda dsn, _: measure_copy("raw COPY, one connection", dsn, syslog_messages(rows))),
        "tcp-lines": daemon("TCP, by line", "tcp", files.lines),
        "tcp-counted": daemon("TCP, octet-counted", "tcp", files.counted),
        "tcp-memory": daemon("TCP, by line, without disk spool", "tcp", files.lines, settings=in_memory),
        "udp": daemon(f"UDP, {udp_rate:,} sent a second", "udp", files.datagrams, rate=udp_rate),
        "udp-flood": daemon("UDP, as fast as it can be sent", "udp", files.datagrams),
        "copy-json": Measurement(
            lambda dsn, _: measure_copy("raw COPY of the JSON rows", dsn, json_messages(rows)), "copy-json"
        ),
        "tcp-json": daemon("TCP, JSON lines", "tcp", files.json, yardstick="copy-json"),
    }
    return found | {"rsyslog": Measurement(peer)} if has_rsyslog() else found


class Files:
    """The messages as they are sent, written to files when they are first asked for.

    Args:
        directory: for the files.
        rows: how many messages each has.
    """

    def __init__(self, directory: Path, rows: int) -> None:
        self._directory = directory
        self._rows = rows

    def lines(self) -> Path:
        """Messages by line."""
        return self._file("lines", lambda: b"".join(one + b"\n" for one in syslog_messages(self._rows)))

    def peer(self) -> Path:
        """Messages by line, for rsyslog."""
        return self._file("peer", lambda: b"".join(one + b"\n" for one in syslog_messages(self._rows // _PEER_PART)))

    def counted(self) -> Path:
        """Messages with octet counting."""
        return self._file(
            "counted", lambda: b"".join(b"%d %s" % (len(one), one) for one in syslog_messages(self._rows))
        )

    def json(self) -> Path:
        """JSON documents by line."""
        return self._file("json", lambda: b"".join(one + b"\n" for one in json_messages(self._rows)))

    def datagrams(self) -> Path:
        """Messages for UDP."""
        return self._file("datagrams", lambda: pack_datagrams(syslog_messages(self._rows)))

    def _file(self, name: str, content: Callable[[], bytes]) -> Path:
        path = self._directory / name
        if not path.exists():
            path.write_bytes(content())
        return path


def run(names: Iterable[str], found: dict[str, Measurement], server: Server, directory: Path) -> list[Result]:
    """Take the measurements one after the other, each in a database and a directory of its own."""
    results: dict[str, Result] = {}
    for name in names:
        print(f"{name} ...", file=sys.stderr, flush=True)
        own = directory / name
        own.mkdir()
        with server.database() as dsn:
            result = found[name].take(dsn, own)
        yardstick = results.get(found[name].yardstick, result)
        results[name] = replace(result, copy_rows_per_second=yardstick.rows_per_second)
    return list(results.values())


def chosen(only: str | None, found: dict[str, Measurement]) -> list[str]:
    """Return the names to measure, each after its yardstick."""
    wanted = set(only.split(",")) if only else set(found)
    if unknown := wanted - found.keys():
        sys.exit(f"no such measurement: {', '.join(sorted(unknown))} (there are: {', '.join(found)})")
    wanted |= {found[name].yardstick for name in wanted}
    return [name for name in found if name in wanted]


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--rows", type=int, default=200_000, help="messages of a measurement (default: %(default)s)")
    parser.add_argument("--only", metavar="NAME,NAME", help="some of the measurements; COPY comes along")
    parser.add_argument("--udp-rate", type=int, default=20_000, metavar="N", help="datagrams a second (%(default)s)")
    parser.add_argument("--dsn", help="a PostgreSQL whose user may create databases; default: an embedded one")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    return parser.parse_args()


def main() -> None:
    """Measure and print."""
    arguments = parse_arguments()
    with tempfile.TemporaryDirectory(prefix="logstreamd-bench-", ignore_cleanup_errors=True) as made:
        directory = Path(made)
        directory.chmod(0o711)  # the embedded server runs as another user when we are root
        found = measurements(arguments.rows, arguments.udp_rate, Files(directory, arguments.rows))
        names = chosen(arguments.only, found)
        with running_server(arguments.dsn, directory) as server:
            about = (
                f"{arguments.rows:,} messages, PostgreSQL {server.version}, Python {platform.python_version()}, "
                f"wire: {IMPLEMENTATION}, {os.cpu_count()} cores shared with sender and PostgreSQL"
            )
            results = run(names, found, server, directory)
    show = as_json if arguments.json else as_table
    print(show(results, about))


if __name__ == "__main__":
    main()
