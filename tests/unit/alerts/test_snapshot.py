"""The state of a rule, kept as JSON over a restart."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from logstreamd.alerts.condition_text import read_condition
from logstreamd.alerts.group_key import read_group_key
from logstreamd.alerts.rule import Rule
from logstreamd.alerts.snapshot import SnapshotError, restore, snapshot
from logstreamd.alerts.state import Instance, RuleState
from logstreamd.alerts.template import read_template

NOON = datetime(2026, 11, 22, 12, 0, 0, 123456, tzinfo=UTC)
RULE = Rule("Many", read_condition("count > 10"), timedelta(minutes=5), by=(read_group_key("service"),))
STATE = RuleState(
    instances=(
        Instance(("shop",), "firing", NOON, 0.1 + 0.2, fired_at=NOON, cleared_at=NOON),
        Instance(("",), "resolved", NOON, 11, fired_at=NOON, resolved_at=NOON),
    ),
    attempted_at=NOON,
    measured_at=NOON,
    missed=3,
    problem="away",
    left_out=2,
    cut=True,
)


def test_a_state_comes_back_as_it_was() -> None:
    assert restore(RULE, json.loads(json.dumps(snapshot(RULE, STATE)))) == STATE
    assert restore(RULE, json.loads(json.dumps(snapshot(RULE, RuleState())))) == RuleState()


def test_alerts_that_have_other_labels_by_now_do_not_come_back() -> None:
    kept = snapshot(RULE, STATE)
    assert restore(replace(RULE, over=timedelta(minutes=1)), kept) == STATE
    assert restore(replace(RULE, by=()), kept) == RuleState()
    assert restore(replace(RULE, labels={"severity": read_template("page", ())}), kept) == RuleState()


@pytest.mark.parametrize(
    "kept",
    [
        None,
        {},
        snapshot(RULE, STATE) | {"version": 2},
        snapshot(RULE, STATE) | {"state": {"instances": [{"group": ["shop"]}]}},
        snapshot(RULE, STATE) | {"state": {"attempted_at": "yesterday"}},
    ],
)
def test_what_is_no_state_is_refused(kept: object) -> None:
    with pytest.raises(SnapshotError):
        restore(RULE, kept)
