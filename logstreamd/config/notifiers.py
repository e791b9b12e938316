"""How alerts are told, one model for each type of notifier.

Secrets (a signing key, a password, a URL that is one) come from a file or from an environment variable; only their
whereabouts are configuration.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal, Self, TypeAlias

from pydantic import Field, PlainValidator, model_validator

from logstreamd.config.address import ListenAddress
from logstreamd.config.consistency import Contradiction, ContradictionError
from logstreamd.config.names import read_file_path
from logstreamd.config.notifier_values import (
    read_label,
    read_mailbox,
    read_server,
    read_switch,
    read_user,
    read_variable,
)
from logstreamd.config.problems import KeyPath
from logstreamd.config.receiver_url import ReceiverUrl
from logstreamd.config.section import Section
from logstreamd.config.units import Duration, WholeNumber, duration_text

__all__ = [
    "AlertmanagerNotifier",
    "EmailNotifier",
    "GroupedSection",
    "HttpSection",
    "LogNotifier",
    "Notifier",
    "NotifierSection",
    "SlackNotifier",
    "WebhookNotifier",
]

_DAY_SECONDS = 86_400.0

_SecretFile: TypeAlias = Annotated[Path | None, PlainValidator(read_file_path)]
_SecretVariable: TypeAlias = Annotated[str, PlainValidator(read_variable)]
_Switch: TypeAlias = Annotated[bool, PlainValidator(read_switch)]
_Mailbox: TypeAlias = Annotated[str, PlainValidator(read_mailbox)]
_Label: TypeAlias = Annotated[str, PlainValidator(read_label)]


class NotifierSection(Section):
    """What every notifier has."""

    send_resolved: _Switch = True
    # Lower bound: a receiver must be allowed to restart. Upper bound: nobody acts on an alert of last week.
    max_age: Annotated[float, Duration(60, 7 * _DAY_SECONDS, bare=False)] = _DAY_SECONDS

    @model_validator(mode="after")
    def _check_itself(self) -> Self:
        found = tuple(self._contradictions())
        if found:
            raise ContradictionError(*found)
        return self

    def _contradictions(self) -> Iterator[Contradiction]:
        """Yield what cannot hold together, with paths that begin at the notifier."""
        yield from ()


class GroupedSection(NotifierSection):
    """Alerts that are gathered into messages for people."""

    # Upper bound: labels beyond that describe one alert, not a group.
    group_by: Annotated[tuple[_Label, ...], Field(max_length=16)] = ("alertname",)
    # Upper bounds: an hour before the first word is no alert; a day between two words about a change is silence.
    group_wait: Annotated[float, Duration(0, 3600, bare=False)] = 10.0
    group_interval: Annotated[float, Duration(1, _DAY_SECONDS, bare=False)] = 60.0
    # Lower bound: a shorter one is the rate limit's business. Upper bound: a month is never.
    repeat_interval: Annotated[float, Duration(60, 30 * _DAY_SECONDS, bare=False)] = 14_400.0
    # Upper bound: one a second is more than anybody reads.
    max_messages_per_minute: Annotated[int, WholeNumber(1, 60)] = 4
    # Upper bound: with ten lines each such a message is some megabytes.
    max_alerts: Annotated[int, WholeNumber(1, 1000)] = 50

    def _contradictions(self) -> Iterator[Contradiction]:
        yield from super()._contradictions()
        if self.repeat_interval < self.group_interval:
            yield Contradiction(
                (("repeat_interval",), ("group_interval",)),
                f"repeat_interval ({duration_text(self.repeat_interval)}) must be at least "
                f"group_interval ({duration_text(self.group_interval)})",
            )


class HttpSection(NotifierSection):
    """How an HTTP receiver is reached."""

    allow_private: _Switch = False
    """Also connect to private, loopback, link-local and multicast addresses, and without TLS."""
    # Lower bound: a hand-shake across a continent. Upper bound: who needs longer hangs.
    timeout_seconds: Annotated[float, Duration(0.5, 300)] = 10.0
    connect_timeout_seconds: Annotated[float, Duration(0.5, 60)] = 5.0
    ca_file: Annotated[Path | None, PlainValidator(read_file_path)] = None
    """Certificates to trust instead of the system's."""

    def _contradictions(self) -> Iterator[Contradiction]:
        yield from super()._contradictions()
        if self.timeout_seconds < self.connect_timeout_seconds:
            yield Contradiction(
                (("timeout_seconds",), ("connect_timeout_seconds",)),
                f"timeout_seconds ({duration_text(self.timeout_seconds)}) must be at least "
                f"connect_timeout_seconds ({duration_text(self.connect_timeout_seconds)})",
            )

    def _check_encrypted(self, path: KeyPath, url: ReceiverUrl | None) -> Iterator[Contradiction]:
        if url is not None and not url.encrypted and not self.allow_private:
            yield Contradiction(
                (path,), "must be https; http needs allow_private: true, for receivers in the own network"
            )


