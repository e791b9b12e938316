"""Who may ask what: the check that every request passes before its resource sees it, or a byte of its body is read.

==== ========================================================================= ======
step what is checked                                                           status
==== ========================================================================= ======
1    the address may ask (``/health`` may be asked from everywhere)            403
2    ``Host`` is a name of this server                                         421
3    an OPTIONS of a browser is answered for the origins that are listed       204
4    the token is known                                                        401
5    it has one of the scopes of the resource (:mod:`.permissions`)            403
==== ========================================================================= ======

Without any tokens everybody passes 4 and 5. What is in force can be replaced at any time, all of it at once.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import structlog
from aiohttp import HttpVersion11, web
from aiohttp.typedefs import Handler

from logstreamd.api.credentials import read_token
from logstreamd.api.errors import error_answer
from logstreamd.api.origins import is_loopback, is_served, mark_answer, preflight_answer, served_hosts
from logstreamd.api.permissions import OPEN, scopes_of
from logstreamd.config import HTTP_INPUT, HttpConfig
from logstreamd.inputs.admission import Admission, admission_settings
from logstreamd.metrics import Metrics
from logstreamd.tokens import Scope, Token, TokenSet

__all__ = ["KNOWN", "Access", "wait_with_body"]

_log = structlog.get_logger(__name__)

_MAX_PATH_CHARS = 200  # in the log
_HEALTH_PATH = "/health"  # whoever asks from outside whether the process lives learns nothing else

KNOWN: web.RequestKey[bool] = web.RequestKey("known", bool)
"""Whether the client may be told what is wrong with the daemon: it has brought a token, or needs none."""


@dataclass(frozen=True, slots=True)
class _Rules:
    """What is in force.

    Attributes:
        tokens: who is let in.
        hosts: names of this server; None: any.
        origins: web pages whose scripts may use the API.
    """

    tokens: TokenSet
    hosts: frozenset[str] | None
    origins: frozenset[str]

    @property
    def is_open(self) -> bool:
        return not len(self.tokens)


class Access:
    """Lets requests pass, or not.

    Args:
        http: names and origins.
        tokens: who is let in; none: everybody.
        metrics: where it is counted who was not.
    """

    def __init__(self, http: HttpConfig, tokens: TokenSet, metrics: Metrics) -> None:
        self.admission = Admission(HTTP_INPUT, metrics, **admission_settings(http))
        """Which addresses may ask, and how much each of them may send."""
        self._denied_requests = metrics.http_denied_requests
        self._passed: dict[int, tuple[Token | None, asyncio.BaseTransport | None]] = {}
        """Requests that are being answered."""
        self.apply(http, tokens)

    @property
    def is_open(self) -> bool:
        """Whether everybody is let in."""
        return self._rules.is_open

    def apply(self, http: HttpConfig, tokens: TokenSet) -> None:
        """Put other rules in force for requests to come, and end what tokens that are gone have going on."""
        self.admission.apply(**admission_settings(http))
        hosts = served_hosts(http.listen, http.allowed_hosts)
        self._rules = _Rules(tokens, hosts, frozenset(http.cors_origins))
        if self.is_open:
            _warn_of_open_door(http)
            return
        for token, transport in self._passed.values():
            if token not in tokens and transport is not None:
                transport.close()

    @web.middleware
    async def guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Hand a request on, or turn it away."""
        rules = self._rules
        if request.path != _HEALTH_PATH and not self.admission.admits(request.remote or ""):
            return self._refuse_address(request)
        if rules.hosts is not None and not is_served(request, rules.hosts):
            return self._refuse_host(request)
        if (answer := preflight_answer(request, rules.origins)) is not None:
            return answer
        scopes = _scopes_of(request)
        text = read_token(request)
        token = rules.tokens.find(text) if text is not None else None
        request[KNOWN] = token is not None or rules.is_open
        if scopes and not rules.is_open:
            if token is None:
                return self._refuse_token(request, text)
            if not token.scopes & scopes:
                return self._refuse_scope(request, token, scopes)
        return await self._pass(request, handler, token)

    async def mark(self, request: web.Request, response: web.StreamResponse) -> None:
        """Say in an answer which web pages may read it."""
        mark_answer(request, response, self._rules.origins)

    async def _pass(self, request: web.Request, handler: Handler, token: Token | None) -> web.StreamResponse:
        self._passed[id(request)] = (token, request.transport)
        try:
            await _invite_body(request)
            return await handler(request)
        finally:
            del self._passed[id(request)]

    def _note_denial(self, request: web.Request, reason: str, **details: str) -> None:
        """Count a request that is turned away and say so; the log leaves repetitions out."""
        self._denied_requests.labels(reason).inc()
        path = request.path[:_MAX_PATH_CHARS]
        _log.warning("request denied", reason=reason, peer=request.remote, method=request.method, path=path, **details)

    def _refuse_address(self, request: web.Request) -> web.Response:
        self._note_denial(request, "address")
        return error_answer(403, "address_not_allowed", "http.allow does not have the address of this request")

    def _refuse_host(self, request: web.Request) -> web.Response:
        host = request.headers["Host"]
        self._note_denial(request, "host", host=host[:256])
        message = f"this server has no name {host[:256]!r}; http.allowed_hosts says which it has beside localhost"
        return error_answer(421, "wrong_host", message)

    def _refuse_token(self, request: web.Request, text: str | None) -> web.Response:
        if text is None:
            self._note_denial(request, "token_missing")
            answer = error_answer(401, "token_required", "this needs a token: Authorization: Bearer TOKEN")
            answer.headers["WWW-Authenticate"] = 'Bearer realm="logstreamd"'
        else:
            self._note_denial(request, "token_unknown")
            answer = error_answer(401, "token_unknown", "this token is not known here")
            answer.headers["WWW-Authenticate"] = 'Bearer realm="logstreamd", error="invalid_token"'
        return answer

    def _refuse_scope(self, request: web.Request, token: Token, scopes: frozenset[Scope]) -> web.Response:
        wanted = sorted(scopes)
        self._note_denial(request, "scope_missing", token=token.name)
        answer = error_answer(403, "scope_missing", f"this token lacks the scope {' or '.join(wanted)}")
        challenge = f'Bearer realm="logstreamd", error="insufficient_scope", scope="{" ".join(wanted)}"'
        answer.headers["WWW-Authenticate"] = challenge
        return answer


def _warn_of_open_door(http: HttpConfig) -> None:
    if is_loopback(http.listen) or (http.tls is not None and http.tls.client_ca is not None):
        return
    _log.warning(
        "EVERYBODY WHO CAN REACH THE HTTP PORT MAY READ AND WRITE LOGS: there are no tokens",
        listen=str(http.listen),
        hint="make one with `logstreamd token create` and name it in http.tokens or http.tokens_file",
    )


def _scopes_of(request: web.Request) -> frozenset[Scope]:
    resource = request.match_info.route.resource
    if resource is None:
        return OPEN  # there is nothing; what is told is no secret
    return scopes_of(request.method, resource.canonical)


async def wait_with_body(_request: web.Request) -> None:
    """Leave a client that waits with its body (``Expect``) waiting until it was let in."""


async def _invite_body(request: web.Request) -> None:
    """Tell a client that waits with its body to send it."""
    expected = request.headers.get("Expect")
    if expected is None or request.version < HttpVersion11:
        return
    if expected.lower() != "100-continue":
        raise web.HTTPExpectationFailed(text=f"Expect must be 100-continue (got {expected[:256]!r})")
    await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    request.writer.output_size = 0  # the answer itself has not begun
