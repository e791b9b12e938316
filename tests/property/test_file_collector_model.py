"""Any order of writing, rotating, reading, keeping and crashing: every line is kept exactly once."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from followed_logs import Reader, Writer
from hypothesis import given, settings
from hypothesis import strategies as st

KEEP = 30  # more rotations than a run makes: what was deleted before it was read cannot be read

ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("write"), st.integers(1, 12)),
        st.tuples(st.just("half"), st.just(0)),
        st.tuples(st.sampled_from(["look", "turn", "commit", "crash"]), st.just(0)),
        st.tuples(st.sampled_from(["rename", "rename late", "copy"]), st.just(0)),
    ),
    max_size=40,
)


@given(actions=ACTIONS, max_open=st.sampled_from([1, 8]))
@settings(max_examples=300, deadline=None)
def test_every_line_is_kept_once(actions: list[tuple[str, int]], max_open: int) -> None:
    directory = Path(tempfile.mkdtemp(prefix="logstreamd-files-"))
    try:
        writer = Writer(directory / "app.log")
        reader = Reader(directory / "*.log", max_open=max_open)
        rest: bytes | None = None
        writer.write()
        reader.finish()  # it knows the log before the first rotation
        for action, number in actions:
            if rest is not None and action in ("write", "half", "rename", "rename late", "copy"):
                writer.write_rest(rest)
                rest = None
            if action == "write":
                writer.write(number)
            elif action == "half":
                rest = writer.write_half()
            elif action == "look":
                reader.look()
            elif action == "turn":
                reader.turn()
            elif action == "commit":
                reader.commit()
            elif action == "crash":
                reader.crash()
            elif action == "copy":
                writer.copy_and_truncate(KEEP)
            else:
                writer.rename(KEEP, reopen=False)
                if action == "rename late":
                    writer.write(2)
                writer.reopen()
        if rest is not None:
            writer.write_rest(rest)
        reader.finish()
        reader.collector.close()
        assert {line: count for line, count in reader.times().items() if count != 1} == {}
        assert sorted(reader.durable) == sorted(writer.written), actions
    finally:
        shutil.rmtree(directory)
