"""Every refusal has the same shape: ``{"error": {"code", "message", "field"}}`` and the right status."""

from __future__ import annotations

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler

from logstreamd.api.answers import json_answer
from logstreamd.query.errors import (
    BadParameterError,
    QueryTimeoutError,
    TooManyQueriesError,
    UnavailableError,
)
from logstreamd.query.filter import FilterError

__all__ = ["REFUSED", "error_answer", "errors_as_json", "refusal_of"]

REFUSED = (BadParameterError, FilterError, QueryTimeoutError, TooManyQueriesError, UnavailableError)
"""How a question may fail."""

_log = structlog.get_logger(__name__)
_RETRY_SECONDS = 1
_CODES = {413: "too_large"}  # of what aiohttp refuses: as our own refusals of the same kind


def error_answer(
    status: int, code: str, message: str, *, field: str | None = None, retry_after_seconds: int | None = None
) -> web.Response:
    """Build a refusal.

    Args:
        status: the HTTP status.
        code: a word for programs, stable.
        message: a sentence for people.
        field: the parameter or field that is at fault.
        retry_after_seconds: when to try again, for the header ``Retry-After``.
    """
    headers = {} if retry_after_seconds is None else {"Retry-After": str(retry_after_seconds)}
    error = {"code": code, "message": message, "field": field}
    return json_answer({"error": error}, status=status, headers=headers)


def refusal_of(problem: Exception) -> web.Response:
    """Build the answer to a question that failed in one of the ways of :data:`REFUSED`."""
    match problem:
        case BadParameterError():
            return error_answer(400, "bad_parameter", str(problem), field=problem.field)
        case FilterError():
            return error_answer(400, "bad_filter", str(problem), field="q")
        case QueryTimeoutError():
            message = "the query took longer than http.query_timeout_seconds; narrow it down"
            return error_answer(504, "query_timeout", message)
        case TooManyQueriesError():
            return error_answer(429, "too_many_queries", str(problem), retry_after_seconds=_RETRY_SECONDS)
    _log.warning("query failed: database unavailable", problem=str(problem))
    message = "PostgreSQL can't be asked now"
    return error_answer(503, "database_unavailable", message, retry_after_seconds=_RETRY_SECONDS)


@web.middleware
async def errors_as_json(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn what a handler raises into an answer."""
    try:
        return await handler(request)
    except REFUSED as problem:
        return refusal_of(problem)
    except web.HTTPException as problem:
        if problem.status < 400:
            raise
        code = _CODES.get(problem.status) or (problem.reason or "error").lower().replace(" ", "_")
        answer = error_answer(problem.status, code, problem.text or problem.reason)
        if "Allow" in problem.headers:
            answer.headers["Allow"] = problem.headers["Allow"]
        return answer
    except Exception:  # a bug of ours: the client gets the same shape as ever, and the log the traceback
        _log.exception("request failed", method=request.method, path=request.path)
        return error_answer(500, "internal_error", "the daemon failed at this request; its log says why")
