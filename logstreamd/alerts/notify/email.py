"""Mail by SMTP: plain text, one mail to all recipients.

The standard library speaks SMTP on a thread of the notifier's own. When the time is up the connection is shut under it,
so that a server that never answers holds neither the thread nor anybody else.
"""

from __future__ import annotations

import asyncio
import smtplib
import socket
import ssl
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, make_msgid
from pathlib import Path
from typing import Any, Literal, TypeAlias

import structlog

from logstreamd.alerts.message import Message
from logstreamd.alerts.notify.notifier import RejectedError, UnavailableError
from logstreamd.alerts.notify.secret import Secret, SecretError
from logstreamd.alerts.notify.text import alert_lines, sample_line, subject

__all__ = ["EmailNotifier", "MailServer", "mail"]

_log = structlog.get_logger(__name__)

_OnConnection: TypeAlias = Callable[[smtplib.SMTP, socket.socket], None]

_NAMED_FINGERPRINTS = 20  # a header that stays below the 998 octets of a line


@dataclass(frozen=True, slots=True)
class MailServer:
    """Who takes mail for delivery, and how it is spoken to."""

    host: str
    port: int
    tls: Literal["starttls", "tls", "none"]
    ca_file: Path | None
    username: str
    password: Secret | None
    timeout_seconds: float


class EmailNotifier:
    """Sends mail.

    Args:
        server: by whom.
        sender: the mailbox it comes from.
        recipients: the mailboxes it goes to.
    """

    def __init__(self, server: MailServer, sender: str, recipients: tuple[str, ...]) -> None:
        self._server = server
        self._sender = sender
        self._recipients = recipients
        self._tls = ssl.create_default_context(cafile=str(server.ca_file) if server.ca_file else None)
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="alerts email")

    async def send(self, message: Message) -> None:
        """Deliver a message."""
        session = _Session(self._server, self._tls)
        text = mail(message, self._sender, self._recipients, datetime.now(UTC))
        sending = asyncio.get_running_loop().run_in_executor(self._thread, session.send, text)
        try:
            async with asyncio.timeout(self._server.timeout_seconds):
                await asyncio.shield(sending)
        except TimeoutError:
            raise UnavailableError(f"no answer within {self._server.timeout_seconds:g} s") from None
        finally:
            session.abort()
            sending.add_done_callback(_forget_outcome)

    async def close(self) -> None:
        """Let the thread end."""
        self._thread.shutdown(wait=False)


def _forget_outcome(sending: asyncio.Future[None]) -> None:
    """Take note of how an abandoned attempt ended, so that nobody asks for it."""
    if not sending.cancelled():
        sending.exception()


class _Session:
    """One attempt to send one mail; on the notifier's thread but for :meth:`abort`."""

    def __init__(self, server: MailServer, tls: ssl.SSLContext) -> None:
        self._server = server
        self._tls = tls
        self._client: smtplib.SMTP | None = None
        self._connection: socket.socket | None = None
        self._aborted = False

    def send(self, text: EmailMessage) -> None:
        """Connect, log in, send.

        Raises:
            RejectedError: the server does not take this mail.
            UnavailableError: it is in trouble.
        """
        try:
            self._send(text)
        except smtplib.SMTPRecipientsRefused as refusal:
            codes = {code for code, _ in refusal.recipients.values()}
            raise _refused(max(codes), "no recipient was accepted") from refusal
        except smtplib.SMTPResponseException as refusal:
            said = refusal.smtp_error
            text_said = said.decode("utf-8", "replace") if isinstance(said, bytes) else said
            raise _refused(refusal.smtp_code, text_said) from refusal
        except (smtplib.SMTPException, SecretError, OSError) as problem:
            raise UnavailableError(f"{type(problem).__name__}: {problem}") from problem

    def _send(self, text: EmailMessage) -> None:
        client = self._connect()
        try:
            if self._server.tls == "starttls":
                client.starttls(context=self._tls)
            if self._server.password is not None:
                client.login(self._server.username, self._server.password.read())
            refused = client.send_message(text)
            if refused:
                _log.warning("recipients were refused", recipients=sorted(refused))
            with suppress(smtplib.SMTPException, OSError):  # it has the mail: how it says good-bye does not matter
                client.quit()
        finally:
            client.close()

    def _connect(self) -> smtplib.SMTP:
        server = self._server
        # The standard library would look up a full name for this machine, which may take longer than the mail.
        arguments: dict[str, Any] = {"local_hostname": socket.gethostname(), "timeout": server.timeout_seconds}
        if server.tls == "tls":
            return _TlsClient(self._on_connection, server.host, server.port, context=self._tls, **arguments)
        return _PlainClient(self._on_connection, server.host, server.port, **arguments)

    def _on_connection(self, client: smtplib.SMTP, connection: socket.socket) -> None:
        """Take note of a connection before anything is said on it."""
        self._client, self._connection = client, connection
        if self._aborted:
            connection.close()
            raise TimeoutError("the time was up before it began")

    def abort(self) -> None:
        """End what is going on: whatever the thread waits for fails at once."""
        self._aborted = True
        # With STARTTLS the client goes on with another socket.
        for connection in (self._connection, self._client.sock if self._client is not None else None):
            if connection is not None:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)


class _PlainClient(smtplib.SMTP):
    """A client that shows its connection before it speaks, so that it can be aborted."""

    def __init__(self, on_connection: _OnConnection, *arguments: Any, **named: Any) -> None:
        self._on_connection = on_connection
        super().__init__(*arguments, **named)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        connection: socket.socket = super()._get_socket(host, port, timeout)  # type: ignore[misc]
        self._on_connection(self, connection)
        return connection


class _TlsClient(smtplib.SMTP_SSL):
    """The same with TLS from the first byte."""

    def __init__(self, on_connection: _OnConnection, *arguments: Any, **named: Any) -> None:
        self._on_connection = on_connection
        super().__init__(*arguments, **named)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        connection: socket.socket = super()._get_socket(host, port, timeout)  # type: ignore[misc]
        self._on_connection(self, connection)
        return connection


def _refused(code: int, said: str) -> RejectedError | UnavailableError:
    """Return what a reply means: 4yz is transient, 5yz permanent (RFC 5321 section 4.2.1)."""
    text = f"SMTP {code}: {said}"
    return RejectedError(text) if code >= 500 else UnavailableError(text)


def mail(message: Message, sender: str, recipients: tuple[str, ...], now: datetime) -> EmailMessage:
    """Return the mail about a message."""
    text = EmailMessage(policy=SMTP)
    text["From"] = sender
    text["To"] = ", ".join(recipients)
    text["Subject"] = subject(message)
    text["Date"] = format_datetime(now)
    text["Message-ID"] = make_msgid(domain=sender.rpartition("@")[2])
    text["Auto-Submitted"] = "auto-generated"  # RFC 3834: nobody's holiday reply is wanted
    fingerprints = dict.fromkeys(alert.fingerprint for alert in message.alerts)
    text["X-Logstreamd-Fingerprints"] = " ".join(list(fingerprints)[:_NAMED_FINGERPRINTS])
    text.set_content("\n".join(_lines(message)) + "\n")
    return text


def _lines(message: Message) -> Iterator[str]:
    for alert in message.alerts:
        yield from alert_lines(alert)
        for sample in alert.samples:
            yield f"  | {sample_line(sample)}"
        yield ""
    if message.truncated_alerts:
        yield f"and {message.truncated_alerts} more"
