"""A character of a value is found in the file, however the value was written."""

from __future__ import annotations

import re

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from logstreamd.alerts.written_place import find_written
from logstreamd.config.problems import Place
from logstreamd.config.yaml_source import read_text

TEXTS = st.text(alphabet="abc:{}#$|>-'\"\\ é\u2028\n\t", min_size=1, max_size=40)
LINE_BREAK = re.compile(r"\r\n|[\n\r\x85\u2028\u2029]")
PATH = ("key", "text")


@pytest.mark.parametrize("style", [None, '"', "'", "|", ">"])
@given(text=TEXTS, width=st.sampled_from([5, 20, 200]), unicode=st.booleans())
def test_each_character_is_where_it_was_written(style: str | None, text: str, width: int, unicode: bool) -> None:
    source = yaml.dump({"key": {"text": text}}, default_style=style, width=width, allow_unicode=unicode)
    document = read_text(source, lambda line, column: Place("file", line, column))
    place = document.place_of(PATH)
    assert document.get(PATH) == text
    assert place is not None and place.line is not None and place.column is not None
    lines = LINE_BREAK.split(source)
    found = [find_written(source, place.line, place.column, text, offset) for offset in range(len(text) + 1)]
    assert found == sorted(found)
    for character, (line, column) in zip(text, found, strict=False):
        if not character.isspace():
            assert lines[line - 1][column - 1] in (character, "\\")


def test_behind_the_last_character_is_the_end() -> None:
    assert find_written("a: bc  # note\n", 1, 4, "bc", 2) == (1, 6)
    assert find_written("a: |\n  b\n\n  c\nd: e\n", 1, 4, "b\n\nc\n", 5) == (4, 4)
