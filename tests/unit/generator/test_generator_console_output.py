from __future__ import annotations

import os

from generator.outputs.console import ConsoleOutput
from generator.outputs.output import Tally
from tests.unit.generator.fake_time import FakeStop


def test_the_console_gets_a_header_once_and_a_reader_that_left_ends_the_run(stop: FakeStop) -> None:
    read_end, write_end = os.pipe()
    output = ConsoleOutput(write_end, stop=stop, header="number")
    output.write(["1"])
    output.write(["2"])
    assert os.read(read_end, 100) == b"number\n1\n2\n"
    assert not stop.requested
    os.close(read_end)
    output.write(["3"])
    output.write(["4", "5"])
    os.close(write_end)
    assert stop.requested
    assert output.tally == Tally(sent=2, failed=3)


def test_a_reader_that_reads_no_more_does_not_keep_the_process_from_ending(stop: FakeStop) -> None:
    read_end, write_end = os.pipe()
    output = ConsoleOutput(write_end, stop=stop, header="number")
    stop.request()
    output.write(["x" * 99] * 10_000)
    read = os.read(read_end, 1 << 20)
    os.close(read_end)
    os.close(write_end)
    assert output.tally == Tally(sent=read.count(b"\n") - 1, failed=10_000 - read.count(b"\n") + 1)
    assert output.tally.sent > 0
