"""The HTTP side of the daemon: its readers of the database, its resources, its server.

====  ===========================  ===========================================
step  start                        stop, from the last step to the first
====  ===========================  ===========================================
1     pool of readers              close it
2     live tails                   close their pool
3     server                       end the tails, finish what is being answered
====  ===========================  ===========================================
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from typing import Any

import structlog

from logstreamd import __version__
from logstreamd.api.access import Access
from logstreamd.api.application import HttpServer, Resource, build_application
from logstreamd.api.connections import CappedConnections
from logstreamd.api.ingest import IngestResource
from logstreamd.api.logs import LogsResource
from logstreamd.api.openapi import OpenApiResource
from logstreamd.api.slow_clients import HttpTimeouts
from logstreamd.api.state import StateResource
from logstreamd.api.statistics import statistics_resources
from logstreamd.api.tail import TailResource
from logstreamd.config import HTTP_INPUT
from logstreamd.config.tls import TlsConfig
from logstreamd.daemon.alerting import Alerting
from logstreamd.daemon.connecting import connection_settings
from logstreamd.daemon.intake import Intake
from logstreamd.daemon.material import Material
from logstreamd.daemon.reload import Change
from logstreamd.daemon.supervisor import Supervisor
from logstreamd.inputs.tls import say_certificate
from logstreamd.metrics import Metrics
from logstreamd.query.database import Database
from logstreamd.query.search import LogReader
from logstreamd.query.tail import Feed, Follower, RecentBatches
from logstreamd.storage.connections import create_reader_pool
from logstreamd.tls import FAILURE_REASONS, ServerTls

__all__ = ["Serving"]

_log = structlog.get_logger(__name__)
_HELPING_CONNECTIONS = 2  # so many long searches at once may read on two connections; more would outrun the disks


class Serving:
    """Answers over HTTP.

    Args:
        material: the configuration, and who is let in.
        dsn: where the database is.
        intake: takes what is sent.
        alerting: has resources of its own.
        recent: batches that tails have not seen.
        metrics: shared with the daemon.
    """

    def __init__(
        self,
        material: Material,
        dsn: str,
        *,
        intake: Intake,
        alerting: Alerting,
        recent: RecentBatches,
        metrics: Metrics,
    ) -> None:
        config = material.config
        self._http = config.http
        self._tls = material.tls.get(HTTP_INPUT)
        self._settings = connection_settings(
            config.database, dsn, statement_timeout_seconds=config.http.query_timeout_seconds
        )
        self._pool_timeout_seconds = config.database.pool_timeout_seconds
        self._intake = intake
        self._alerting = alerting
        self._recent = recent
        self._metrics = metrics
        self.access = Access(config.http, material.tokens, metrics)
        """Who may ask what; its rules can be replaced while it serves."""
        self._server: HttpServer | None = None

    @property
    def url(self) -> str:
        """Where it answers; empty before it has started."""
        return self._server.url if self._server is not None else ""

    def held_back(self) -> dict[str, list[dict[str, Any]]]:
        """Return from which clients most was kept, if there are any."""
        top = self.access.admission.top()
        return {HTTP_INPUT: top} if top else {}

    async def start(
        self,
        stack: AsyncExitStack,
        supervisor: Supervisor,
        *,
        problems: Callable[[], list[str]],
        status: Callable[[], dict[str, Any]],
    ) -> None:
        """Start.

        Args:
            stack: gets what stops it.
            supervisor: watches the background tasks.
            problems: what keeps the daemon from working.
            status: every part's state.

        Raises:
            OSError: the address can't be bound.
        """
        http = self._http
        pool = await create_reader_pool(self._settings, max_size=http.max_concurrent_queries + _HELPING_CONNECTIONS)
        stack.push_async_callback(pool.close)
        database = Database(
            pool,
            max_concurrent=http.max_concurrent_queries,
            timeout_seconds=http.query_timeout_seconds,
            pool_timeout_seconds=self._pool_timeout_seconds,
        )
        follower = await self._start_follower(stack, supervisor)
        self._metrics.ready.set_function(lambda: not problems())
        state = StateResource(problems, status, self._metrics.registry, self._intake.refresh_metrics)
        application = build_application(
            [state, *self._resources(database, follower)],
            access=self.access,
            metrics=self._metrics,
            max_body_bytes=http.max_body_bytes,
        )
        self._server = HttpServer(
            application,
            host=http.listen.host,
            port=http.listen.port,
            timeouts=HttpTimeouts(
                http.read_timeout_seconds, http.write_timeout_seconds, http.keepalive_timeout_seconds
            ),
            on_slow_head=self._metrics.http_slow_heads.inc,
            caps=CappedConnections(
                self._metrics, max_connections=http.max_connections, max_per_peer=http.max_connections_per_peer
            ),
            tls=self._tls,
            handshake_timeout_seconds=http.tls.handshake_timeout_seconds if http.tls is not None else 0.0,
            on_tls_failure=lambda reason: self._metrics.tls_failures.labels(HTTP_INPUT, reason).inc(),
        )
        await self._server.start()
        stack.push_async_callback(self._server.stop)
        stack.callback(follower.close)  # a stream has no end of its own that the server could wait for
        _log.info("listening", type="http", addresses=self._server.endpoints)
        if self._tls is not None:
            for reason in FAILURE_REASONS:
                self._metrics.tls_failures.labels(HTTP_INPUT, reason)
            say_certificate(HTTP_INPUT, self._tls, self._metrics)

    async def prepare(self, change: Change) -> None:
        """Prepare other tokens, names, origins and certificates."""
        old, new = change.old.config.http.tls, change.new.config.http.tls
        if (old is None) != (new is None):
            change.refuse(("http", "tls"), "HTTP becomes HTTPS, or plain again, only at a restart")
        if change.new.tokens != change.old.tokens:
            change.changed.append("tokens")

        async def commit() -> None:
            self.access.apply(change.new.config.http, change.new.tokens)
            if new is not None:
                await self._apply_tls(change.new.tls[HTTP_INPUT], new)

        change.at_commit(commit)

    async def _apply_tls(self, tls: ServerTls, settings: TlsConfig) -> None:
        if self._server is None or self._tls is None:
            return
        changed = tls.fingerprint != self._tls.fingerprint
        self._tls = tls
        await self._server.apply_tls(tls, settings.handshake_timeout_seconds)
        if changed:
            say_certificate(HTTP_INPUT, tls, self._metrics)

    async def _start_follower(self, stack: AsyncExitStack, supervisor: Supervisor) -> Follower:
        """Start what live tails have in common; it rests while nobody follows."""
        # Of its own, so that no search has to wait for a tail, nor a tail for a search: one for new rows, one for old.
        pool = await create_reader_pool(self._settings, max_size=2, purpose="tail")
        stack.push_async_callback(pool.close)
        feed = Feed(Database(pool, max_concurrent=2, pool_timeout_seconds=self._pool_timeout_seconds))
        follower = Follower(feed, self._recent, self._metrics, max_clients=self._http.max_tail_clients)
        supervisor.start("tail", follower.run())
        return follower

    def _resources(self, database: Database, follower: Follower) -> Sequence[Resource]:
        http = self._http
        reader = LogReader(database)
        return [
            IngestResource(
                self._intake.build_http_input(), self.access.admission, read_seconds=http.read_timeout_seconds
            ),
            LogsResource(
                reader,
                max_rows=http.max_rows,
                max_export_rows=http.max_export_rows,
                write_seconds=http.write_timeout_seconds,
            ),
            TailResource(follower, reader, max_rows=http.max_rows, write_seconds=http.write_timeout_seconds),
            *statistics_resources(database, reader),
            *self._alerting.resources(database),
            OpenApiResource(version=__version__, max_rows=http.max_rows, max_export_rows=http.max_export_rows),
        ]
