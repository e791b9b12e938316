"""Rows that come back from PostgreSQL are about the same as when they were encoded."""

from __future__ import annotations

import io
import json

import asyncpg
import pytest
from bench.workload import bsd_messages, json_messages, syslog_messages
from twins import FIRST_ID, WIDE, batch_of, compiled_survey

from logstreamd.record import COLUMNS
from logstreamd.wire import copy_binary, copy_rows, implementation

FRAMES = [
    *syslog_messages(50),
    *bsd_messages(50),
    *json_messages(50),
    '<34>1 2026-11-21T23:00:00Z хост служба 1 - [a@1 k="Größe \\"q\\"" k="İΣ"] zwei — drei … 東京、大阪'.encode(),
    b"<34>1 1999-12-31T23:59:59Z h a 1 - - the year before",
    b"<34>1 2026-11-20T00:00:00Z h a 1 - [broken",
    b"neither syslog nor JSON \xff\x00 bytes",
    b"",
    json.dumps(
        {
            "message": "numbers",
            "n": [0, -1, 1.5, 12.50, 1e-7, 2.5e300, 1e22, 10**30, -0.0, 123456789.123, 5e-324],
            "deep": {"a": {"b": [True, False, None, 'x\ny\\z"\u0001\u00e9\U0001f600', {"k: l": "v: w"}]}},
        }
    ).encode(),
    b'{"message":"spelt","a":"\\u00fc\\/\\ud83d\\ude00","b":1.50e1,"c":100E-2,"d":-0}',
]


@pytest.mark.every_postgres
async def test_stored_rows_are_about_the_same_as_encoded_ones(connection: asyncpg.Connection) -> None:
    encoded = copy_binary.encode(batch_of(FRAMES), FIRST_ID, WIDE)
    there = io.BytesIO(b"".join(encoded.copy_stream(0, len(encoded))))
    await connection.copy_to_table("logs", source=there, columns=COLUMNS, format="binary")
    back = io.BytesIO()
    await connection.copy_from_query(f"SELECT {', '.join(COLUMNS)} FROM logs ORDER BY ts", output=back, format="binary")
    rows, row_ends = copy_rows.rows_of_copy(back.getvalue())
    assert implementation.rows_of_copy(back.getvalue()) == (rows, row_ends)
    assert len(row_ends) == len(FRAMES)
    assert copy_rows.survey_rows(rows, row_ends) == (encoded.blocks, encoded.counts)
    assert compiled_survey()(rows, row_ends) == (encoded.blocks, encoded.counts)