class _SecretUrlSection(HttpSection):
    """A receiver whose URL may be a secret."""

    url: ReceiverUrl | None = None
    url_file: _SecretFile = None
    url_env: _SecretVariable = ""

    def _contradictions(self) -> Iterator[Contradiction]:
        yield from super()._contradictions()
        yield from self._check_encrypted(("url",), self.url)
        if sum(map(bool, (self.url, self.url_file, self.url_env))) != 1:
            paths = (("url_env",), ("url_file",), ("url",))
            yield Contradiction(paths, "exactly one of url, url_file and url_env is required")


class LogNotifier(NotifierSection):
    """The daemon's own log, one line for each alert."""

    type: Literal["log"] = "log"


class WebhookNotifier(GroupedSection, _SecretUrlSection):
    """A POST of JSON in the shape of Alertmanager's webhook, version 4."""

    type: Literal["webhook"] = "webhook"
    secret_file: _SecretFile = None
    secret_env: _SecretVariable = ""

    def _contradictions(self) -> Iterator[Contradiction]:
        yield from super()._contradictions()
        if self.secret_file and self.secret_env:
            yield Contradiction((("secret_env",),), "secret_file says already where it is")


class AlertmanagerNotifier(HttpSection):
    """Alertmanager's API, version 2. It groups and repeats by itself."""

    type: Literal["alertmanager"] = "alertmanager"
    # Every one of them gets every alert. Upper bound: the members of a cluster.
    urls: Annotated[tuple[ReceiverUrl, ...], Field(min_length=1, max_length=8)]
    # Lower bound: the shortest interval of rules. Upper bound: Alertmanager keeps an alert alive for four of them.
    resend_delay: Annotated[float, Duration(1, 3600, bare=False)] = 60.0

    def _contradictions(self) -> Iterator[Contradiction]:
        yield from super()._contradictions()
        for index, url in enumerate(self.urls):
            yield from self._check_encrypted(("urls", index), url)


class EmailNotifier(GroupedSection):
    """Mail by SMTP."""

    type: Literal["email"] = "email"
    server: Annotated[ListenAddress, PlainValidator(read_server)]
    tls: Literal["starttls", "tls", "none"] = "starttls"
    ca_file: Annotated[Path | None, PlainValidator(read_file_path)] = None
    username: Annotated[str, PlainValidator(read_user)] = ""
    password_file: _SecretFile = None
    password_env: _SecretVariable = ""
    sender: _Mailbox
    # Upper bound: RFC 5321 section 4.5.3.1.8 obliges a server to take 100.
    recipients: Annotated[tuple[_Mailbox, ...], Field(min_length=1, max_length=100)]
    # Lower bound: four exchanges across a continent. Upper bound: who needs longer hangs.
    timeout_seconds: Annotated[float, Duration(1, 300)] = 30.0

    def _contradictions(self) -> Iterator[Contradiction]:
        yield from super()._contradictions()
        if self.password_file and self.password_env:
            yield Contradiction((("password_env",),), "password_file says already where it is")
        has_password = bool(self.password_file or self.password_env)
        if has_password != bool(self.username):
            paths = (("username",), ("password_file",), ("password_env",))
            yield Contradiction(paths, "a login is a username and one of password_file and password_env")
        elif has_password and self.tls == "none":
            yield Contradiction((("tls",),), "a password is not sent without TLS: tls must be starttls or tls")


class SlackNotifier(GroupedSection, _SecretUrlSection):
    """An incoming webhook as Slack has them, and Mattermost, Rocket.Chat and others."""

    type: Literal["slack"] = "slack"


Notifier: TypeAlias = Annotated[
    LogNotifier | WebhookNotifier | AlertmanagerNotifier | EmailNotifier | SlackNotifier, Field(discriminator="type")
]
