from __future__ import annotations

from typing import Any

import pytest
from filter_strategies import FILTERS, ROWS, near_terms, trees_of
from hypothesis import given
from hypothesis import strategies as st

from logstreamd.query.filter import matches, parse_filter
from logstreamd.query.filter.restrictions import ANYTHING, NOTHING, Names, Restrictions, restrictions
from logstreamd.query.filter.tree import EVERYTHING, Not
from logstreamd.record import Severity

EVERY = frozenset(Severity)
ERRORS = frozenset({Severity.ERROR, Severity.CRITICAL, Severity.ALERT, Severity.EMERGENCY})


def exactly(*names: str) -> Names:
    return Names(exact=frozenset(names))


def of(text: str) -> Restrictions:
    return restrictions(parse_filter(text))


@pytest.mark.parametrize(
    ("text", "severities"),
    [
        ("", EVERY),
        ("level:error", {Severity.ERROR}),
        ("level>=error", ERRORS),
        ("level>error", ERRORS - {Severity.ERROR}),
        ("level<=error", (EVERY - ERRORS) | {Severity.ERROR}),
        ("level<error", EVERY - ERRORS),
        ("-level>=error", EVERY - ERRORS),
        ("level:error,info word", {Severity.ERROR, Severity.INFO}),
        ("level:error OR service:a", EVERY),
        ("level:error level:info", set()),
        ("-(level:error OR level:info)", EVERY - {Severity.ERROR, Severity.INFO}),
        ("-(level:error level:info)", EVERY),
        ("-(level<error word)", EVERY),
        ("-(level<error OR word)", ERRORS),
    ],
)
def test_levels_restrict_severities(text: str, severities: set[Severity]) -> None:
    assert of(text).severities == severities


@pytest.mark.parametrize(
    ("text", "services"),
    [
        ("service:a", exactly("a")),
        ("service:a,b word", exactly("a", "b")),
        ("service:a OR host:b", None),
        ("service:a OR service:b*", Names(frozenset({"a"}), frozenset({"b"}))),
        ("service:a,ab,b service:a*", exactly("a", "ab")),
        ("service:a* service:a,ab,b", exactly("a", "ab")),
        ("service:a* service:*", Names(prefixes=frozenset({"a"}))),
        ("service:a service:b", exactly()),
        ("-service:a", None),
        ("--service:a", exactly("a")),
        ("-(service!=a OR word)", exactly("a")),
        ("service:/a/", None),
        ("trace_id:a attrs.service:b", None),
    ],
)
def test_names_restrict_services(text: str, services: Names | None) -> None:
    assert of(text).services == services


def test_hosts_are_restricted_in_the_same_way() -> None:
    assert of("host:web-* OR host:api-1").hosts == Names(frozenset({"api-1"}), frozenset({"web-"}))


def test_nothing_known_and_nothing_possible() -> None:
    assert of("") == ANYTHING
    assert restrictions(Not(EVERYTHING)) == NOTHING


def _possible(row: dict[str, Any], found: Restrictions) -> bool:
    return (
        row["severity"] in found.severities
        and (found.services is None or (row["service"] is not None and found.services.allow(row["service"])))
        and (found.hosts is None or (row["host"] is not None and found.hosts.allow(row["host"])))
    )


@given(rows=st.lists(ROWS, min_size=1, max_size=4), data=st.data())
def test_every_row_that_passes_is_what_was_said(rows: list[dict[str, Any]], data: st.DataObject) -> None:
    tree = data.draw(trees_of(near_terms(rows)) | FILTERS)
    found = restrictions(tree)
    assert all(_possible(row, found) for row in rows if matches(tree, row))
