"""What the daemon says must not be able to end it."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest

from logstreamd.ownlog.stream import Stream


def test_lines_arrive() -> None:
    written = io.StringIO()
    print("one", file=Stream(written), flush=True)  # type: ignore[arg-type]
    assert written.getvalue() == "one\n"


def test_a_pipe_that_nobody_reads_takes_nothing_down() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as stream:
        for line in ("one", "two"):
            print(line, file=Stream(stream), flush=True)  # type: ignore[arg-type]
        assert os.readlink(f"/proc/self/fd/{writer}") == os.devnull


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_disk_loses_the_line_and_keeps_the_file() -> None:
    raw = os.open("/dev/full", os.O_WRONLY)
    stream = os.fdopen(raw, "w")
    print("one", file=Stream(stream), flush=True)  # type: ignore[arg-type]
    assert os.readlink(f"/proc/self/fd/{raw}") == "/dev/full"
    with pytest.raises(OSError, match="No space left"):  # what was never written
        stream.close()
