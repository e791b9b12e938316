"""Templates: what they give, and what is wrong with them."""

from __future__ import annotations

import pytest

from logstreamd.alerts.mistake import MistakeError
from logstreamd.alerts.template import FILLED_MAX_CHARS, TEMPLATE_MAX_CHARS, read_template

LABELS = {"service": "check-out's api", "host": "web1", "empty": ""}


def fill(text: str, value: float = 0.0) -> str:
    return read_template(text, LABELS).fill(LABELS, value)


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("", ""),
        ("no places, but a } and a {", "no places, but a } and a {"),
        ("{{ $labels.host }} and {{$labels.host}}", "web1 and web1"),
        ("{{ $value }} lines", "1234.5 lines"),
        ("{{ $value | humanize }}", "1.234k"),
        ("{{ humanize $value }}", "1.234k"),
        ("{{ $labels.service | toUpper }}", "CHECK-OUT'S API"),
        ("{{ $labels.service | title | toLower }}", "check-out's api"),
        ("{{ $labels.service | title }}", "Check-Out's Api"),
        ('{{ $labels.empty | default "none" }}', "none"),
        ('{{ $labels.host | default "none" }}', "web1"),
        ('{{ printf "%.2f of %s (%v)" $value $labels.host $value }}', "1234.50 of web1 (1234.5)"),
        ('{{ $value | printf "%8.1f%%" }}', "  1234.5%"),
        ('{{ "a \\"quoted\\" }} \\\\ text" }}', 'a "quoted" }} \\ text'),
        ("{{ `as it is \\n` }}", "as it is \\n"),
    ],
)
def test_a_template_is_filled_in(text: str, filled: str) -> None:
    assert fill(text, 1234.5) == filled


@pytest.mark.parametrize(
    ("function", "value", "text"),
    [
        # As Prometheus' own tests of its templates have them.
        ("humanize", 0.0, "0"),
        ("humanize", 1.0, "1"),
        ("humanize", 1_234_567.0, "1.235M"),
        ("humanize", 0.12, "120m"),
        ("humanize", -1e-9, "-1n"),
        ("humanize", 1e24, "1Y"),
        ("humanizePercentage", 0.1234567, "12.35%"),
        ("humanizePercentage", 1.0, "100%"),
        ("humanizeDuration", 0.0, "0s"),
        ("humanizeDuration", 1.0, "1s"),
        ("humanizeDuration", 60.0, "1m 0s"),
        ("humanizeDuration", 3_600.0, "1h 0m 0s"),
        ("humanizeDuration", 86_400.0, "1d 0h 0m 0s"),
        ("humanizeDuration", 86_400.0 + 3_600 + 60 + 1, "1d 1h 1m 1s"),
        ("humanizeDuration", -(86_400.0 * 2 + 3_600 * 23 + 60 * 59 + 59.9), "-2d 23h 59m 59s"),
        ("humanizeDuration", 0.1, "100ms"),
        ("humanizeDuration", 0.0001, "100us"),
        ("humanizeDuration", 12.34567, "12.35s"),
        ("humanizeDuration", 899.99, "14m 59s"),
    ],
)
def test_numbers_are_written_as_prometheus_writes_them(function: str, value: float, text: str) -> None:
    assert fill(f"{{{{ $value | {function} }}}}", value) == text


@pytest.mark.parametrize(
    ("text", "offset", "message"),
    [
        ("{{}}", 2, "expected $labels.NAME, $value or a \"text\" (got '}}')"),
        ("a {{ $value", 2, "'{{' has no '}}' behind it"),
        ('{{ "a }}', 3, 'expected $labels.NAME, $value or a "text" (got \'"\')'),
        ("{{ $labels }}", 3, "expected $labels.NAME, $value or a \"text\" (got '$labels')"),
        ("{{ $value $value }}", 10, "expected '|' or '}}' (got '$value')"),
        ("{{ $value | $value }}", 12, "expected a function behind '|'"),
        ("{{ humanize }}", 3, "humanize takes 1 argument (got 0)"),
        ('{{ default "x" }}', 3, "default takes 2 arguments (got 1)"),
        ("{{ $labels.host | humanize }}", 3, "humanize takes a number, and only $value is one"),
        ("{{ printf $value }}", 3, 'printf needs a format first, such as printf "%.2f" $value'),
        ('{{ printf "%s" }}', 10, "printf's format has 1 verbs for 0 arguments"),
        ('{{ printf "%.2f" $labels.host }}', 10, "printf can't write a text as '%.2f'"),
        ('{{ printf "%100f" $value }}', 10, "printf can't write a number as '%10'"),
        ('{{ printf "5 %" $value }}', 10, "printf can't write a number as '%'"),
    ],
)
def test_a_mistake_is_found_at_its_place(text: str, offset: int, message: str) -> None:
    with pytest.raises(MistakeError) as mistake:
        read_template(text, LABELS)
    assert (mistake.value.offset, str(mistake.value)) == (offset, message)


def test_the_longest_template_is_read_and_one_character_more_is_refused() -> None:
    read_template("x" * TEMPLATE_MAX_CHARS, ())
    with pytest.raises(MistakeError, match="at most 4096 characters"):
        read_template("x" * (TEMPLATE_MAX_CHARS + 1), ())


def test_what_is_filled_in_is_bounded() -> None:
    template = read_template("{{ $labels.host }}" * 100, ["host"])
    assert len(template.fill({"host": "x" * (FILLED_MAX_CHARS // 100)})) == FILLED_MAX_CHARS // 100 * 100
    filled = template.fill({"host": "x" * 256})
    assert (len(filled), filled[-2:]) == (FILLED_MAX_CHARS, "x…")


def test_a_label_that_an_alert_lacks_is_empty() -> None:
    assert read_template("on {{ $labels.host }}", ["host"]).fill({}) == "on "


def test_templates_of_one_text_are_equal() -> None:
    assert read_template("{{ $value }}", ()) == read_template("{{ $value }}", ())
