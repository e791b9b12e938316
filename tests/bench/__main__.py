"""``python -m tests.bench``: messages a second from a socket to committed rows, beside raw COPY of the same rows.

Sender, daemon and PostgreSQL share this machine. So compare rows of one run, and mostly their ratio to COPY; numbers of
different machines or hours tell little.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from logstreamd.wire import IMPLEMENTATION
from tests.bench.alert_rounds import alerts_as_table, measure_alerts
from tests.bench.catalogue import PEERS, Measurement, Sizes, measurements
from tests.bench.files import Files
from tests.bench.result import Result, as_json, as_table, compare, median_of
from tests.bench.scale import measure_scale, scale_as_table
from tests.bench.search_rows import answers_as_table, measure_search
from tests.bench.server import Server, running_server
from tests.bench.stages import measure_stages, stages_as_table


def run(names: Iterable[str], found: dict[str, Measurement], server: Server, directory: Path) -> dict[str, Result]:
    """Take the measurements one after the other, each in a database and a directory of its own, and compare them."""
    results: dict[str, Result] = {}
    for name in names:
        print(f"{name} ...", file=sys.stderr, flush=True)
        own = directory / name
        own.mkdir(parents=True)
        with server.database() as dsn:
            results[name] = found[name].take(dsn, own)
    peer = max((results[name].rows_per_second for name in PEERS if name in results), default=None)
    return {
        name: compare(one, results.get(found[name].yardstick or ""), None if name in PEERS else peer)
        for name, one in results.items()
    }


def repeat(
    times: int, names: list[str], found: dict[str, Measurement], server: Server, directory: Path
) -> list[Result]:
    """Run everything several times, so that what disturbs a while disturbs no row in all repetitions."""
    runs = [run(names, found, server, directory / str(number)) for number in range(times)]
    return [median_of([one[name] for one in runs]) for name in names]


def chosen(only: str | None, found: dict[str, Measurement]) -> list[str]:
    """Return the names to measure, each after its yardstick."""
    wanted = set(only.split(",")) if only else set(found)
    if unknown := wanted - found.keys():
        sys.exit(f"no such measurement: {', '.join(sorted(unknown))} (there are: {', '.join(found)})")
    wanted |= {yardstick for name in wanted if (yardstick := found[name].yardstick)}
    return [name for name in found if name in wanted]


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--rows", type=int, default=500_000, help="messages of a measurement (default: %(default)s)")
    parser.add_argument("--only", metavar="NAME,NAME", help="some of the measurements; COPY comes along")
    parser.add_argument("--repeat", type=int, default=1, metavar="N", help="runs; medians are shown (%(default)s)")
    parser.add_argument("--udp-rate", type=int, default=100_000, metavar="N", help="datagrams a second (%(default)s)")
    parser.add_argument("--udp-seconds", type=int, default=3, metavar="S", help="of each rate's loss (%(default)s)")
    parser.add_argument(
        "--idle-seconds", type=int, default=20, metavar="S", help="of looking at idleness (%(default)s)"
    )
    parser.add_argument("--stages", action="store_true", help="instead: processor time of each stage")
    parser.add_argument("--search", action="store_true", help="instead: questions to that many rows")
    parser.add_argument("--scale", metavar="N,N", help="instead: fill a table to so many million rows, growing numbers")
    parser.add_argument("--alerts", type=int, metavar="N", help="instead: evaluate so many rules, with --rows stored")
    parser.add_argument(
        "--alerts-rate", type=int, default=140, metavar="N", help="lines a second meanwhile (default: %(default)s)"
    )
    parser.add_argument(
        "--alerts-rounds", type=int, default=12, metavar="N", help="evaluations of each rule (default: %(default)s)"
    )
    parser.add_argument("--dsn", help="a PostgreSQL whose user may create databases; default: an embedded one")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    return parser.parse_args()


def measure(arguments: argparse.Namespace, server: Server, directory: Path) -> tuple[str, dict[str, object]]:
    """Measure what was asked for; return it as a table and, by name, as plain values."""
    if arguments.stages:
        with server.database() as dsn:
            stages = measure_stages(arguments.rows, dsn, directory)
        return stages_as_table(stages), {"stages": [asdict(one) for one in stages]}
    if arguments.search:
        with server.database() as dsn:
            answers, bytes_per_row = measure_search(arguments.rows, dsn)
        return answers_as_table(answers, bytes_per_row), {"search": [asdict(one) for one in answers]}
    if arguments.scale:
        with server.database() as dsn:
            steps = list(measure_scale([int(one) for one in arguments.scale.split(",")], dsn, directory))
        return scale_as_table(steps), {"scale": [asdict(one) for one in steps]}
    if arguments.alerts:
        with server.database() as dsn:
            result = asyncio.run(
                measure_alerts(arguments.alerts, arguments.rows, arguments.alerts_rate, arguments.alerts_rounds, dsn)
            )
        return alerts_as_table(result), {"alerts": asdict(result)}
    sizes = Sizes(arguments.rows, arguments.udp_rate, arguments.udp_seconds, arguments.idle_seconds)
    found = measurements(sizes, Files(directory, arguments.rows))
    results = repeat(arguments.repeat, chosen(arguments.only, found), found, server, directory)
    return as_table(results), {"results": [one.as_dict() for one in results]}


def main() -> None:
    """Measure and print."""
    arguments = parse_arguments()
    with tempfile.TemporaryDirectory(prefix="logstreamd-bench-", ignore_cleanup_errors=True) as made:
        directory = Path(made)
        directory.chmod(0o711)  # the embedded server runs as another user when we are root
        with running_server(arguments.dsn, directory) as server:
            about = (
                f"{arguments.rows:,} messages, PostgreSQL {server.version}, Python {platform.python_version()}, "
                f"wire: {IMPLEMENTATION}, {os.cpu_count()} cores shared with sender and PostgreSQL"
            )
            table, values = measure(arguments, server, directory)
    print(as_json(about, values) if arguments.json else f"{about}\n\n{table}")


if __name__ == "__main__":
    main()
