from __future__ import annotations

import pytest

from logstreamd.query.filter import FilterError, parse_filter
from logstreamd.query.filter.parse import MAX_DEPTH, MAX_FILTER_CHARS, MAX_TERMS
from logstreamd.query.filter.tree import (
    EVERYTHING,
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
from logstreamd.record import Facility, Severity

SERVICE, HOST, MESSAGE = Column("service"), Column("host"), Column("message")
A, B, C = Phrase("a"), Phrase("b"), Phrase("c")


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("", EVERYTHING),
        (" \t\n", EVERYTHING),
        ("a", A),
        ("user-42", Phrase("user-42")),
        ("10.0.0.1", Phrase("10.0.0.1")),
        ("12:30:45", Phrase("12:30:45")),
        ("=>", Phrase("=>")),
        ("größe", Phrase("größe")),
        ('"a phrase"', Phrase("a phrase")),
        (r'"say \"hi\" \\ C:\temp"', Phrase(r'say "hi" \ C:\temp')),
        ('"OR"', Phrase("OR")),
        ("or", Phrase("or")),
        ("time*", Prefix("time")),
        ('"a phr"*', Prefix("a phr")),
        (r"/time\/?out \d+/", Regex(r"time\/?out \d+")),
        ("/timeout/i", Regex("timeout", ignore_case=True)),
    ],
)
def test_a_word_a_phrase_a_prefix_and_a_regex_are_looked_for_everywhere(text: str, tree: Filter) -> None:
    assert parse_filter(text) == tree


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("a b", And((A, B))),
        ("a AND b", And((A, B))),
        ("a OR b", Or((A, B))),
        ("a b OR c", Or((And((A, B)), C))),
        ("a (b OR c)", And((A, Or((B, C))))),
        ("( a )", A),
        ("-a", Not(A)),
        ("--a", Not(Not(A))),
        ("NOT a b", And((Not(A), B))),
        ("-(a b)", Not(And((A, B)))),
        ("a OR -b", Or((A, Not(B)))),
        ("(a)(b)", None),
    ],
)
def test_terms_are_joined_by_and_before_or(text: str, tree: Filter | None) -> None:
    if tree is None:
        with pytest.raises(FilterError, match=r"^q:4: expected a blank behind '\)' \(got '\('\)$"):
            parse_filter(text)
    else:
        assert parse_filter(text) == tree


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("service:checkout", Equals(SERVICE, "checkout")),
        ("service=checkout", Equals(SERVICE, "checkout")),
        ("service!=checkout", Not(Equals(SERVICE, "checkout"))),
        ('service:"my app"', Equals(SERVICE, "my app")),
        ('service:""', Equals(SERVICE, "")),
        ("host:web-*", StartsWith(HOST, "web-")),
        ('host:"web 1"*', StartsWith(HOST, "web 1")),
        (r"host:/^web\d+$/", Regex(r"^web\d+$", target=HOST)),
        ("host:*", Exists(HOST)),
        ("host:10.0.0.1:514", Equals(HOST, "10.0.0.1:514")),
        ("service:(a OR b)", Or((Equals(SERVICE, "a"), Equals(SERVICE, "b")))),
        ("service:( a )", Equals(SERVICE, "a")),
        ("service:a,b*", Or((Equals(SERVICE, "a"), StartsWith(SERVICE, "b")))),
        ("service!=a,b", Not(Or((Equals(SERVICE, "a"), Equals(SERVICE, "b"))))),
        ('service:"a,b"', Equals(SERVICE, "a,b")),
        ("message:timeout", Phrase("timeout", MESSAGE)),
        ('message:"timed out"', Phrase("timed out", MESSAGE)),
        ("message:time*", Prefix("time", MESSAGE)),
        ("message:/time/i", Regex("time", True, MESSAGE)),
        ("trace_id:4bf9", Equals(Column("trace_id"), "4bf9")),
        ("proc_id:1 msg_id:ID47", And((Equals(Column("proc_id"), "1"), Equals(Column("msg_id"), "ID47")))),
        ("input:udp format:json", And((Equals(Column("input"), "udp"), Equals(Column("format"), "json")))),
    ],
)
def test_a_field_is_compared_with_its_value(text: str, tree: Filter) -> None:
    assert parse_filter(text) == tree


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("level:error", LevelIs("=", Severity.ERROR)),
        ("level:WARN", LevelIs("=", Severity.WARNING)),
        ("level>=err", LevelIs(">=", Severity.ERROR)),
        ("level<info", LevelIs("<", Severity.INFO)),
        ("level!=debug", Not(LevelIs("=", Severity.DEBUG))),
        ("level:crit,fatal", Or((LevelIs("=", Severity.CRITICAL), LevelIs("=", Severity.CRITICAL)))),
        ("facility:local0", FacilityIs(Facility.LOCAL0)),
        ("facility:Auth", FacilityIs(Facility.AUTH)),
        ("facility:4", FacilityIs(Facility.AUTH)),
        ("peer:10.1.2.3", PeerWithin("10.1.2.3/32")),
        ("peer:10.1.2.3/8", PeerWithin("10.0.0.0/8")),
        ("peer:fe80::/10", PeerWithin("fe80::/10")),
        ("peer:*", Exists(Column("peer"))),
    ],
)
def test_levels_facilities_and_addresses_have_values_of_their_own(text: str, tree: Filter) -> None:
    assert parse_filter(text) == tree


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("attrs.user_id:42", Equals(Attribute(("user_id",)), "42")),
        ("attrs.a.b:x", Equals(Attribute(("a", "b")), "x")),
        ('attrs."http.status".code:500', Equals(Attribute(("http.status", "code")), "500")),
        ("attrs.x@32473.iut:3", Equals(Attribute(("x@32473", "iut")), "3")),
        ("attrs.duration_ms>500", Comparison(Attribute(("duration_ms",)), ">", "500")),
        ("attrs.t<=-1.5e3", Comparison(Attribute(("t",)), "<=", "-1.5e3")),
        ("attrs.user_id:*", Exists(Attribute(("user_id",)))),
        ("attrs.path:/^\\/api/", Regex("^\\/api", target=Attribute(("path",)))),
        ("attrs.x:(1 OR null)", Or((Equals(Attribute(("x",)), "1"), Equals(Attribute(("x",)), "null")))),
        ("tag.env:prod", Equals(Attribute(("tags", "env")), "prod")),
    ],
)
def test_attributes_are_named_by_their_path(text: str, tree: Filter) -> None:
    assert parse_filter(text) == tree


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a service:", "q:11: expected a value after 'service:' (got end)"),
        ("service: a", "q:9: expected a value after 'service:' (got ' ')"),
        ("level:>=error", "q:7: expected a value after 'level:' (got '>=error')"),
        ("service:a,", "q:11: expected a value after ',' (got end)"),
        ("service:(a OR )", "q:15: expected a value after OR (got ')')"),
        ("service:(a b)", "q:12: expected OR or ')' behind this value (got 'b')"),
        ("servce:a", "q:1: expected a field (got 'servce'; did you mean service?)"),
        ("a lvl:b", "q:3: expected a field (got 'lvl'; did you mean level?)"),
        ("attr.a:b", "q:1: expected a field (got 'attr.a'; did you mean attrs.a?)"),
        ("http.status:b", "q:1: expected a field (got 'http.status'; did you mean attrs.http.status?)"),
        ("attrs:b", "q:1: expected a field (got 'attrs'; write attrs.NAME)"),
        (
            "status=500",
            "q:1: expected a field (got 'status'; did you mean attrs.status? Text with this in it goes in quotes)",
        ),
        ("a service>b", "q:10: expected ':', '=' or '!=' behind 'service' (got '>')"),
        ("level:eror", "q:7: expected a level (got 'eror'; did you mean error?)"),
        ("facility:local9", "q:10: expected a facility such as local0, or 0..23 (got 'local9'; did you mean local7?)"),
        ("peer:10.0.0.*", "q:6: expected an address, or a network such as 10.0.0.0/8 (got '10.0.0.*')"),
        ("peer:fe80::1%eth0", "q:6: expected an address, or a network such as 10.0.0.0/8 (got 'fe80::1%eth0')"),
        ("attrs.a>b", "q:9: expected a number behind '>' (got 'b')"),
        ("attrs.a>1e999", "q:9: expected a number behind '>' (got '1e999')"),
        ("(a", "q:3: expected ')' (got end)"),
        ("a)", "q:2: expected no ')' without '(' (got ')')"),
        ("()", "q:2: expected a term (got ')')"),
        ("a OR", "q:5: expected a term (got end)"),
        ("OR a", "q:1: expected a term (got 'OR')"),
        ("a AND OR b", "q:7: expected a term (got 'OR')"),
        ("-", "q:2: expected a term (got end)"),
        ("a - b", "q:4: expected a term (got ' ')"),
        ("a || b", "q:3: expected OR (got '||')"),
        ("a & b", "q:3: expected AND (got '&')"),
        ("*", "q:1: expected a word in front of '*' (a filter of nothing takes everything) (got '*')"),
        ("a*b", "q:2: expected '*' at the end only (else write a /regex/) (got 'a*b')"),
        ('""', "q:1: expected text between the quotes (got '\"\"')"),
        ('message:""', "q:9: expected text between the quotes (got '\"\"')"),
        ('a "b', "q:3: expected '\"' somewhere behind this one (got end)"),
        ('a"b"', "q:2: expected a blank behind this term (got '\"')"),
        ("/api/v1", "q:6: expected a blank behind the regex (a path goes in quotes) (got 'v1')"),
        ("/api", "q:1: expected '/' somewhere behind this one (a path goes in quotes) (got end)"),
        ("a /b(/", "q:5: expected ')' somewhere behind this '(' (got end of the regex)"),
        (r"host:/(a)\1/", r"q:10: expected \d \s \w \b, their opposites, \t \n \r, or \ and punctuation (got '\\1')"),
        (
            "/(a{9}){99}/",
            "q:1: expected a regex of at most 300 characters once its repetitions are written out (got '(a{9}){99}')",
        ),
    ],
)  # fmt: skip
def test_a_mistake_is_shown_where_it_is_with_what_was_expected(text: str, message: str) -> None:
    with pytest.raises(FilterError) as caught:
        parse_filter(text)
    assert str(caught.value) == message


