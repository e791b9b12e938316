"""What psql users ask of blocks is what the daemon asks: the SQL twins of tokens, hashes and filters."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import asyncpg
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from logstreamd.wire.bloom import build_bloom, may_contain, token_hash
from logstreamd.wire.tokens import SEPARATORS, tokens

pytestmark = pytest.mark.every_postgres

TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=80)
WORDS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=40)

with_database = settings(
    deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=150
)


class Asking:
    """A connection for functions that are not coroutines."""

    def __init__(self, runner: asyncio.Runner, connection: asyncpg.Connection) -> None:
        self._runner = runner
        self._connection = connection

    def value(self, query: str, *values: Any) -> Any:
        return self._runner.run(self._connection.fetchval(query, *values))


@pytest.fixture
def asking(database: str) -> Iterator[Asking]:
    with asyncio.Runner() as runner:
        connection = runner.run(asyncpg.connect(database))
        yield Asking(runner, connection)
        runner.run(connection.close())


def unsigned(value: int) -> int:
    return value & (1 << 64) - 1


@with_database
@given(words=st.lists(WORDS, min_size=1, max_size=20))
@example(words=["a" * n for n in range(1, 20)])
@example(words=["\x7f" * 8, "\uffff", "\U0010ffff" * 10])
def test_a_token_has_the_same_hash(asking: Asking, words: list[str]) -> None:
    hashes = asking.value(
        "SELECT array_agg(logstreamd_token_hash(word) ORDER BY n)"
        " FROM unnest($1::text[]) WITH ORDINALITY AS one (word, n)",
        words,
    )
    assert [unsigned(value) for value in hashes] == [token_hash(word) for word in words]


@with_database
@given(text=TEXTS)
@example(text="POST /v1/orders_7 took 12.5ms; user=Müller ΣΊΣΥΦΟΣ İstanbul")
@example(text="".join(chr(edge) for pair in SEPARATORS[-30:-3] for edge in (*pair, pair[1] + 1) if edge < 0xD800))
@example(text="x" * 65 + " " + "ß" * 65)
def test_a_text_has_the_same_tokens(asking: Asking, text: str) -> None:
    assert asking.value("SELECT array(SELECT logstreamd_tokens($1))", text) == tokens(text)


def test_every_character_separates_in_sql_where_it_separates_here(asking: Asking) -> None:
    chars = [chr(code) for code in range(1, 0x110000) if not 0xD800 <= code <= 0xDFFF]
    separators = asking.value(
        "SELECT array_agg(char) FROM unnest($1::text[]) AS char WHERE NOT EXISTS (SELECT FROM logstreamd_tokens(char))",
        [char for char in chars if ord(char) < 0x3100 or ord(char) % 97 == 0 or not tokens(char)],
    )
    assert [char for char in separators if tokens(char)] == []
    assert len(separators) == sum(not tokens(char) for char in chars)


@with_database
@given(words=st.lists(WORDS, max_size=60), absent=st.lists(WORDS, max_size=10))
def test_a_filter_answers_the_same(asking: Asking, words: list[str], absent: list[str]) -> None:
    bloom = build_bloom({token_hash(token) for word in words for token in tokens(word)}, len(words))
    for word in [*words, *absent]:
        expected = all(may_contain(bloom, token_hash(token)) for token in tokens(word))
        assert asking.value("SELECT block_may_contain($1, $2)", bloom, word) == expected, word
        assert expected or word in absent


def test_all_words_of_a_text_must_be_in_the_filter_and_without_words_any_block_may_match(asking: Asking) -> None:
    bloom = build_bloom({token_hash(word) for word in ("payment", "timed", "out")}, 1)
    for words, expected in (
        ("payment", True),
        ("Timed-Out payment!", True),
        ("payment refused", False),
        ("", True),
        ("--", True),
    ):
        assert asking.value("SELECT block_may_contain($1, $2)", bloom, words) is expected
    assert asking.value("SELECT block_may_contain('', 'payment')") is False


def test_a_block_whose_filter_is_not_known_may_contain_anything(asking: Asking) -> None:
    assert asking.value("SELECT block_may_contain(NULL, 'payment')") is True
