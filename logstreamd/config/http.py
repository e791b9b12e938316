"""The settings of the HTTP listener."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field, PlainValidator, model_validator

from logstreamd.config import consistency
from logstreamd.config.access import HostName, Origin, TokenConfig, check_tokens
from logstreamd.config.address import ListenAddress
from logstreamd.config.admission import AdmissionSection
from logstreamd.config.names import read_file_path
from logstreamd.config.tls import TlsConfig
from logstreamd.config.token_values import refuse_text
from logstreamd.config.units import GIB, KIB, MIB, Duration, Size, WholeNumber

__all__ = ["HttpConfig"]


class HttpConfig(AdmissionSection):
    """The HTTP listener: ingest, search, metrics, the page."""

    listen: ListenAddress = ListenAddress("127.0.0.1", 8514)
    tls: TlsConfig | None = None
    """Not given: plain HTTP."""
    # Upper bound: more belong into a file.
    tokens: Annotated[tuple[TokenConfig, ...], Field(max_length=64), BeforeValidator(refuse_text)] = ()
    tokens_file: Annotated[Path | None, PlainValidator(read_file_path)] = None
    # Upper bounds: looked through at every request, and written by hand.
    allowed_hosts: Annotated[tuple[HostName, ...], Field(max_length=64)] = ()
    cors_origins: Annotated[tuple[Origin, ...], Field(max_length=64)] = ()
    # Upper bounds of the two: the shipped unit's LimitNOFILE=65536, less what the rest of the daemon opens.
    max_connections: Annotated[int, WholeNumber(1, 65_000)] = 1000
    max_connections_per_peer: Annotated[int, WholeNumber(0, 65_000)] = 0
    # Upper bounds of the two: a body is held in memory while it is read, compressed and not.
    max_body_bytes: Annotated[int, Size(KIB, 256 * MIB)] = 16 * MIB
    max_decompressed_bytes: Annotated[int, Size(KIB, GIB)] = 64 * MIB
    # Upper bound: the answer lists rejected lines, so a body of nothing else must stay an answer of reasonable size.
    max_lines: Annotated[int, WholeNumber(1, 1_000_000)] = 100_000
    # Upper bounds of the three: each client that is waited for holds a connection, and what it has sent or is to read.
    # Default: 16 MiB over a slow line, and no longer for one that stalls.
    read_timeout_seconds: Annotated[float, Duration(0.1, 600)] = 60.0
    write_timeout_seconds: Annotated[float, Duration(0.1, 600)] = 30.0
    # Default: what a browser or a proxy keeps a connection for, and longer than the pause between two scrapes.
    keepalive_timeout_seconds: Annotated[float, Duration(0.1, 3600)] = 75.0
    # Upper bound: each one holds a connection, and PostgreSQL ships with 100 for everybody.
    max_concurrent_queries: Annotated[int, WholeNumber(1, 64)] = 8
    # Lower bound: what a plan over a year of partitions may take on a busy machine before it returns a row.
    query_timeout_seconds: Annotated[float, Duration(0.1, 600)] = 10.0
    # Upper bound: an answer is built in memory, and a row may be as large as max_frame_bytes; page with the cursor.
    max_rows: Annotated[int, WholeNumber(1, 10_000)] = 1000
    # Upper bound: an export is sent as it is read, a thousand rows at a time; 100 million take some twenty minutes.
    max_export_rows: Annotated[int, WholeNumber(1, 100_000_000)] = 1_000_000
    # Upper bound: each one may hold a MiB of rows that it has not read yet, and a socket.
    max_tail_clients: Annotated[int, WholeNumber(1, 1_000)] = 100

    @model_validator(mode="after")
    def _check_itself(self) -> HttpConfig:
        consistency.check_http_body(self)
        check_tokens(self.tokens)
        return self