def test_an_error_keeps_a_long_text_short() -> None:
    with pytest.raises(FilterError) as caught:
        parse_filter("level:" + "x" * 4_000)
    assert len(str(caught.value)) < 200


def test_a_filter_may_be_so_long_and_no_longer() -> None:
    assert parse_filter("x" * MAX_FILTER_CHARS) == Phrase("x" * MAX_FILTER_CHARS)
    with pytest.raises(FilterError, match=r"^q:4097: expected at most 4096 characters \(got 4097\)$"):
        parse_filter("x" * (MAX_FILTER_CHARS + 1))


@pytest.mark.parametrize(("term", "separator"), [("a", " "), ("service:a", " OR "), ("b", ",")])
def test_a_filter_may_have_so_many_terms_and_no_more(term: str, separator: str) -> None:
    start = "service:" if separator == "," else ""
    parse_filter(start + separator.join([term] * MAX_TERMS))
    with pytest.raises(FilterError, match=f"expected at most {MAX_TERMS} terms"):
        parse_filter(start + separator.join([term] * (MAX_TERMS + 1)))


@pytest.mark.parametrize(("opened", "closed"), [("(", ")"), ("-", ""), ("NOT ", "")])
def test_a_filter_may_be_so_deep_and_no_deeper(opened: str, closed: str) -> None:
    parse_filter(opened * MAX_DEPTH + "a" + closed * MAX_DEPTH)
    with pytest.raises(FilterError, match=f"expected at most {MAX_DEPTH} parentheses and negations within each other"):
        parse_filter(opened * (MAX_DEPTH + 1) + "a" + closed * (MAX_DEPTH + 1))


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("service:a,b -(c OR d)", "(service:a OR service:b) -(c OR d)"),
        ("tag.env!=prod", "-attrs.tags.env:prod"),
        ('attrs."http.status">5', 'attrs."http.status">5'),
        ('"a \\" b"*', '"a \\" b"*'),
        ('"x=y" LEVEL', '"x=y" LEVEL'),
    ],
)
def test_a_tree_is_written_as_a_person_would(text: str, written: str) -> None:
    assert str(parse_filter(text)) == written
