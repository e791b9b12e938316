"""Which scope opens which resource: the one table of it.

A route that is not in the table can't be added to the application, so a new one is closed until somebody decides. One
of the scopes suffices; none means that the resource is open to everybody, tokens or not.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from logstreamd.tokens import Scope

__all__ = ["OPEN", "PERMISSIONS", "scopes_of"]

OPEN: frozenset[Scope] = frozenset()
_QUERY: frozenset[Scope] = frozenset({"query"})
_ADMIN: frozenset[Scope] = frozenset({"admin"})

PERMISSIONS: Mapping[tuple[str, str], frozenset[Scope]] = MappingProxyType(
    {
        ("POST", "/api/v1/logs"): frozenset({"ingest"}),
        ("GET", "/api/v1/logs"): _QUERY,
        ("GET", "/api/v1/logs/tail"): _QUERY,
        ("GET", "/api/v1/counts"): _QUERY,
        ("GET", "/api/v1/fields"): _QUERY,
        ("GET", "/api/v1/fields/{name}/values"): _QUERY,
        ("GET", "/api/v1/spikes"): _QUERY,
        ("GET", "/api/v1/errors/stats"): _QUERY,
        ("GET", "/errors/stats"): _QUERY,
        ("GET", "/api/v1/rules"): _QUERY,
        ("GET", "/api/v1/alerts"): _QUERY,
        ("GET", "/api/v1/alerts/history"): _QUERY,
        ("GET", "/prometheus/api/v1/rules"): _QUERY,
        ("GET", "/prometheus/api/v1/alerts"): _QUERY,
        ("GET", "/api/v1/silences"): _QUERY,
        ("GET", "/api/v1/silences/{id}"): _QUERY,
        ("POST", "/api/v1/silences"): _ADMIN,
        ("DELETE", "/api/v1/silences/{id}"): _ADMIN,
        # It holds nothing secret; whoever asks for logs wants to know whether some are missing.
        ("GET", "/status"): _QUERY | _ADMIN,
        ("GET", "/metrics"): frozenset({"metrics"}),
        # For load balancers and people who write clients; what is wrong /ready tells to those with a token only.
        ("GET", "/health"): OPEN,
        ("GET", "/ready"): OPEN,
        ("GET", "/api/v1/openapi.json"): OPEN,
    }
)
"""Scopes by method and path as the route has it; HEAD is a GET."""


def scopes_of(method: str, path: str) -> frozenset[Scope]:
    """Return the scopes one of which opens a route.

    Raises:
        LookupError: nobody has decided yet; see :data:`PERMISSIONS`.
    """
    try:
        return PERMISSIONS["GET" if method == "HEAD" else method, path]
    except KeyError:
        raise LookupError(f"{method} {path} is not in the table of permissions") from None
