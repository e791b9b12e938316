"""HTTP status codes by name: ``404`` → ``404_NOT_FOUND``. How one is found in a row says ``sql/http_status.sql``."""

from __future__ import annotations

from http import HTTPStatus

from logstreamd.storage.queries import load_queries

__all__ = ["MAY_BE_BAD_SQL", "STATUS_SQL", "WITHOUT_STATUS", "status_name"]

_SQL = load_queries("http_status.sql", package="logstreamd.query")

STATUS_SQL = _SQL["status"]
"""An expression for the status in a row of ``logs``, NULL when there is none."""

MAY_BE_BAD_SQL = _SQL["may_be_bad"]
"""A condition that every row with a status from 400 on fulfils, and few others; cheaper than the status itself."""

WITHOUT_STATUS = "WITHOUT_STATUS"
"""What errors are called that have none."""

# As IANA registers them, whatever this Python calls them, but for 500; and what is in use without being registered.
_NAMES = {status.value: status.name for status in HTTPStatus} | {
    413: "CONTENT_TOO_LARGE",
    414: "URI_TOO_LONG",
    416: "RANGE_NOT_SATISFIABLE",
    422: "UNPROCESSABLE_CONTENT",
    444: "NO_RESPONSE",  # nginx closed the connection without an answer
    460: "CLIENT_CLOSED_CONNECTION",  # AWS load balancers
    499: "CLIENT_CLOSED_REQUEST",  # nginx
    500: "INTERNAL_ERROR",
    520: "UNKNOWN_ERROR",  # 520 to 526: Cloudflare
    521: "WEB_SERVER_IS_DOWN",
    522: "CONNECTION_TIMED_OUT",
    523: "ORIGIN_IS_UNREACHABLE",
    524: "TIMEOUT_OCCURRED",
    525: "SSL_HANDSHAKE_FAILED",
    526: "INVALID_SSL_CERTIFICATE",
}


def status_name(status: int | None) -> str:
    """Return what errors with a status are called.

    Args:
        status: 400 and more; None when there is none.
    """
    if status is None:
        return WITHOUT_STATUS
    return f"{status}_{_NAMES.get(status, 'CLIENT_ERROR' if status < 500 else 'SERVER_ERROR')}"
