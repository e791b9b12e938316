"""A silence as a client describes it → a silence, or an error that names the field."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from logstreamd.alerts.silence import Matcher
from logstreamd.config.problems import did_you_mean, shown
from logstreamd.query.errors import BadParameterError
from logstreamd.query.times import parse_time

__all__ = ["SilenceRequest", "TooManySilencesError", "read_silence", "read_silence_id"]

_KEYS = ("id", "matchers", "author", "comment", "starts_at", "ends_at")
_MATCHER_KEYS = ("name", "value", "is_regex", "is_equal")
_MOST_MATCHERS = 16  # as many as an alert usually has labels
_MAX_VALUE_CHARS = 1_024  # several times the longest value of a label
_MAX_AUTHOR_CHARS = 128
_MAX_COMMENT_CHARS = 1_024  # a paragraph; it is shown in lists
_LONGEST = timedelta(days=366)  # what nobody wants to hear of for longer is a rule to be deleted
_LABEL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]{0,127}")
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


class TooManySilencesError(Exception):
    """There are as many silences as may be."""


@dataclass(frozen=True, slots=True)
class SilenceRequest:
    """What is wanted.

    Attributes:
        id: the silence to replace; None: make another.
        matchers: at least one of them does not match an alert without labels.
        author: who wants it.
        comment: why.
        starts_at: from when on.
        ends_at: until when; in the future.
    """

    id: UUID | None
    matchers: tuple[Matcher, ...]
    author: str
    comment: str
    starts_at: datetime
    ends_at: datetime


def read_silence(body: object, now: datetime) -> SilenceRequest:
    """Read a request.

    Args:
        body: decoded JSON.
        now: the present; times may be relative to it (``+2h``).

    Raises:
        BadParameterError: it can't be used.
    """
    given = _object(body, "body", _KEYS)
    starts_at = _time(given, "starts_at", now) if "starts_at" in given else now
    ends_at = _time(given, "ends_at", now)
    if ends_at <= max(starts_at, now):
        raise BadParameterError("ends_at", f"must be after starts_at and in the future (got {ends_at.isoformat()})")
    if ends_at - now > _LONGEST:
        raise BadParameterError("ends_at", f"must be within {_LONGEST.days} days (got {ends_at.isoformat()})")
    return SilenceRequest(
        id=read_silence_id(_text(given, "id", 64)) if given.get("id") is not None else None,
        matchers=_matchers(given),
        author=_text(given, "author", _MAX_AUTHOR_CHARS),
        comment=_text(given, "comment", _MAX_COMMENT_CHARS),
        starts_at=starts_at,
        ends_at=ends_at,
    )


def read_silence_id(text: str) -> UUID:
    """Read a silence's name.

    Raises:
        BadParameterError: silences don't have such names.
    """
    try:
        return UUID(text)
    except ValueError:
        raise BadParameterError("id", f"must be a UUID (got {shown(text)})") from None


def _matchers(given: Mapping[str, Any]) -> tuple[Matcher, ...]:
    wanted = given.get("matchers")
    if not isinstance(wanted, list) or not 1 <= len(wanted) <= _MOST_MATCHERS:
        got = f"{len(wanted)}" if isinstance(wanted, list) else shown(wanted)
        raise BadParameterError("matchers", f"must be a list of 1..{_MOST_MATCHERS} matchers (got {got})")
    matchers = tuple(_matcher(one, f"matchers[{number}]") for number, one in enumerate(wanted))
    if all(matcher.matches({}) for matcher in matchers):
        raise BadParameterError("matchers", "must not match every alert: at least one must need a label")
    return matchers


def _matcher(wanted: object, field: str) -> Matcher:
    given = _object(wanted, field, _MATCHER_KEYS)
    name = given.get("name")
    if not isinstance(name, str) or _LABEL_NAME.fullmatch(name) is None:
        raise BadParameterError(f"{field}.name", f"must be the name of a label (got {shown(name)})")
    value = _text(given, "value", _MAX_VALUE_CHARS, inside=f"{field}.", empty=True)
    is_regex, is_equal = _flag(given, "is_regex", field, False), _flag(given, "is_equal", field, True)
    try:
        return Matcher(name, value, is_regex, is_equal)
    except ValueError as problem:
        raise BadParameterError(f"{field}.value", f"must be a regex as filters have it ({problem})") from problem


def _object(value: object, field: str, keys: tuple[str, ...]) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise BadParameterError(field, f"must be an object with {', '.join(keys)} (got {shown(value)})")
    for key in value:
        if key not in keys:
            near = did_you_mean(key, keys)
            hint = f"did you mean {near}?" if near else f"known: {', '.join(keys)}"
            raise BadParameterError(key if field == "body" else f"{field}.{key}", f"is not known ({hint})")
    return value


def _text(given: Mapping[str, Any], key: str, max_chars: int, *, inside: str = "", empty: bool = False) -> str:
    value = given.get(key)
    field = inside + key
    if key not in given:
        raise BadParameterError(field, "is required")
    if not isinstance(value, str) or not (empty or value.strip()):
        raise BadParameterError(field, f"must be a text (got {shown(value)})")
    if len(value) > max_chars:
        raise BadParameterError(field, f"must be at most {max_chars} characters (got {len(value)})")
    if _UNSTORABLE.search(value):
        raise BadParameterError(field, "must not hold a NUL character or half a surrogate pair")
    return value


def _flag(given: Mapping[str, Any], key: str, field: str, default: bool) -> bool:
    value = given.get(key, default)
    if not isinstance(value, bool):
        raise BadParameterError(f"{field}.{key}", f"must be true or false (got {shown(value)})")
    return value


def _time(given: Mapping[str, Any], key: str, now: datetime) -> datetime:
    return parse_time(_text(given, key, 64), key, now)
