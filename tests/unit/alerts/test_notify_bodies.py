"""What receivers get: the webhook's JSON and its signature, Alertmanager's, the text for chat and mail."""

from __future__ import annotations

import hashlib
import hmac
import json
import math
from dataclasses import replace
from datetime import UTC, datetime
from email import message_from_bytes
from email.policy import default as parsing
from pathlib import Path

import pytest
import structlog
from alerting import BEGIN, firing, message_of, resolved, sample

from logstreamd.alerts.message import Message
from logstreamd.alerts.notify.alertmanager import alert_document
from logstreamd.alerts.notify.email import mail
from logstreamd.alerts.notify.own_log import LogNotifier
from logstreamd.alerts.notify.signature import sign
from logstreamd.alerts.notify.slack import escaped, slack_text
from logstreamd.alerts.notify.text import sample_line, subject
from logstreamd.alerts.notify.webhook import MAX_BODY_BYTES, webhook_body

WITH_SAMPLE = replace(firing(service="checkout"), samples=(sample("card declined", trace_id="abc"),))


def test_the_webhook_body_has_the_shape_of_alertmanagers() -> None:
    other = resolved("ErrorBurst", service="cart", until=90)
    message = Message("ops", {"alertname": "ErrorBurst"}, (WITH_SAMPLE, other), truncated_alerts=2)
    assert json.loads(webhook_body(message, "http://host:8514")) == {
        "version": "4",
        "groupKey": '{}:{alertname="ErrorBurst"}',
        "truncatedAlerts": 2,
        "status": "firing",
        "receiver": "ops",
        "groupLabels": {"alertname": "ErrorBurst"},
        "commonLabels": {"alertname": "ErrorBurst"},
        "commonAnnotations": {"summary": "ErrorBurst happened"},
        "externalURL": "http://host:8514",
        "alerts": [
            {
                "status": "firing",
                "labels": {"alertname": "ErrorBurst", "service": "checkout"},
                "annotations": {
                    "summary": "ErrorBurst happened",
                    "samples": "2026-11-22T10:00:00Z error web-1 checkout card declined",
                },
                "startsAt": "2026-11-22T10:00:00.000Z",
                "endsAt": "0001-01-01T00:00:00Z",
                "generatorURL": "",
                "fingerprint": WITH_SAMPLE.fingerprint,
                "value": 12.0,
                "samples": [sample("card declined", trace_id="abc")],
            },
            {
                "status": "resolved",
                "labels": {"alertname": "ErrorBurst", "service": "cart"},
                "annotations": {"summary": "ErrorBurst happened"},
                "startsAt": "2026-11-22T10:00:00.000Z",
                "endsAt": "2026-11-22T10:01:30.000Z",
                "generatorURL": "",
                "fingerprint": other.fingerprint,
                "value": 12.0,
                "samples": [],
            },
        ],
    }


def test_a_message_with_nothing_but_resolved_alerts_is_resolved() -> None:
    assert json.loads(webhook_body(message_of(resolved()), ""))["status"] == "resolved"


def test_the_group_key_quotes_what_labels_hold() -> None:
    message = Message("ops", {"service": 'a"b\n', "alertname": "X"}, (firing(),))
    assert message.group_key == '{}:{alertname="X", service="a\\"b\\n"}'


def test_an_annotation_of_the_rule_is_not_replaced_by_the_samples() -> None:
    alert = replace(WITH_SAMPLE, annotations={"samples": "see the dashboard"})
    assert json.loads(webhook_body(message_of(alert), ""))["alerts"][0]["annotations"] == {
        "samples": "see the dashboard"
    }


def test_any_value_and_any_text_become_json() -> None:
    alert = replace(
        firing(service="\x00"),
        value=math.nan,
        samples=({"message": "\udc80", "attrs": {"n": 10**40, "t": datetime(2026, 1, 1, tzinfo=UTC)}},),
    )
    read = json.loads(webhook_body(message_of(alert), ""))
    assert read["alerts"][0]["value"] is None
    assert read["alerts"][0]["samples"][0]["attrs"] == {"n": 10**40, "t": "2026-01-01 00:00:00+00:00"}


def test_a_body_that_would_be_too_large_goes_without_samples() -> None:
    large = replace(firing(), samples=(sample("x" * 20_000),))
    small = webhook_body(message_of(*[large] * 20), "")
    assert len(json.loads(small)["alerts"][0]["samples"]) == 1
    message = message_of(*[large] * 100)
    body = webhook_body(message, "")
    assert len(body) <= MAX_BODY_BYTES
    assert [alert["samples"] for alert in json.loads(body)["alerts"]] == [[]] * 100


def test_the_signature_is_an_hmac_of_the_time_and_the_body() -> None:
    expected = hmac.new(b"the key", b'1795316400.{"a":1}', hashlib.sha256).hexdigest()
    assert sign("the key", b'{"a":1}', 1_795_316_400) == f"t=1795316400,v1={expected}"


def test_a_signature_fits_one_body_one_time_and_one_key() -> None:
    signatures = {sign(*what) for what in (("k", b"a", 1), ("k", b"b", 1), ("k", b"a", 2), ("l", b"a", 1))}
    assert len({one.split("v1=")[1] for one in signatures}) == 4


def test_the_signature_of_the_documentation_is_right() -> None:
    signature = sign("it is a secret", b'{"version":"4"}', 1_795_316_400)
    assert signature in (Path(__file__).parents[3] / "docs" / "alerts.md").read_text()


