"""Webhook and chat against real servers that misbehave; what of it is worth another attempt."""

from __future__ import annotations

import hashlib
import hmac
import re
import ssl
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
import trustme
from aiohttp import web
from alerting import firing, message_of
from otlp_receiver import OtlpReceiver, traced
from webhook_receiver import WebhookReceiver, hang, megabytes, says

from logstreamd.alerts.notify.http_client import HttpClient
from logstreamd.alerts.notify.notifier import RejectedError, UnavailableError
from logstreamd.alerts.notify.secret import Secret
from logstreamd.alerts.notify.slack import SlackNotifier
from logstreamd.alerts.notify.webhook import WebhookNotifier, webhook_body

MESSAGE = message_of(firing(service="checkout"))


def make_client(*, allow_private: bool = True, timeout_seconds: float = 5, ca_file: Path | None = None) -> HttpClient:
    return HttpClient(
        allow_private=allow_private,
        timeout_seconds=timeout_seconds,
        connect_timeout_seconds=min(5, timeout_seconds),
        ca_file=ca_file,
    )


@pytest.fixture
async def client() -> AsyncIterator[HttpClient]:
    client = make_client()
    yield client
    await client.close()


@pytest.fixture
def webhook(client: HttpClient, receiver: WebhookReceiver) -> WebhookNotifier:
    return WebhookNotifier(client, lambda: receiver.url, None, "http://here")


async def test_a_message_arrives_as_it_was_made(webhook: WebhookNotifier, receiver: WebhookReceiver) -> None:
    await webhook.send(MESSAGE)
    (request,) = receiver.received
    assert request.body == webhook_body(MESSAGE, "http://here")
    assert request.headers["Content-Type"] == "application/json"
    assert request.headers["User-Agent"].startswith("logstreamd/")
    assert "X-Logstreamd-Signature" not in request.headers
    assert "traceparent" not in request.headers


async def test_while_traces_are_on_the_receiver_is_told_which_span_it_is_in(
    webhook: WebhookNotifier, receiver: WebhookReceiver
) -> None:
    receiver.answers = [says(200), says(503)]
    async with OtlpReceiver() as traces:
        with traced(traces.endpoint) as tracer:
            await webhook.send(MESSAGE)
            with pytest.raises(UnavailableError):
                await webhook.send(MESSAGE)
            await tracer.stop(10)
    delivered, refused = sorted(traces.named("POST"), key=lambda span: span.start_ns)
    version, trace_id, span_id, flags = receiver.received[0].headers["traceparent"].split("-")
    assert (version, trace_id, span_id, int(flags) & 1) == ("00", delivered.trace_id, delivered.span_id, 1)
    assert (delivered.kind, delivered.failed) == ("client", False)
    assert delivered.attributes == {
        "http.request.method": "POST",
        "server.address": "127.0.0.1",
        "http.response.status_code": 200,
    }
    assert (refused.failed, refused.attributes["http.response.status_code"]) == (True, 503)
    assert "/hook" not in repr(traces.spans)


async def test_a_signed_message_can_be_verified_and_is_signed_anew_each_time(
    client: HttpClient, receiver: WebhookReceiver, tmp_path: Path
) -> None:
    file = tmp_path / "key"
    file.write_text("the key\n")
    webhook = WebhookNotifier(client, lambda: receiver.url, Secret(file, "", {}), "")
    await webhook.send(MESSAGE)
    file.write_text("the next key\n")
    await webhook.send(MESSAGE)
    for request, key in zip(receiver.received, (b"the key", b"the next key"), strict=True):
        match = re.fullmatch(r"t=(\d+),v1=([0-9a-f]{64})", request.headers["X-Logstreamd-Signature"])
        assert match is not None
        expected = hmac.new(key, match[1].encode() + b"." + request.body, hashlib.sha256).hexdigest()
        assert match[2] == expected
        assert abs(int(match[1]) - time.time()) < 300


async def test_a_key_that_has_gone_is_worth_another_attempt(
    client: HttpClient, receiver: WebhookReceiver, tmp_path: Path
) -> None:
    webhook = WebhookNotifier(client, lambda: receiver.url, Secret(tmp_path / "none", "", {}), "")
    with pytest.raises(UnavailableError, match="cannot be read"):
        await webhook.send(MESSAGE)
    assert receiver.received == []


async def test_a_chat_gets_text(client: HttpClient, receiver: WebhookReceiver) -> None:
    await SlackNotifier(client, lambda: receiver.url).send(MESSAGE)
    assert receiver.received[0].json["text"].startswith("*[FIRING:1] ErrorBurst (service=checkout)*\n")


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 599])
async def test_not_now_is_worth_another_attempt(
    webhook: WebhookNotifier, receiver: WebhookReceiver, status: int
) -> None:
    receiver.answers = [says(status, "come again")]
    with pytest.raises(UnavailableError, match=f"HTTP {status}: come again"):
        await webhook.send(MESSAGE)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 413, 422])
