from __future__ import annotations

import pytest

from logstreamd.query.filter import Required, parse_filter, required_tokens
from logstreamd.query.filter.required import NOTHING


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Error", {"error"}),
        ("user-42", {"user", "42"}),
        ('"timed out" x', {"timed", "out", "x"}),
        ("message:out", {"out"}),
        ("service:web-1", {"web", "1"}),
        ("trace_id:AB12", {"ab12"}),
        ("attrs.name:Zoë", {"zoë"}),
        ("attrs.user_id:42", {"42"}),
        ("attrs.ok:true", {"true"}),
        ("user-4*", {"user"}),
        ('"timed "*', {"timed"}),
        ("a -b level:error attrs.n>5 host:x* /r/ proc_id:7 peer:10.0.0.1", {"a"}),
        ("a OR a", {"a"}),
        ("x" * 99, {"x" * 64}),
    ],
)
def test_what_must_be_there_is_known_by_its_tokens(text: str, expected: set[str]) -> None:
    assert required_tokens(parse_filter(text)) == Required(frozenset(expected))


@pytest.mark.parametrize(
    "text", ["", "-a", "time*", "/time/", "level:error", "a OR -b", '"..."', "service:*", "attrs.a:null"]
)
def test_of_some_filters_nothing_is_known(text: str) -> None:
    assert required_tokens(parse_filter(text)) == NOTHING


@pytest.mark.parametrize(
    ("text", "present", "may_match"),
    [
        ("a OR b", "b", True),
        ("a OR b", "c", False),
        ("c (a OR b d)", "c b d", True),
        ("c (a OR b d)", "c b", False),
        ("service:web-1,web-2", "web 2", True),
        ("service:web-1,web-2", "web 3", False),
        ("attrs.n:1e3", "1000", True),
        ("attrs.n:1e3", "1e3", True),
        ("attrs.n:1e3", "1", False),
        ("attrs.n:42.50", "42 5", True),
        ("attrs.n:-0.5", "0 5", True),
    ],
)
def test_of_alternatives_one_must_be_there(text: str, present: str, may_match: bool) -> None:
    assert required_tokens(parse_filter(text)).may_match(present.split().__contains__) is may_match
