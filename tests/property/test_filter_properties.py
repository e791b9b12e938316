"""What must hold for every filter, without a database."""

from __future__ import annotations

import re
from typing import Any

import pytest
from filter_strategies import FILTERS, PIECES, REGEXES, ROWS, TERMS, TEXTS, near_terms, trees_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from logstreamd.query.filter import Filter, FilterError, matches, parse_filter, required_tokens, to_sql
from logstreamd.query.filter.compiled import compile_regex
from logstreamd.query.filter.required import NOTHING
from logstreamd.query.filter.tree import SEARCHED_COLUMNS
from logstreamd.wire.attribute_text import attribute_texts
from logstreamd.wire.tokens import MAX_TOKEN_CHARS, fold, is_token_char, tokens

SYNTAX = [
    "(", ")", " ", "-", "NOT ", "OR", "AND", '"', "/", "*", ",", ":", "=", "!=", ">=", "<", "level", "service",
    "attrs.", "tag.", "facility", "peer", "message:", "\\", "[", "]", "?", "{2,", "}", "|", "^", "$", "error",
    "42", "10.0.0.0/8", "i", ".",
]  # fmt: skip
FILTER_TEXTS = st.lists(st.sampled_from(SYNTAX + PIECES), max_size=12).map("".join) | st.text(max_size=20)

# Rows take a while to make; only that they are made counts.
unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


@unhurried
@given(FILTER_TEXTS)
def test_any_text_is_parsed_or_refused_at_a_column_of_it(text: str) -> None:
    try:
        tree = parse_filter(text)
    except FilterError as problem:
        assert 1 <= problem.column <= len(text) + 1
        assert str(problem) == f"q:{problem.column}: expected {problem.expected} (got {problem.got})"
    else:
        assert parse_filter(str(tree)) == tree
        to_sql(tree, 1)


@unhurried
@given(FILTERS)
def test_a_tree_written_as_text_is_read_as_the_same_tree(tree: Filter) -> None:
    assert parse_filter(str(tree)) == tree


@unhurried
@given(FILTERS, st.integers(1, 9))
def test_every_parameter_of_the_sql_is_numbered_and_bound(tree: Filter, first: int) -> None:
    text, parameters = to_sql(tree, first)
    used = {int(number) for number in re.findall(r"\$(\d+)::", text)}
    assert used == set(range(first, first + len(parameters)))


@unhurried
@given(TEXTS.filter(bool))
def test_what_a_person_writes_is_never_in_the_sql(text: str) -> None:
    marked = f"secret{text}"
    for term in ("", "service:", "attrs.x:", "message:"):
        quoted = marked.replace("\\", "\\\\").replace('"', '\\"')
        condition, _ = to_sql(parse_filter(f'{term}"{quoted}"'), 1)
        assert "secret" not in condition


@unhurried
@given(rows=st.lists(ROWS, min_size=1, max_size=4), data=st.data())
def test_a_row_that_matches_contains_the_required_tokens(rows: list[dict[str, Any]], data: st.DataObject) -> None:
    tree = data.draw(trees_of(near_terms(rows) | TERMS))
    required = required_tokens(tree)
    for row in rows:
        if matches(tree, row):
            assert required.may_match(_tokens_of(row).__contains__)


def _tokens_of(row: dict[str, Any]) -> set[str]:
    texts = [row[column] for column in SEARCHED_COLUMNS if row[column] is not None]
    return {token for text in (*texts, *attribute_texts(row["attrs"])) for token in tokens(text)}


@unhurried
@given(st.text(max_size=200))
def test_tokens_are_folded_runs_without_separators(text: str) -> None:
    found = tokens(text)
    assert all(0 < len(token) <= MAX_TOKEN_CHARS and all(map(is_token_char, token)) for token in found)
    assert found == tokens(fold(text)) == [token for part in text.split(" ") for token in tokens(part)]
    assert len(fold(text)) == len(text)


@unhurried
@given(
    st.sampled_from(["x ", "", "日-"]), TEXTS.filter(lambda text: bool(tokens(text))), st.sampled_from([" y", "", "."])
)
def test_a_text_is_found_where_it_stands_alone(before: str, text: str, behind: str) -> None:
    row = {"message": before + text.swapcase() + behind, "service": None, "host": None, "trace_id": None, "attrs": None}
    quoted = fold(text).replace("\\", "\\\\").replace('"', '\\"')
    expected = fold(text.swapcase()) == fold(text)  # ß has no upper case of one character
    assert matches(parse_filter(f'"{quoted}"'), row) or not expected
    assert required_tokens(parse_filter(f'"{quoted}"')) != NOTHING


# Python's own engine agrees on what both know; \b, \s and \w are ours.
@unhurried
@given(REGEXES.filter(lambda both: not re.search(r"\\[bBwWsSdD]|\$", both[0]) and not both[1]), TEXTS)
def test_the_automaton_finds_what_re_finds(regex: tuple[str, bool], text: str) -> None:
    automaton = compile_regex(regex[0], ignore_case=False)
    assert automaton is not None
    assert automaton.search(text) == bool(re.search(regex[0], text, re.DOTALL))


@pytest.mark.parametrize("char", ["\0", "\ud800"])
def test_what_postgresql_could_not_take_as_a_parameter_is_refused(char: str) -> None:
    with pytest.raises(FilterError, match=r"^q:3: expected a character that can be stored"):
        parse_filter(f"a {char}")
