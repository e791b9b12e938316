"""The PostgreSQL that is measured: an embedded one as the daemon would run it, or any other."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from urllib.parse import urlsplit

from logstreamd.storage.embedded import EmbeddedPostgres
from tests.acceptance.database import Database

__all__ = ["Server", "running_server"]


class Server:
    """Makes databases for one measurement each.

    Args:
        dsn: of a database whose user may create others.
    """

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._numbers = count(1)

    @property
    def version(self) -> str:
        """PostgreSQL's version."""
        with Database(self._dsn) as database:
            ((version,),) = database.fetch("SHOW server_version")
        return str(version).split()[0]

    @contextmanager
    def database(self) -> Iterator[str]:
        """A new, empty database for the time of the block; yields its DSN."""
        name = f"logstreamd_bench_{next(self._numbers)}"
        with Database(self._dsn) as server:
            server.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
            server.execute(f"CREATE DATABASE {name}")
            # What the last measurement left for later is written now, not during this one.
            server.execute("CHECKPOINT")
        try:
            parts = urlsplit(self._dsn)
            # Not urlunsplit(): it drops the // of an address without a host.
            yield f"{parts.scheme}://{parts.netloc}/{name}?{parts.query}"
        finally:
            with Database(self._dsn) as server:
                server.execute(f"DROP DATABASE {name} WITH (FORCE)")


@contextmanager
def running_server(dsn: str | None, directory: Path) -> Iterator[Server]:
    """The server at ``dsn``, or an embedded one under ``directory`` for the time of the block."""
    if dsn is not None:
        yield Server(dsn)
        return
    postgres = EmbeddedPostgres(directory / "postgres")
    asyncio.run(postgres.start())
    try:
        yield Server(postgres.dsn())
    finally:
        asyncio.run(postgres.stop())