async def test_no_is_no(webhook: WebhookNotifier, receiver: WebhookReceiver, status: int) -> None:
    receiver.answers = [says(status, "not this")]
    with pytest.raises(RejectedError, match=f"HTTP {status}: not this"):
        await webhook.send(MESSAGE)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("target", ["http://169.254.169.254/latest/meta-data/", "/elsewhere", "//127.0.0.1:1/"])
async def test_a_redirect_is_not_followed(
    webhook: WebhookNotifier, receiver: WebhookReceiver, status: int, target: str
) -> None:
    receiver.answers = [says(status, Location=target)]
    with pytest.raises(RejectedError, match=f"HTTP {status}"):
        await webhook.send(MESSAGE)
    assert len(receiver.received) == 1


@pytest.mark.parametrize(
    ("header", "seconds"), [("120", 120), ("", 0), ("soon", 0), ("-5", 0), ("1" * 400, 111_111_111)]
)
async def test_the_receiver_says_how_long_to_wait(
    webhook: WebhookNotifier, receiver: WebhookReceiver, header: str, seconds: float
) -> None:
    receiver.answers = [says(429, Retry_After=header)]
    with pytest.raises(UnavailableError) as problem:
        await webhook.send(MESSAGE)
    assert problem.value.retry_after_seconds == seconds


async def test_the_receiver_may_name_a_date(webhook: WebhookNotifier, receiver: WebhookReceiver) -> None:
    receiver.answers = [says(503, Retry_After=format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True))]
    with pytest.raises(UnavailableError) as problem:
        await webhook.send(MESSAGE)
    assert 3_500 < problem.value.retry_after_seconds <= 3_600


async def test_a_receiver_that_is_down_is_worth_another_attempt(
    webhook: WebhookNotifier, receiver: WebhookReceiver
) -> None:
    await receiver.stop()
    with pytest.raises(UnavailableError, match="no connection"):
        await webhook.send(MESSAGE)
    await receiver.start()
    await webhook.send(MESSAGE)
    assert len(receiver.received) == 1


async def test_a_receiver_that_never_answers_is_given_up(receiver: WebhookReceiver) -> None:
    receiver.answers = [hang]
    client = make_client(timeout_seconds=0.2)
    with pytest.raises(UnavailableError, match=r"no answer within 0\.2 s"):
        await client.post(receiver.url, b"{}", {})
    await client.close()


async def test_of_megabytes_of_an_answer_a_sentence_is_read(
    webhook: WebhookNotifier, receiver: WebhookReceiver
) -> None:
    receiver.answers = [megabytes]
    with pytest.raises(UnavailableError) as problem:
        await webhook.send(MESSAGE)
    assert len(str(problem.value)) <= 320


async def test_a_compressed_answer_is_not_inflated(webhook: WebhookNotifier, receiver: WebhookReceiver) -> None:
    receiver.answers = [says(500, "no gzip at all", Content_Encoding="gzip")]
    with pytest.raises(UnavailableError, match="no gzip at all"):
        await webhook.send(MESSAGE)


async def test_what_is_no_http_is_worth_another_attempt(webhook: WebhookNotifier, receiver: WebhookReceiver) -> None:
    async def garbage(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.write(b"220 smtp.example.org ESMTP\r\n" * 10)
        request.transport.close()
        return web.Response()

    receiver.answers = [garbage]
    with pytest.raises(UnavailableError, match="no answer: "):
        await webhook.send(MESSAGE)


@pytest.mark.parametrize("answer", [says(500, "x"), hang, says(404)])
async def test_no_problem_names_the_path_of_the_url(receiver: WebhookReceiver, answer: object) -> None:
    receiver.answers = [answer]  # type: ignore[list-item]
    client = make_client(timeout_seconds=0.2)
    with pytest.raises((UnavailableError, RejectedError)) as problem:
        await client.post(f"{receiver.url}/hunter2", b"{}", {})
    await client.close()
    assert "hunter2" not in str(problem.value)


async def test_no_problem_of_connecting_names_the_path_of_the_url(client: HttpClient) -> None:
    for url in ("http://127.0.0.1:1/hunter2", "http://no-such-host.invalid/hunter2", "http://[::1]:1/hunter2"):
        with pytest.raises(UnavailableError) as problem:
            await client.post(url, b"{}", {})
        assert "hunter2" not in str(problem.value)


async def test_tls_is_checked_against_the_certificates_that_are_trusted(tmp_path: Path) -> None:
    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    ca_file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(ca_file))
    taken: list[bytes] = []

    async def take(request: web.Request) -> web.Response:
        taken.append(await request.read())
        return web.Response()

    application = web.Application()
    application.router.add_post("/", take)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    port = runner.addresses[0][1]
    trusting, doubting = make_client(ca_file=ca_file), make_client()
    with pytest.raises(UnavailableError, match=r"no connection: .*certificate"):
        await doubting.post(f"https://127.0.0.1:{port}/", b"secret", {})
    await trusting.post(f"https://127.0.0.1:{port}/", b"secret", {})
    assert taken == [b"secret"]
    await trusting.close()
    await doubting.close()
    await runner.cleanup()