def test_for_alertmanager_an_alert_that_fires_ends_in_the_future() -> None:
    end = datetime(2026, 11, 22, 10, 4, tzinfo=UTC)
    assert alert_document(firing(), end)["endsAt"] == "2026-11-22T10:04:00.000Z"
    assert alert_document(resolved(until=90), end)["endsAt"] == "2026-11-22T10:01:30.000Z"
    assert alert_document(WITH_SAMPLE, end)["annotations"]["samples"].endswith("card declined")


def test_the_subject_says_what_how_many_and_whom_it_concerns() -> None:
    assert subject(message_of(WITH_SAMPLE)) == "[FIRING:1] ErrorBurst (service=checkout)"
    both = Message("ops", {}, (firing("A", service="x"), firing("B", service="x")), truncated_alerts=3)
    assert subject(both) == "[FIRING:5] A, B (service=x)"
    assert subject(message_of(resolved(), resolved())) == "[RESOLVED:2] ErrorBurst"
    many = Message("ops", {}, tuple(firing(f"Rule{n}") for n in range(6)))
    assert subject(many) == "[FIRING:6] Rule0, Rule1, Rule2 and 3 more"


def test_a_long_subject_is_cut() -> None:
    assert len(subject(message_of(firing("X" * 1000)))) == 200


@pytest.mark.parametrize("char", ["\r", "\n", "\x1b", "\x00", "\x9b", "\u202e", "\u2066", "\u2028", "\ud800"])
def test_nothing_of_a_log_line_controls_what_shows_it(char: str) -> None:
    line = sample_line(sample(f"before{char}after"))
    assert char not in line
    assert "before" in line
    assert "after" in line


def test_a_chat_shows_what_is_in_a_log_line_and_does_not_obey_it() -> None:
    assert escaped("<!channel> & <https://evil.example|click> `code` @here @ana") == (
        "&lt;!channel&gt; &amp; &lt;https://evil.example|click&gt; 'code' @\u200bhere @ana"
    )
    alert = replace(firing(), samples=(sample("```\n<!everyone> @channel"),))
    text = slack_text(message_of(alert))
    assert text.count("```") == 2
    assert "<!" not in text
    assert "@channel" not in text


def test_a_chat_message_is_short_and_says_what_it_leaves_out() -> None:
    alerts = [replace(firing(service=f"s{n}"), samples=(sample("x" * 900),)) for n in range(50)]
    text = slack_text(message_of(*alerts, truncated=7))
    shown = text.count("FIRING ErrorBurst")
    assert 1 <= shown < 50
    assert len(text) < 4_000
    assert text.endswith(f"… and {50 - shown + 7} more")


def test_one_alert_alone_is_always_shown() -> None:
    alert = replace(firing(), annotations={"summary": "y" * 10_000})
    assert "FIRING ErrorBurst" in slack_text(message_of(alert))


INJECTIONS = ["x\r\nBcc: eve@example.org", "x\nSubject: other", "x\r\n\r\nbody", "\u2028Bcc: eve@example.org"]


@pytest.mark.parametrize("text", INJECTIONS)
def test_no_label_adds_a_header_to_a_mail(text: str) -> None:
    alert = firing(text, service=text, host=text)
    sent = mail(message_of(alert), "from@example.org", ("a@example.org", "b@example.org"), BEGIN)
    read = message_from_bytes(sent.as_bytes(), policy=parsing)
    assert sorted(read.keys()) == sorted(sent.keys())
    assert read["Bcc"] is None
    assert read["To"] == "a@example.org, b@example.org"
    assert read["Subject"].startswith("[FIRING:1]")
    assert read.defects == []


def test_a_mail_is_text_with_the_lines_that_prove_it() -> None:
    sent = mail(message_of(WITH_SAMPLE, truncated=2), "from@example.org", ("a@example.org",), BEGIN)
    assert sent["Subject"] == "[FIRING:3] ErrorBurst (service=checkout)"
    assert sent["Auto-Submitted"] == "auto-generated"
    assert sent["X-Logstreamd-Fingerprints"] == WITH_SAMPLE.fingerprint
    assert sent.get_content_type() == "text/plain"
    assert sent.get_content() == (
        "FIRING ErrorBurst service=checkout\n"
        "  summary: ErrorBurst happened\n"
        "  since 2026-11-22 10:00:00 UTC, value 12\n"
        "  | 2026-11-22T10:00:00Z error web-1 checkout card declined\n"
        "\n"
        "and 2 more\n"
    )


def test_text_beyond_ascii_gets_through_a_mail() -> None:
    alert = replace(firing("Ärger", service="größe"), samples=(sample("naïve café ☕"),))
    sent = mail(message_of(alert), "a@example.org", ("b@example.org",), BEGIN)
    read = message_from_bytes(sent.as_bytes(), policy=parsing)
    assert read["Subject"] == "[FIRING:1] Ärger (service=größe)"
    assert "naïve café ☕" in read.get_content()


async def test_the_own_log_has_a_line_for_each_alert() -> None:
    with structlog.testing.capture_logs() as lines:
        await LogNotifier().send(message_of(WITH_SAMPLE, resolved(), truncated=4))
    assert [(line["log_level"], line["event"]) for line in lines] == [
        ("warning", "alert firing"),
        ("info", "alert resolved"),
        ("warning", "alerts not shown"),
    ]
    assert lines[0]["labels"] == "service=checkout"
    assert lines[0]["sample"].endswith("card declined")
    assert lines[2]["alerts"] == 4
