"""The section ``retention``: what is kept for how long."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, PlainValidator, model_validator

from logstreamd.config import consistency
from logstreamd.config.problems import did_you_mean, shown
from logstreamd.config.section import Section
from logstreamd.config.units import MIB, TIB, Size, WholeNumber
from logstreamd.record import LEVELS, severity_from_name

__all__ = ["RetentionConfig", "RetentionRule"]

_MAX_NAMES = 256
"""Services in one rule: each is compared with every row of the blocks that a rule reads."""


def _read_levels(value: object) -> tuple[str, ...]:
    return tuple(dict.fromkeys(_read_level(one) for one in _listed(value)))


def _read_level(value: object) -> str:
    severity = severity_from_name(value) if isinstance(value, str) else None
    if severity is None:
        meant = did_you_mean(value, LEVELS) if isinstance(value, str) else None
        hint = f"; did you mean {meant}?" if meant else ""
        raise ValueError(f"must be one or several of {', '.join(LEVELS)} (got {shown(value)}{hint})")
    return LEVELS[severity]


def _read_services(value: object) -> tuple[str, ...]:
    names = _listed(value)
    for name in names:
        if not isinstance(name, str) or not name or "\0" in name:
            raise ValueError(f"must be the name of a service, or a list of names (got {shown(name)})")
    if len(names) > _MAX_NAMES:
        raise ValueError(f"must be at most {_MAX_NAMES} names (got {len(names)})")
    return tuple(str(name) for name in names)


def _listed(value: object) -> list[object]:
    values = value if isinstance(value, list) else [value]
    if not values:
        raise ValueError("must name something: leave the key out for all")
    return values


class RetentionRule(Section):
    """Rows of some levels or services that go earlier than the others."""

    # Upper bound: as for retention.days.
    days: Annotated[int, WholeNumber(1, 3650)]
    level: Annotated[tuple[str, ...], PlainValidator(_read_levels)] = ()
    service: Annotated[tuple[str, ...], PlainValidator(_read_services)] = ()

    @model_validator(mode="after")
    def _check_itself(self) -> RetentionRule:
        if not self.level and not self.service:
            raise ValueError("needs a level, a service or both; for all rows there is retention.days")
        return self


class RetentionConfig(Section):
    """When stored rows are dropped."""

    # Upper bound: ten years of daily partitions; null is the word for "never".
    days: Annotated[int | None, WholeNumber(1, 3650, nullable=True)] = 30
    # Lower bound: today is never dropped, and a day of a quiet system with its indexes is some MiB. Upper bound: more
    # than one PostgreSQL should hold.
    max_bytes: Annotated[int | None, Size(64 * MIB, 1024 * TIB, nullable=True)] = None
    # Upper bound: each rule looks at every day that is older than it.
    rules: Annotated[tuple[RetentionRule, ...], Field(max_length=32)] = ()

    @model_validator(mode="after")
    def _check_itself(self) -> RetentionConfig:
        consistency.check_retention_rules(self)
        return self
