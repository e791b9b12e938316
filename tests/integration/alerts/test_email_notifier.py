"""Mail through a real SMTP server: plain, STARTTLS, TLS, with a login, refused, silent."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default as parsing
from pathlib import Path
from typing import Any

import pytest
import trustme
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from alerting import firing, message_of

from logstreamd.alerts.notify.email import EmailNotifier, MailServer
from logstreamd.alerts.notify.notifier import RejectedError, UnavailableError
from logstreamd.alerts.notify.secret import Secret

MESSAGE = message_of(firing("Ärger", service="checkout"))
RECIPIENTS = ("ana@example.org", "bo@example.org")


@dataclass
class Inbox:
    """What the server was given, and what it says to it."""

    mails: list[Envelope] = field(default_factory=list)
    tls: list[bool] = field(default_factory=list)
    recipient_answers: dict[str, str] = field(default_factory=dict)
    data_answer: str = "250 kept"

    async def handle_RCPT(  # noqa: N802 - the server's name for it
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        answer = self.recipient_answers.get(address, "250 fine")
        if answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        self.mails.append(envelope)
        self.tls.append(session.ssl is not None)
        return self.data_answer

    def mail(self) -> EmailMessage:
        """The only mail."""
        (envelope,) = self.mails
        assert isinstance(envelope.content, bytes)
        mail = message_from_bytes(envelope.content, policy=parsing)
        assert isinstance(mail, EmailMessage)
        return mail


@pytest.fixture
def inbox() -> Inbox:
    return Inbox()


@pytest.fixture
def ca_file(tmp_path: Path) -> Path:
    return tmp_path / "ca.pem"


@pytest.fixture
def server_tls(ca_file: Path) -> ssl.SSLContext:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(ca_file))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    return context


Serve = Callable[..., Awaitable[int]]


@pytest.fixture
async def serve(inbox: Inbox) -> AsyncIterator[Serve]:
    """Starts a server and returns its port."""
    servers = []

    async def start(*, ssl_context: ssl.SSLContext | None = None, **settings: Any) -> int:
        server = await asyncio.get_running_loop().create_server(
            lambda: SMTP(inbox, hostname="localhost", **settings), "127.0.0.1", 0, ssl=ssl_context
        )
        servers.append(server)
        return int(server.sockets[0].getsockname()[1])

    yield start
    for server in servers:
        server.close()
        await server.wait_closed()


async def send(port: int, *, timeout_seconds: float = 10, **settings: Any) -> None:
    server = MailServer(
        host="localhost",
        port=port,
        tls=settings.get("tls", "none"),
        ca_file=settings.get("ca_file"),
        username=settings.get("username", ""),
        password=settings.get("password"),
        timeout_seconds=timeout_seconds,
    )
    notifier = EmailNotifier(server, "logstreamd@example.org", RECIPIENTS)
    try:
        await notifier.send(MESSAGE)
    finally:
        await notifier.close()


async def test_a_mail_arrives_with_all_its_recipients(serve: Serve, inbox: Inbox) -> None:
    await send(await serve())
    assert inbox.mails[0].mail_from == "logstreamd@example.org"
    assert inbox.mails[0].rcpt_tos == list(RECIPIENTS)
    assert inbox.mail()["Subject"] == "[FIRING:1] Ärger (service=checkout)"
    assert "FIRING Ärger service=checkout" in inbox.mail().get_content()
    assert inbox.tls == [False]


async def test_starttls_encrypts_before_anything_is_said(
    serve: Serve, inbox: Inbox, server_tls: ssl.SSLContext, ca_file: Path
) -> None:
    await send(await serve(tls_context=server_tls, require_starttls=True), tls="starttls", ca_file=ca_file)
    assert inbox.tls == [True]


async def test_tls_from_the_first_byte(serve: Serve, inbox: Inbox, server_tls: ssl.SSLContext, ca_file: Path) -> None:
    await send(await serve(ssl_context=server_tls), tls="tls", ca_file=ca_file)
    assert len(inbox.mails) == 1


async def test_a_server_that_is_not_who_it_says_gets_nothing(
    serve: Serve, inbox: Inbox, server_tls: ssl.SSLContext
) -> None:
    with pytest.raises(UnavailableError, match="certificate"):
        await send(await serve(tls_context=server_tls, require_starttls=True), tls="starttls")
    assert inbox.mails == []


async def test_a_server_without_starttls_gets_nothing(serve: Serve, inbox: Inbox) -> None:
    with pytest.raises(UnavailableError, match="STARTTLS"):
        await send(await serve(), tls="starttls")
    assert inbox.mails == []


def _authenticate(_server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, login: object) -> AuthResult:
    assert isinstance(login, LoginPassword)
    return AuthResult(success=(login.login, login.password) == (b"ana", b"hunter2"), handled=False)


@pytest.fixture
async def guarded(serve: Serve, server_tls: ssl.SSLContext) -> int:
    """The port of a server that wants a login."""
    return await serve(tls_context=server_tls, authenticator=_authenticate, auth_required=True)


async def test_a_login(guarded: int, inbox: Inbox, ca_file: Path) -> None:
    password = Secret(None, "PASSWORD", {"PASSWORD": "hunter2"})
    await send(guarded, tls="starttls", ca_file=ca_file, username="ana", password=password)
    assert len(inbox.mails) == 1


async def test_a_wrong_password_is_no_and_is_not_shown(guarded: int, inbox: Inbox, ca_file: Path) -> None:
    password = Secret(None, "PASSWORD", {"PASSWORD": "hunter3"})
    with pytest.raises(RejectedError, match="SMTP 535") as problem:
        await send(guarded, tls="starttls", ca_file=ca_file, username="ana", password=password)
    assert "hunter3" not in str(problem.value)
    assert inbox.mails == []


async def test_a_password_that_has_gone_is_worth_another_attempt(guarded: int, ca_file: Path) -> None:
    with pytest.raises(UnavailableError, match="not set"):
        await send(guarded, tls="starttls", ca_file=ca_file, username="ana", password=Secret(None, "PASSWORD", {}))


@pytest.mark.parametrize(("answer", "error"), [("451 later", UnavailableError), ("554 never", RejectedError)])
async def test_what_the_server_says_to_the_mail_decides(
    serve: Serve, inbox: Inbox, answer: str, error: type[Exception]
) -> None:
    inbox.data_answer = answer
    with pytest.raises(error, match=f"SMTP {answer[:3]}: {answer[4:]}"):
        await send(await serve())


@pytest.mark.parametrize(("answer", "error"), [("450 full", UnavailableError), ("550 unknown", RejectedError)])
async def test_when_every_recipient_is_refused_the_answer_decides(
    serve: Serve, inbox: Inbox, answer: str, error: type[Exception]
) -> None:
    inbox.recipient_answers = dict.fromkeys(RECIPIENTS, answer)
    with pytest.raises(error, match="no recipient was accepted"):
        await send(await serve())


async def test_one_refused_recipient_does_not_keep_the_mail_from_the_others(serve: Serve, inbox: Inbox) -> None:
    inbox.recipient_answers = {RECIPIENTS[0]: "550 unknown"}
    await send(await serve())
    assert inbox.mails[0].rcpt_tos == [RECIPIENTS[1]]


async def test_nobody_there_is_worth_another_attempt() -> None:
    with pytest.raises(UnavailableError, match="ConnectionRefusedError"):
        await send(1)


@pytest.fixture
async def silent() -> AsyncIterator[tuple[int, asyncio.Event]]:
    """The port of a server that greets and then says a comma now and then, and an event: the client has gone."""
    gone = asyncio.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 hello\r\n")
        await reader.readline()
        ended = asyncio.ensure_future(reader.read())
        while not ended.done():  # each of them restarts the time-out of a read
            writer.write(b"250-,\r\n")
            await asyncio.wait([ended], timeout=0.02)
        gone.set()
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1], gone
    server.close()
    await server.wait_closed()


async def wait_for_threads_to_end(name: str) -> None:
    while any(thread.name.startswith(name) for thread in threading.enumerate()):
        await asyncio.sleep(0.01)


async def test_a_server_that_talks_on_and_on_is_left_when_the_time_is_up(silent: tuple[int, asyncio.Event]) -> None:
    port, gone = silent
    with pytest.raises(UnavailableError, match=r"no answer within 0\.3 s"):
        await send(port, timeout_seconds=0.3)
    await gone.wait()
    await wait_for_threads_to_end("alerts email")


@pytest.mark.parametrize("moments", [0, 1, 50])
async def test_a_cancelled_mail_frees_its_thread(silent: tuple[int, asyncio.Event], moments: int) -> None:
    port, _ = silent
    sending = asyncio.create_task(send(port, timeout_seconds=30))
    for _ in range(moments):
        await asyncio.sleep(0.001)  # any moment will do: before it connects, while it does, while it listens
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    await wait_for_threads_to_end("alerts email")
