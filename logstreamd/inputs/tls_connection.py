"""One connection over TLS: ciphertext in, frames out.

OpenSSL works on two buffers in memory, the connection's own, so that everything is decided here: whether a handshake
begins at all, with which certificate, when it has taken too long, and what is said about one that came to nothing.

========  ====================================================
stage     until
========  ====================================================
silent    the first byte, which tells plain text from TLS
queued    it has a place (:mod:`.handshakes`)
shaking   both sides agree, and the certificate is permitted
open      either side closes
========  ====================================================

Source: RFC 5425; a close is said on both sides (close_notify, RFC 8446 section 6.1).
"""

from __future__ import annotations

import contextlib
import ssl
from enum import Enum, auto
from typing import Protocol, cast

from logstreamd.inputs.connection import Connection, ConnectionOwner, Hold, StreamLimits
from logstreamd.inputs.handshakes import Handshakes
from logstreamd.tls import Failure, ServerTls, failure_of, not_permitted, openssl_words, subject_of
from logstreamd.wire.sender import sender_entry

__all__ = ["TlsConnection", "TlsOwner"]

_HANDSHAKE_RECORD = 0x16  # RFC 8446 section 5.1
# What is read before the handshake begins: a ClientHello is some hundred bytes, few are over 2 KiB.
_FIRST_READ_BYTES = 16 * 1024


class TlsOwner(ConnectionOwner, Protocol):
    """The input, as its connections see it."""

    tls: ServerTls
    handshakes: Handshakes
    handshake_timeout_seconds: float

    def failed(self, connection: Connection, failure: Failure) -> None:
        """Take note of a handshake that came to nothing."""


class _Stage(Enum):
    SILENT = auto()
    QUEUED = auto()
    SHAKING = auto()
    OPEN = auto()
    OVER = auto()


