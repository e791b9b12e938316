"""Filters and rows that have something to do with each other: made of the same few pieces, awkward ones among them."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_network
from typing import Any

from hypothesis import strategies as st

from logstreamd.query.filter.compiled import compile_regex
from logstreamd.query.filter.number import number_in
from logstreamd.query.filter.regex_tree import RegexError
from logstreamd.query.filter.tree import (
    And,
    Attribute,
    Column,
    Comparison,
    Equals,
    Exists,
    FacilityIs,
    Filter,
    LevelIs,
    Not,
    Or,
    PeerWithin,
    Phrase,
    Prefix,
    Regex,
    StartsWith,
)
from logstreamd.record import LEVELS, Facility, Severity
from logstreamd.wire.attribute_text import scalar_text

PIECES = [
    "error", "Error", "ERR", "user", "42", "10", "0", "a", "b", "i", "k", "true", "null", "500.5", "1e3",
    "1000", "-1", "007", " ", " ", "-", ".", "_", "/", "*", "%", "\\", '"', "'", "$1", "{", "}", "(", ")", ":",
    ",", "\n", "\t", "\x1f", "\x7f", "é", "É", "e\u0301", "ß", "ẞ", "Σ", "σ", "ς", "İ", "ı", "\u212a", "ǅ",
    "Ж", "ж", "日本", "٣", "½", "…", "—", "\u00a0", "😀", "\ufeff", "'; DROP TABLE logs; --", "OR", "AND",
]  # fmt: skip
TEXTS = st.lists(st.sampled_from(PIECES), max_size=5).map("".join) | st.text(
    st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=6
)
SOME_TEXT = TEXTS.filter(bool)
NAMES = st.sampled_from(["a", "b", "a.b", "0", "-1", " 1", "tags", 'x"y', "é", ""])
NUMBERS = st.sampled_from(
    ["0", "-0", "42", "42.0", "500.5", "1e3", "1000", "1E-7", "-1", "123456789012345678", "1e400", "0.30"]
)

_COLUMNS = ["service", "host", "trace_id", "proc_id", "msg_id", "input", "format"]
_TARGETS = st.sampled_from(_COLUMNS).map(Column) | st.lists(NAMES, min_size=1, max_size=3).map(tuple).map(Attribute)
_ATTRIBUTES = st.lists(NAMES, min_size=1, max_size=2).map(tuple).map(Attribute)
_MESSAGE = st.sampled_from([None, Column("message")])
_OPERATORS = st.sampled_from(["<", "<=", ">", ">="])
_NETWORKS = st.sampled_from(["10.0.0.0/8", "10.1.2.3", "0.0.0.0/0", "fe80::/10", "::1", "::ffff:10.1.2.3", "::/0"]).map(
    lambda text: str(ip_network(text))
)

_ATOMS = st.sampled_from(
    ["a", "b", "e", "é", "4", " ", ".", r"\.", r"\d", r"\w", r"\s", r"\W", r"\D", r"\S", "[a-f]", "[^a]", "[Σ-ω]",
     r"[\d.-]", r"[^\w ]", r"\/", r"\"", "日", "😀", r"\n", "ß", "k", "(?:)", "]", "}", "-"]
)  # fmt: skip
_BOUNDARIES = st.sampled_from(["^", "$", r"\b", r"\B"])
_REPEATS = st.sampled_from(["*", "+", "?", "*?", "{2}", "{0,2}", "{1,}", "{0}"])
_SOURCES = st.recursive(
    _ATOMS,
    lambda inner: (
        st.lists(inner | _BOUNDARIES, max_size=4).map("".join)
        | st.tuples(inner, inner | _BOUNDARIES).map(lambda both: f"({both[0]}|{both[1]})")
        | st.tuples(inner | _BOUNDARIES, _REPEATS).map(lambda both: f"(?:{both[0]}){both[1]}")
    ),
    max_leaves=8,
)


def _is_regex(source: str) -> bool:
    try:
        return compile_regex(source, ignore_case=False) is not None
    except RegexError:
        return False


REGEXES = st.tuples(_SOURCES.filter(_is_regex), st.booleans())

TERMS = st.one_of(
    st.builds(Phrase, SOME_TEXT, _MESSAGE),
    st.builds(Prefix, SOME_TEXT, _MESSAGE),
    st.builds(lambda regex, target: Regex(*regex, target), REGEXES, _MESSAGE | _TARGETS),
    st.builds(Equals, _TARGETS, TEXTS | NUMBERS),
    st.builds(StartsWith, _TARGETS, SOME_TEXT),
    st.builds(Exists, _TARGETS | st.just(Column("peer"))),
    st.builds(Comparison, _ATTRIBUTES, _OPERATORS, NUMBERS),
    st.builds(LevelIs, _OPERATORS | st.just("="), st.sampled_from(Severity)),
    st.builds(FacilityIs, st.sampled_from(Facility)),
    st.builds(PeerWithin, _NETWORKS),
)


def trees_of(terms: st.SearchStrategy[Filter]) -> st.SearchStrategy[Filter]:
    """Trees whose leaves are these terms."""
    return st.recursive(
        terms, lambda inner: st.builds(Not, inner) | _several(And, inner) | _several(Or, inner), max_leaves=6
    )


def _several(kind: type[And | Or], inner: st.SearchStrategy[Filter]) -> st.SearchStrategy[Filter]:
    return st.builds(kind, st.lists(inner, min_size=2, max_size=4).map(tuple))


FILTERS = trees_of(TERMS)

_SCALARS = st.one_of(
    TEXTS,
    NUMBERS,
    st.none(),
    st.booleans(),
    st.sampled_from([0, 42, 42.0, 500.5, 1000, 1e22, 1e-7, -0.0, -1, 10**30, 1.5e300, 123456789012345680.0]),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
)
_VALUES = st.recursive(
    _SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3), max_leaves=6
)
_PEERS = st.sampled_from([None, "10.1.2.3", "192.0.2.1", "::1", "fe80::1", "::ffff:10.1.2.3"])


def _row(columns: dict[str, Any], severity: int) -> dict[str, Any]:
    return {**columns, "severity": severity, "level": LEVELS[severity]}


ROWS = st.builds(
    _row,
    st.fixed_dictionaries(
        {
            "facility": st.integers(0, 23),
            "message": TEXTS,
            "input": SOME_TEXT,
            "format": st.sampled_from(["rfc5424", "json", "raw"]),
            "peer": _PEERS,
            "attrs": st.none() | st.dictionaries(NAMES, _VALUES, max_size=4),
        }
        | {name: st.none() | SOME_TEXT for name in ("service", "host", "trace_id", "proc_id", "msg_id")}
    ),
    st.integers(0, 7),
)


@st.composite
def near_terms(draw: st.DrawFn, rows: list[dict[str, Any]]) -> Filter:
    """A term about something that is in one of the rows, or almost."""
    row = draw(st.sampled_from(rows))
    target, text = draw(st.sampled_from([*_contents(row)]))
    start = draw(st.integers(0, max(0, len(text) - 1)))
    end = draw(st.integers(start + 1, max(start + 1, len(text))))
    part = draw(st.sampled_from([text, text[start:end], text[start:end].swapcase()]))
    kinds: list[Filter] = [Equals(target, text), Exists(target), StartsWith(target, text[:end] or "x")]
    if isinstance(target, Column):
        kinds += [Phrase(part or "x", target), Prefix(part or "x", target)] if target.name == "message" else []
    elif number_in(text) is not None:
        kinds += [Comparison(target, draw(_OPERATORS), text), Equals(target, f"{text}.0"), Equals(target, f"{text}e0")]
    kinds += [Phrase(part or "x"), Prefix(part or "x")]
    return draw(st.sampled_from(kinds))


def _contents(row: dict[str, Any]) -> Iterator[tuple[Column | Attribute, str]]:
    for name in ("message", *_COLUMNS):
        if row[name] is not None:
            yield Column(name), row[name]
    pending: list[tuple[tuple[str, ...], Any]] = [((), row["attrs"] or {})]
    while pending:
        path, value = pending.pop()
        if isinstance(value, dict):
            pending += [((*path, name), item) for name, item in value.items()]
        elif isinstance(value, list):
            pending += [pair for n, item in enumerate(value) for pair in ((path, item), ((*path, str(n)), item))]
        else:
            yield Attribute(path), scalar_text(value) or "null"
