from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from generator.outputs.file import FileOutput
from generator.outputs.output import Tally


def test_a_file_is_appended_to_and_has_one_header(tmp_path: Path, told: list[str]) -> None:
    path = tmp_path / "new" / "app.csv"
    for lines in (["1", "2"], ["3"]):
        output = FileOutput(path, header="number", tell=told.append)
        output.write(lines)
        output.close()
    assert path.read_text() == "number\n1\n2\n3\n"


def test_a_renamed_file_is_followed_until_it_is_opened_anew(tmp_path: Path, told: list[str]) -> None:
    path = tmp_path / "app.log"
    output = FileOutput(path, header="number", tell=told.append)
    output.write(["1"])
    path.rename(tmp_path / "app.log.1")
    output.write(["2"])
    output.request_reopen()
    output.poll()
    output.write(["3"])
    output.close()
    assert (tmp_path / "app.log.1").read_text() == "number\n1\n2\n"
    assert path.read_text() == "number\n3\n"
    assert output.tally == Tally(sent=3)


def test_a_truncated_file_goes_on_at_its_new_end(tmp_path: Path, told: list[str]) -> None:
    path = tmp_path / "app.log"
    output = FileOutput(path, header=None, tell=told.append)
    output.write(["1"])
    os.truncate(path, 0)
    output.write(["2"])
    output.close()
    assert path.read_text() == "2\n"


@contextmanager
def files_no_longer_than(size: int) -> Iterator[None]:
    """Let writes fail with EFBIG, as a full disk does with ENOSPC; Python ignores SIGXFSZ."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_is_told_once_and_every_line_is_sent_or_failed(tmp_path: Path, told: list[str]) -> None:
    path = tmp_path / "app.log"
    output = FileOutput(path, header=None, tell=told.append)
    with files_no_longer_than(10):
        output.write(["first", "second", "third"])
        output.write(["fourth"])
    assert output.tally == Tally(sent=1, failed=3)
    output.write(["fifth", "sixth"])
    output.close()
    assert path.read_text() == "first\nseco\nfifth\nsixth\n", "half a line gets its end"
    assert output.tally == Tally(sent=3, failed=3)
    assert [text.removeprefix(output.name) for text in told] == [
        ": File too large; lines are given up until it can be written again",
        ": written again",
    ]
