"""One POST to a receiver, within limits: where it may go, how long it may take, how much of the answer is read.

============================== ========================================================================
answer                         means
============================== ========================================================================
2xx                            delivered; nothing of the body is read
408, 425, 429, 5xx             not now: again after ``Retry-After``, or after a pause
3xx                            rejected: redirects are not followed, they could lead anywhere
other 4xx                      rejected
none in time, no connection    not now
============================== ========================================================================
"""

from __future__ import annotations

import errno
import math
import socket
import ssl
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
from aiohttp import AddrInfoType
from aiohttp.abc import AbstractResolver

from logstreamd import __version__, tracing
from logstreamd.alerts.notify.addresses import refusal
from logstreamd.alerts.notify.notifier import RejectedError, UnavailableError

__all__ = ["HttpClient"]

_HEADERS = {"Content-Type": "application/json", "User-Agent": f"logstreamd/{__version__}"}
_SHOWN_BYTES = 300  # of an answer that says no: a sentence for the log
_RETRIED = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS})


class HttpClient:
    """Posts to receivers.

    Args:
        allow_private: connect to any address, not only to public ones.
        timeout_seconds: one request as a whole, connecting included.
        connect_timeout_seconds: to connect.
        ca_file: certificates to trust instead of the system's.
        resolver: what names are resolved with; None: the system's.
    """

    def __init__(
        self,
        *,
        allow_private: bool,
        timeout_seconds: float,
        connect_timeout_seconds: float,
        ca_file: Path | None = None,
        resolver: AbstractResolver | None = None,
    ) -> None:
        self._timeout_seconds = timeout_seconds
        self._timeout = aiohttp.ClientTimeout(
            total=timeout_seconds, connect=connect_timeout_seconds, ceil_threshold=math.inf
        )
        self._socket_factory = _any_socket if allow_private else _public_socket
        self._ssl = ssl.create_default_context(cafile=str(ca_file) if ca_file else None)
        self._resolver = resolver
        self._session: aiohttp.ClientSession | None = None

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> None:
        """Send a body.

        Args:
            url: an http or https URL. It never appears in an error: it may be a secret.
            body: JSON.
            headers: more of them.

        Raises:
            RejectedError: see the table above.
            UnavailableError: so.
        """
        try:
            await self._post(url, body, headers)
        except TimeoutError as problem:
            raise UnavailableError(f"no answer within {self._timeout_seconds:g} s") from problem
        except aiohttp.ClientConnectorCertificateError as problem:
            raise UnavailableError(f"no connection: {problem.certificate_error}") from None
        except aiohttp.ClientConnectorError as problem:
            raise UnavailableError(f"no connection: {problem.os_error}") from None
        except (aiohttp.ClientError, OSError) as problem:
            # Only its name: the text of some of them holds the URL.
            raise UnavailableError(f"no answer: {type(problem).__name__}") from None

    async def _post(self, url: str, body: bytes, headers: Mapping[str, str]) -> None:
        # Of the URL only the host: the rest may be a secret.
        about = {"http.request.method": "POST", "server.address": urlsplit(url).hostname or ""}
        with tracing.span("POST", "client", attributes=about) as span:
            everything = {**_HEADERS, **headers, **tracing.outgoing_headers()}
            response = await self._open_session().post(url, data=body, headers=everything, allow_redirects=False)
            span.set("http.response.status_code", response.status)
            try:
                if not 200 <= response.status < 300:
                    raise await _refused(response)
            finally:
                response.close()  # with its connection: whatever else is in the answer is not read

    def _open_session(self) -> aiohttp.ClientSession:
        """Return the session; it has to be made on the event loop."""
        if self._session is None:
            connector = aiohttp.TCPConnector(
                ssl=self._ssl,
                socket_factory=self._socket_factory,
                resolver=self._resolver,
                use_dns_cache=False,
                force_close=True,  # each message is a new connection, to an address that is judged anew
            )
            self._session = aiohttp.ClientSession(
                connector=connector,
                timeout=self._timeout,
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                trust_env=False,
            )
        return self._session

    async def close(self) -> None:
        """Close the session."""
        if self._session is not None:
            await self._session.close()


async def _refused(response: aiohttp.ClientResponse) -> RejectedError | UnavailableError:
    said = (await response.content.read(_SHOWN_BYTES)).decode("utf-8", "replace").strip()
    text = f"HTTP {response.status}" + (f": {said}" if said else "")
    if response.status >= 500 or response.status in _RETRIED:
        return UnavailableError(text, retry_after_seconds=_retry_after(response.headers.get("Retry-After", "")))
    return RejectedError(text)


def _retry_after(text: str) -> float:
    """Return the seconds that ``Retry-After`` asks for, 0 for none (RFC 9110 section 10.2.3: seconds or a date)."""
    if text.isascii() and text.isdigit():
        return float(text[:9])  # more digits than a lifetime has seconds
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, OverflowError):
        return 0.0


def _any_socket(addr_info: AddrInfoType) -> socket.socket:
    family, kind, protocol, _, _ = addr_info
    return socket.socket(family, kind, protocol)


def _public_socket(addr_info: AddrInfoType) -> socket.socket:
    """Make the socket that is about to be connected to an address, if it is a public one."""
    address = str(addr_info[4][0])
    kind = refusal(address)
    if kind is not None:
        raise OSError(errno.EACCES, f"{address} is {kind}; allow_private: true would permit it")
    return _any_socket(addr_info)
