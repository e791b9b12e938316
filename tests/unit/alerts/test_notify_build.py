"""From the configuration to notifiers: secrets are looked for at the start, and never shown."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from logstreamd.alerts.group import Policy
from logstreamd.alerts.notify.build import Channel, NotifierError, build_channel
from logstreamd.alerts.notify.secret import Secret, SecretError
from logstreamd.config import AlertsConfig

URL = "https://hooks.example.org/hunter2"


def build(environ: dict[str, str] | None = None, **settings: Any) -> Channel:
    alerts = AlertsConfig(notifiers={"ops": settings})  # type: ignore[dict-item]
    return build_channel(alerts.notifiers["ops"], environ or {}, external_url="http://here")


def test_every_type_is_built() -> None:
    mail = {"server": "mail.example.org:25", "sender": "a@example.org", "recipients": ["b@example.org"]}
    assert build(type="log").type == "log"
    assert build(type="webhook", url=URL).type == "webhook"
    assert build(type="slack", url=URL).type == "slack"
    assert build(type="email", **mail).type == "email"
    assert build(type="alertmanager", urls=[URL]).type == "alertmanager"


def test_the_grouping_of_the_configuration_is_the_policy() -> None:
    channel = build(
        type="slack",
        url=URL,
        group_by=["service"],
        group_wait="1s",
        group_interval="2s",
        repeat_interval="3m",
        max_messages_per_minute=5,
        max_alerts=6,
        max_age="7m",
        send_resolved=False,
    )
    assert channel.policy == Policy(("service",), 1, 2, 180, 5, 6, 420, send_resolved=False)


def test_the_defaults_of_configuration_and_policy_agree() -> None:
    assert build(type="webhook", url=URL).policy == Policy()


def test_alertmanager_is_told_everything_and_the_log_everything_once() -> None:
    resent, logged = build(type="alertmanager", urls=[URL], resend_delay="30s").policy, build(type="log").policy
    assert (resent.group_by, resent.max_alerts, resent.repeat_interval_seconds) == (None, None, 30)
    assert resent.repeat_resolved_seconds == 900
    assert (logged.group_by, logged.max_alerts, logged.repeat_interval_seconds) == (None, 50, math.inf)


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"type": "webhook", "url_env": "NOWHERE"}, "environment variable NOWHERE is empty or not set"),
        ({"type": "slack", "url_file": "/nowhere/url"}, "/nowhere/url cannot be read: No such file"),
        ({"type": "webhook", "url": URL, "secret_env": "NOWHERE"}, "environment variable NOWHERE is empty"),
        ({"type": "webhook", "url": URL, "ca_file": "/nowhere/ca.pem"}, "No such file"),
        ({"type": "slack", "url_env": "NO_URL"}, "the URL in NO_URL must be a URL such as"),
        ({"type": "slack", "url_env": "PLAIN_URL"}, "the URL in PLAIN_URL must be https"),
    ],
)
def test_what_is_missing_is_said_at_the_start(settings: dict[str, Any], problem: str) -> None:
    environ = {"NO_URL": "hunter2", "PLAIN_URL": "http://a.example/hunter2"}
    with pytest.raises(NotifierError) as error:
        build(environ, **settings)
    assert problem in str(error.value)
    assert "hunter2" not in str(error.value)


def test_a_secret_file_is_read_anew_each_time(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("first\n")
    secret = Secret(file, "", {})
    assert secret.read() == "first"
    file.write_text("second")
    assert secret.read() == "second"


def test_a_secret_in_the_environment_is_not_in_its_repr() -> None:
    secret = Secret(None, "KEY", {"KEY": "hunter2"})
    assert secret.read() == "hunter2"
    assert "hunter2" not in repr(secret)


@pytest.mark.parametrize(
    ("content", "problem"), [(b"", "empty"), (b"\n", "empty"), (b"a\nb", "one line"), (b"x" * 4097, "larger")]
)
def test_what_is_no_secret_is_refused(tmp_path: Path, content: bytes, problem: str) -> None:
    file = tmp_path / "key"
    file.write_bytes(content)
    with pytest.raises(SecretError, match=problem):
        Secret(file, "", {}).read()


def test_a_secret_of_the_largest_size_is_read(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_bytes(b"x" * 4096)
    assert len(Secret(file, "", {}).read()) == 4096
