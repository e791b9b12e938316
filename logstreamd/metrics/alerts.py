"""How alert rules are, and what is told about alerts."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from logstreamd.metrics.declaring import STAGE_SECONDS, Declaring
from logstreamd.metrics.labels import ALERT_DROP_REASONS, DELIVERY_OUTCOMES, EVALUATION_OUTCOMES

__all__ = ["AlertMetrics"]


class AlertMetrics(Declaring):
    """How alert rules are, and what is told about alerts."""

    def _declare_deliveries(self) -> None:
        self.alert_deliveries = self._counter(
            "alert_deliveries", "Attempts to deliver a message about alerts.", "notifier", "outcome"
        )
        self.alert_delivery_seconds = self._histogram(
            "alert_delivery_seconds", "One attempt to deliver a message about alerts.", STAGE_SECONDS, "notifier"
        )
        self.alert_queue_alerts = self._gauge(
            "alert_queue_alerts", "Alerts that wait to be told. Grows while a receiver is away.", "notifier"
        )
        self.dropped_alerts = self._counter(
            "dropped_alerts", "Alerts that were given up without being told. Should never move.", "notifier", "reason"
        )
        self.alert_outbox_failures = self._counter(
            "alert_outbox_failures",
            "Writes of the alerts' outbox that failed; until one succeeds, a crash may lose or repeat alerts.",
        )

    def _declare_evaluations(self) -> None:
        self.alert_evaluations = self._counter(
            "alert_evaluations", "Evaluations of alert rules. One that failed changed no alert.", "outcome"
        )
        for outcome in EVALUATION_OUTCOMES:
            self.alert_evaluations.labels(outcome)
        self.alert_evaluation_seconds = self._histogram(
            "alert_evaluation_seconds", "One evaluation of one rule.", STAGE_SECONDS
        )
        self.alert_missed_evaluations = self._counter(
            "alert_missed_evaluations",
            "Evaluations that were due and not made: the daemon was away, or rules take too long.",
        )
        self.alert_unproven = self._counter(
            "alert_unproven", "Alerts that began to fire without log lines, because these could not be had in time."
        )
        self.alert_rules = self._gauge("alert_rules", "Alert rules.")
        self.alert_rules_unhealthy = self._gauge(
            "alert_rules_unhealthy", "Rules whose last evaluation failed; GET /api/v1/rules says why."
        )
        self.alerts = self._gauge("alerts", "Alerts that are pending or fire, silenced ones included.", "state")
        self.alert_leader = self._gauge(
            "alert_leader", "1 while this daemon evaluates the rules of its database; 0: another one does, or none can."
        )

    def watch_rules(
        self,
        *,
        rules: Callable[[], int],
        unhealthy: Callable[[], int],
        alerts: Mapping[str, Callable[[], int]],
        leads: Callable[[], bool],
    ) -> None:
        """Show how alert rules are; each argument is asked at each scrape.

        Args:
            rules: how many there are.
            unhealthy: how many of them could not be evaluated.
            alerts: how many alerts there are, by state.
            leads: whether this daemon evaluates.
        """
        self.alert_rules.set_function(rules)
        self.alert_rules_unhealthy.set_function(unhealthy)
        self.alert_leader.set_function(leads)
        for state, count in alerts.items():
            self.alerts.labels(state).set_function(count)

    def watch_notifier(self, name: str, *, waiting: Callable[[], int]) -> None:
        """Open the books of a notifier: every series exists from the start, at 0.

        Args:
            name: the notifier's name, the label ``notifier``.
            waiting: asked at each scrape: alerts that wait to be told.
        """
        for outcome in DELIVERY_OUTCOMES:
            self.alert_deliveries.labels(name, outcome)
        for reason in ALERT_DROP_REASONS:
            self.dropped_alerts.labels(name, reason)
        self.alert_delivery_seconds.labels(name)
        self.alert_queue_alerts.labels(name).set_function(waiting)
