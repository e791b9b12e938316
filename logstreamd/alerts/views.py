"""Rules and alerts as people and programs see them.

The words of Prometheus' API are kept where it has some (camel case and all); what is ours stands beside them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from logstreamd.alerts.alert import fingerprint
from logstreamd.alerts.condition import number_text
from logstreamd.alerts.journal import Living
from logstreamd.alerts.silence import Silence, silencers
from logstreamd.alerts.template import Template
from logstreamd.alerts.watched import Roster, Watched, WatchedGroup

__all__ = ["RuleChoice", "Views"]

_NEVER = "0001-01-01T00:00:00Z"  # as Prometheus writes a time that has not come yet


@dataclass(frozen=True, slots=True)
class RuleChoice:
    """Which rules to show; an empty choice is all.

    Attributes:
        names: of rules.
        groups: of groups.
        files: where they were written.
        with_alerts: whether to show their alerts.
    """

    names: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    with_alerts: bool = True


class Views:
    """Shows what is known at the moment.

    Args:
        roster: the rules.
        silences: returns those that have not ended.
        now: the time.
    """

    def __init__(self, roster: Roster, silences: Callable[[], Sequence[Silence]], now: Callable[[], datetime]) -> None:
        self._roster = roster
        self._silences = silences
        self._now = now

    def rules(self, choice: RuleChoice) -> list[dict[str, Any]]:
        """Return the groups with their rules, in the shape of Prometheus' ``/api/v1/rules``."""
        shown = []
        for group in self._roster.groups:
            if (choice.groups and group.group.name not in choice.groups) or (
                choice.files and group.group.file not in choice.files
            ):
                continue
            rules = [one for one in group.rules if not choice.names or one.rule.alert in choice.names]
            if rules:
                shown.append(self._group(group, rules, choice))
        return shown

    def _group(self, group: WatchedGroup, rules: Sequence[Watched], choice: RuleChoice) -> dict[str, Any]:
        return {
            "name": group.group.name,
            "file": group.group.file,
            "interval": group.group.interval.total_seconds(),
            "limit": group.group.limit,
            "evaluationTime": sum(one.seconds for one in group.rules),
            "lastEvaluation": group.evaluated or _NEVER,
            "rules": [self._rule(one, choice) for one in rules],
        }

    def _rule(self, watched: Watched, choice: RuleChoice) -> dict[str, Any]:
        rule, state = watched.rule, watched.state
        alerts = [_prometheus_alert(one) for one in watched.living()] if choice.with_alerts else []
        return {
            "state": state.state,
            "name": rule.alert,
            "query": str(rule.query),
            "by": [key.name for key in rule.by],
            "condition": str(rule.condition),
            "over": _seconds(rule.over),
            "duration": _seconds(rule.for_),
            "keepFiringFor": _seconds(rule.keep_firing_for),
            "labels": _texts(rule.labels),
            "annotations": _texts(rule.annotations),
            "notify": rule.notify,
            "alerts": alerts,
            "health": _health(watched),
            "lastError": state.problem,
            "missedEvaluations": state.missed,
            "alertsLeftOut": state.left_out,
            "groupsLeftOut": state.cut,
            "evaluationTime": watched.seconds,
            "lastEvaluation": state.attempted_at or _NEVER,
            "type": "alerting",
        }

    def prometheus_alerts(self) -> list[dict[str, Any]]:
        """Return the alerts that are pending or fire, in the shape of Prometheus' ``/api/v1/alerts``."""
        return [_prometheus_alert(one) for watched in self._roster.rules for one in watched.living()]

    def alerts(self) -> list[dict[str, Any]]:
        """Return the alerts that are pending or fire, with all that is known about them."""
        return list(self._alerts(self._silences(), self._now()))

    def _alerts(self, silences: Sequence[Silence], now: datetime) -> Iterator[dict[str, Any]]:
        for group in self._roster.groups:
            for watched in group.rules:
                for one in watched.living():
                    yield {
                        "alert": watched.rule.alert,
                        "group": group.group.name,
                        "state": one.state,
                        "fingerprint": fingerprint(one.labels),
                        "labels": one.labels,
                        "annotations": one.annotations,
                        "value": one.value,
                        "active_at": one.active_at,
                        "starts_at": one.starts_at,
                        "silenced_by": silencers(silences, one.labels, now),
                        "samples": one.samples,
                    }


def _prometheus_alert(alert: Living) -> dict[str, Any]:
    return {
        "labels": alert.labels,
        "annotations": alert.annotations,
        "state": alert.state,
        "activeAt": alert.active_at,
        "value": number_text(alert.value),
    }


def _health(watched: Watched) -> str:
    if watched.state.problem:
        return "err"
    return "unknown" if watched.state.attempted_at is None else "ok"


def _texts(templates: Mapping[str, Template]) -> dict[str, str]:
    return {name: template.text for name, template in templates.items()}


def _seconds(span: timedelta) -> float:
    return span.total_seconds()
