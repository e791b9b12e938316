"""The section ``alerts``: which rules there are, and who is told."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import Field, PlainValidator

from logstreamd.config.names import read_name
from logstreamd.config.notifiers import Notifier
from logstreamd.config.problems import shown
from logstreamd.config.receiver_url import ReceiverUrl
from logstreamd.config.section import Section
from logstreamd.config.units import Duration, WholeNumber

__all__ = ["AlertsConfig"]


def _read_pattern(value: object) -> str:
    if not isinstance(value, str) or not value.strip() or "\0" in value:
        wanted = "must be a file of rules, or a pattern such as /etc/logstreamd/alerts/*.yaml"
        raise ValueError(f"{wanted} (got {shown(value)})")
    return value


def _read_external_url(value: object) -> str | None:
    if value is None:
        return None
    url = ReceiverUrl.parse(value)
    if urlsplit(url.text).query:
        raise ValueError("must be a URL such as https://logs.example.org, without a query")
    return url.text.rstrip("/")


class AlertsConfig(Section):
    """Alert rules and who is told."""

    # Upper bound: patterns name many files each.
    rules: Annotated[tuple[Annotated[str, PlainValidator(_read_pattern)], ...], Field(max_length=64)] = ()
    # Upper bound: a notifier is a task, a connection and a label of every metric about deliveries.
    notifiers: Annotated[dict[Annotated[str, PlainValidator(read_name)], Notifier], Field(max_length=16)] = Field(
        default_factory=dict
    )
    # Lines count that arrived this late. Default: a batch is stored within a second on a busy day, and senders batch,
    # too. Upper bound: an alert that is later than ten minutes is news of yesterday.
    evaluation_delay: Annotated[float, Duration(0, 600, bare=False)] = 5.0
    # Upper bound: a rule that takes ten minutes wants another question.
    query_timeout_seconds: Annotated[float, Duration(0.1, 600)] = 10.0
    # Lower bound: one for the rules that take long, one for the others. Upper bound: each is a database connection.
    max_concurrent_queries: Annotated[int, WholeNumber(2, 32)] = 4
    # Upper bound: ten years; there are never more than a million events.
    history_days: Annotated[int, WholeNumber(1, 3650)] = 90
    external_url: Annotated[str | None, PlainValidator(_read_external_url)] = None
