from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logstreamd.cli import event_stream
from logstreamd.cli.event_stream import Event, EventStream, TooLongError

STREAM = (
    b'retry: 2000\n\nid: 7\n\nid: 8\nevent: log\ndata: {"a": "b: c"}\n\n: a comment\n\nevent: skipped\ndata: {}\n\n'
)
EVENTS = [
    Event("", "message", b""),
    Event("7", "message", b""),
    Event("8", "log", b'{"a": "b: c"}'),
    Event("", "message", b""),
    Event("", "skipped", b"{}"),
]


@given(st.lists(st.integers(0, len(STREAM)), max_size=8))
def test_events_are_the_same_however_the_stream_is_cut(cuts: list[int]) -> None:
    stream = EventStream()
    places = [0, *sorted(cuts), len(STREAM)]
    pieces = [STREAM[start:end] for start, end in itertools.pairwise(places)]
    assert [event for piece in pieces for event in stream.feed(piece)] == EVENTS


def test_the_last_event_is_not_there_before_its_end() -> None:
    stream = EventStream()
    assert list(stream.feed(b"event: log\ndata: 1\n")) == []
    assert list(stream.feed(b"\n")) == [Event("", "log", b"1")]


def test_an_event_without_an_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_stream, "MAX_EVENT_BYTES", 10)
    stream = EventStream()
    assert list(stream.feed(b"data: 1234")) == []
    with pytest.raises(TooLongError, match="longer than 10 bytes"):
        list(stream.feed(b"5"))
