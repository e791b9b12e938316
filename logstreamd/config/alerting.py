"""The section ``alerts``: which rules there are, and who is told."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, PlainValidator

from logstreamd.config.names import read_name
from logstreamd.config.notifiers import Notifier
from logstreamd.config.problems import shown
from logstreamd.config.section import Section

__all__ = ["AlertsConfig"]


def _read_pattern(value: object) -> str:
    if not isinstance(value, str) or not value.strip() or "\0" in value:
        wanted = "must be a file of rules, or a pattern such as /etc/logstreamd/alerts/*.yaml"
        raise ValueError(f"{wanted} (got {shown(value)})")
    return value


class AlertsConfig(Section):
    """Alert rules and who is told."""

    # Upper bound: patterns name many files each.
    rules: Annotated[tuple[Annotated[str, PlainValidator(_read_pattern)], ...], Field(max_length=64)] = ()
    # Upper bound: a notifier is a task, a connection and a label of every metric about deliveries.
    notifiers: Annotated[dict[Annotated[str, PlainValidator(read_name)], Notifier], Field(max_length=16)] = Field(
        default_factory=dict
    )
