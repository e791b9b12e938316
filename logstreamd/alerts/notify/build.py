"""The configuration's notifiers → notifiers and their policies."""

from __future__ import annotations

import math
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from logstreamd.alerts.group import Policy
from logstreamd.alerts.mailbox import KEEP_RESOLVED_SECONDS
from logstreamd.alerts.notify.alertmanager import AlertmanagerNotifier
from logstreamd.alerts.notify.email import EmailNotifier, MailServer
from logstreamd.alerts.notify.http_client import HttpClient
from logstreamd.alerts.notify.notifier import Notifier
from logstreamd.alerts.notify.own_log import LogNotifier
from logstreamd.alerts.notify.secret import Secret, SecretError
from logstreamd.alerts.notify.slack import SlackNotifier
from logstreamd.alerts.notify.webhook import WebhookNotifier
from logstreamd.config import notifiers as config
from logstreamd.config.receiver_url import ReceiverUrl

__all__ = ["Channel", "NotifierError", "build_channel"]


class NotifierError(Exception):
    """A notifier cannot be set up: its secret or its certificates are not there."""


@dataclass(frozen=True, slots=True)
class Channel:
    """A notifier and how alerts are gathered for it."""

    type: str
    notifier: Notifier
    policy: Policy


def build_channel(section: config.NotifierSection, environ: Mapping[str, str], *, external_url: str) -> Channel:
    """Build what an entry of the section ``alerts.notifiers`` describes.

    Args:
        section: the entry.
        environ: where secrets may be.
        external_url: where this daemon's page is, for receivers that show it.

    Raises:
        NotifierError: something that it needs is missing. The message never holds a secret.
    """
    try:
        return _build(section, environ, external_url)
    except (SecretError, OSError, ssl.SSLError) as error:
        raise NotifierError(str(error)) from error


def _build(section: config.NotifierSection, environ: Mapping[str, str], external_url: str) -> Channel:
    match section:
        case config.WebhookNotifier():
            key = _secret(Secret(section.secret_file, section.secret_env, environ))
            notifier: Notifier = WebhookNotifier(_client(section), _url(section, environ), key, external_url)
            return Channel(section.type, notifier, _grouped(section))
        case config.SlackNotifier():
            return Channel(section.type, SlackNotifier(_client(section), _url(section, environ)), _grouped(section))
        case config.EmailNotifier():
            return Channel(section.type, _email(section, environ), _grouped(section))
        case config.AlertmanagerNotifier():
            delay = section.resend_delay
            notifier = AlertmanagerNotifier(_client(section), section.urls, resend_delay_seconds=delay)
            return Channel(section.type, notifier, _ungrouped(section, repeat_seconds=delay, all_alerts=True))
        case config.LogNotifier():
            policy = _ungrouped(section, repeat_seconds=math.inf, all_alerts=False)
            return Channel(section.type, LogNotifier(), policy)
    raise AssertionError(f"a notifier without a module: {type(section).__name__}")


def _client(section: config.HttpSection) -> HttpClient:
    return HttpClient(
        allow_private=section.allow_private,
        timeout_seconds=section.timeout_seconds,
        connect_timeout_seconds=section.connect_timeout_seconds,
        ca_file=section.ca_file,
    )


def _secret(secret: Secret) -> Secret | None:
    """Return a secret that is there, or None where none is configured."""
    if secret.file is None and not secret.variable:
        return None
    secret.read()
    return secret


def _url(section: config.WebhookNotifier | config.SlackNotifier, environ: Mapping[str, str]) -> Callable[[], str]:
    if section.url is not None:
        text = section.url.text
        return lambda: text
    secret = Secret(section.url_file, section.url_env, environ)

    def read() -> str:
        try:
            url = ReceiverUrl.parse(secret.read())
        except ValueError as error:
            raise SecretError(f"the URL in {secret.file or secret.variable} {error}") from error
        if not url.encrypted and not section.allow_private:
            raise SecretError(f"the URL in {secret.file or secret.variable} must be https; http needs allow_private")
        return url.text

    read()
    return read


def _email(section: config.EmailNotifier, environ: Mapping[str, str]) -> EmailNotifier:
    server = MailServer(
        host=section.server.host,
        port=section.server.port,
        tls=section.tls,
        ca_file=section.ca_file,
        username=section.username,
        password=_secret(Secret(section.password_file, section.password_env, environ)),
        timeout_seconds=section.timeout_seconds,
    )
    return EmailNotifier(server, section.sender, section.recipients)


def _grouped(section: config.GroupedSection) -> Policy:
    return Policy(
        group_by=section.group_by,
        group_wait_seconds=section.group_wait,
        group_interval_seconds=section.group_interval,
        repeat_interval_seconds=section.repeat_interval,
        messages_per_minute=section.max_messages_per_minute,
        max_alerts=section.max_alerts,
        max_age_seconds=section.max_age,
        send_resolved=section.send_resolved,
    )


def _ungrouped(section: config.NotifierSection, *, repeat_seconds: float, all_alerts: bool) -> Policy:
    """Return the policy of a receiver that is told every alert at once and groups by itself, if it wants to."""
    return Policy(
        group_by=None,
        group_wait_seconds=0.0,
        group_interval_seconds=0.0,
        repeat_interval_seconds=repeat_seconds,
        messages_per_minute=None,
        max_alerts=None if all_alerts else _LOGGED_ALERTS,
        max_age_seconds=section.max_age,
        send_resolved=section.send_resolved,
        repeat_resolved_seconds=KEEP_RESOLVED_SECONDS if all_alerts else 0.0,
    )


_LOGGED_ALERTS = 50  # a flood of alerts must not become a flood of lines
