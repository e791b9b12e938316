from __future__ import annotations

import pytest

from logstreamd.cli.asking import Wanted, moment


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