class TlsConnection(Connection):
    """One connection; see :class:`.connection.Connection`."""

    def __init__(self, owner: TlsOwner) -> None:
        super().__init__(owner)
        self._owner: TlsOwner = owner
        self._stage = _Stage.SILENT
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls: ssl.SSLObject
        self._server: ServerTls
        self._said_all = False  # our side of the TCP connection has ended
        self._end: ssl.SSLError | bool = False  # what ended the stream of messages: True for a proper close

    def get_buffer(self, sizehint: int) -> memoryview:
        """See :class:`asyncio.BufferedProtocol`."""
        buffer = self._owner.read_buffer
        return buffer if self._stage is _Stage.OPEN else buffer[:_FIRST_READ_BYTES]

    def buffer_updated(self, nbytes: int) -> None:
        """See :class:`asyncio.BufferedProtocol`."""
        if not self._served or self._stage is _Stage.OVER:
            return
        data = self._owner.read_buffer[:nbytes]
        if self._stage is _Stage.SILENT and data[0] != _HANDSHAKE_RECORD:
            self._fail(Failure("plain_text", "a sender speaks plain text to the TLS port"))
            return
        self._incoming.write(data)
        if self._stage is _Stage.SILENT:
            self._queue()
        elif self._stage is _Stage.SHAKING:
            self._shake()
        elif self._stage is _Stage.OPEN:
            self._decrypt()

    def _queue(self) -> None:
        if self._owner.handshakes.enter(self):
            self._stage = _Stage.SHAKING
            self._begin()
        else:
            self._stage = _Stage.QUEUED
            self.hold(Hold.QUEUED)

    def start_handshake(self) -> None:
        """Go on: it has a place now."""
        self._stage = _Stage.SHAKING
        # A turn later: one that fails at once gives its place to the next, and that one may fail at once.
        self._loop.call_soon(self._begin)

    def _begin(self) -> None:
        if self._stage is not _Stage.SHAKING:  # closed meanwhile
            return
        self.heard_at = self._loop.time()
        self._server = self._owner.tls
        self._tls = self._server.context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self.release(Hold.QUEUED)
        self._shake()

    def _shake(self) -> None:
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            self._send()
        except ssl.SSLError as error:
            self._send()  # the alert that says why
            self._fail(failure_of(error))
        else:
            self._send()
            self._open()

    def _open(self) -> None:
        self._owner.handshakes.leave(self)
        self._stage = _Stage.OPEN
        certificate = self._tls.getpeercert()
        if certificate is not None:
            if not self._server.permitted.permits(certificate, self._tls.getpeercert(binary_form=True) or b""):
                self._fail(not_permitted(certificate))
                return
            self.peer = sender_entry(self.address, {"tls_subject": subject_of(certificate)})
        self._decrypt()  # what came together with the end of the handshake

    def _decrypt(self) -> None:
        """Take everything that can be decrypted by now."""
        buffer = self._owner.read_buffer
        while filled := self._fill(buffer):
            self._take(buffer[:filled])
        self._send()
        if isinstance(self._end, ssl.SSLError):
            self._stage = _Stage.OVER
            self._owner.failed(self, Failure("other", f"the TLS connection broke: {openssl_words(self._end)}"))
            self.close("tls_failure")
        elif self._end:
            self.close("peer")

    def _fill(self, buffer: memoryview) -> int:
        """Decrypt as much as there is and fits; returns how many bytes that were."""
        filled = 0
        try:
            while filled < len(buffer) and not self._end:
                # Into any buffer, whatever the annotations say; what it returns is a number then.
                count = cast(int, self._tls.read(len(buffer) - filled, cast(bytearray, buffer[filled:])))
                self._end = not count
                filled += count
        except ssl.SSLWantReadError:  # the rest of a record is on its way
            pass
        except ssl.SSLError as error:
            self._end = error
        return filled

    def take_leave(self) -> None:
        """See :meth:`.connection.Connection.take_leave`: the end of TCP alone, for a close_notify would hide it."""
        if self._stage is _Stage.OPEN:
            self._said_all = True
            super().take_leave()

    def _send(self) -> None:
        data = self._outgoing.read()
        if data and not self._said_all and not self._transport.is_closing():
            self._transport.write(data)

    def _fail(self, failure: Failure) -> None:
        """Give up."""
        if self._stage is _Stage.SHAKING:
            self._owner.handshakes.leave(self)
            self._stage = _Stage.OVER
        self._owner.failed(self, failure)
        self.close("tls_failure")

    def pause_writing(self) -> None:
        """See :class:`asyncio.BaseProtocol`: a peer that asks for new keys, over and over, must read the answers."""
        self.hold(Hold.UNREAD)

    def resume_writing(self) -> None:
        """See :class:`asyncio.BaseProtocol`."""
        self.release(Hold.UNREAD)

    def close_if_overdue(self, now: float, limits: StreamLimits) -> None:
        """Close the connection when its sender has been slow for too long."""
        if self._stage is _Stage.OPEN or self._transport.is_closing():
            super().close_if_overdue(now, limits)
        elif not self.holds & ~Hold.UNREAD and now - self.heard_at > self._owner.handshake_timeout_seconds:
            self._fail(Failure("timeout", "the TLS handshake took too long"))

    def close(self, reason: str) -> None:
        """Say that nothing more comes, and end the connection; the other side's word is not waited for."""
        if self._stage is _Stage.OPEN:
            with contextlib.suppress(ssl.SSLError):
                self._tls.unwrap()
            self._send()
        super().close(reason)

    def connection_lost(self, exc: Exception | None) -> None:
        """See :class:`asyncio.BaseProtocol`."""
        if self._stage is _Stage.QUEUED:
            self._owner.handshakes.give_up(self)
        elif self._stage is _Stage.SHAKING:
            self._owner.handshakes.leave(self)
            self._owner.failed(self, Failure("other", "the connection ended in the middle of the TLS handshake"))
        self._stage = _Stage.OVER
        super().connection_lost(exc)
