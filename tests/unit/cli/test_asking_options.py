from __future__ import annotations

from pathlib import Path

import click
import pytest

from logstreamd.cli.asking import Wanted, daemon_url, moment


@pytest.mark.parametrize(
    ("listen", "url"),
    [
        ("127.0.0.1:8514", "http://127.0.0.1:8514"),
        ("*:80", "http://127.0.0.1:80"),
        ("0.0.0.0:80", "http://127.0.0.1:80"),
        ("[::]:80", "http://[::1]:80"),
        ("[2001:db8::1]:80", "http://[2001:db8::1]:80"),
        ("logs.example:80", "http://logs.example:80"),
    ],
)
def test_the_daemon_is_where_the_configuration_says(tmp_path: Path, listen: str, url: str) -> None:
    file = tmp_path / "logstreamd.yaml"
    file.write_text(f'http: {{listen: "{listen}"}}')
    assert daemon_url(None, file) == url


def test_what_is_said_wins_over_the_configuration() -> None:
    assert daemon_url("https://logs.example/under/", None) == "https://logs.example/under"
    assert daemon_url("logs.example:8514", None) == "http://logs.example:8514"


def test_a_port_that_the_system_chose_is_not_known(tmp_path: Path) -> None:
    file = tmp_path / "logstreamd.yaml"
    file.write_text('http: {listen: "127.0.0.1:0"}')
    with pytest.raises(click.UsageError, match="--url"):
        daemon_url(None, file)


@pytest.mark.parametrize(
    ("text", "said"),
    [("1h", "-1h"), ("500ms", "-500ms"), ("-15m", "-15m"), ("now", "now"), ("2026-11-22T03:00:00Z",) * 2],
)
def test_a_duration_is_that_long_ago(text: str, said: str) -> None:
    assert moment(text) == said


def test_options_become_parameters() -> None:
    wanted = Wanted("a b", ("shop", "api"), (), ("error",), "warning")
    assert wanted.parameters() == [
        ("service", "shop"), ("service", "api"), ("level", "error"), ("q", "a b"), ("min_level", "warning")
    ]  # fmt: skip
    assert Wanted("", (), (), (), None).parameters() == []
