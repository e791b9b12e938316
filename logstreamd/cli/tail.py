"""``logstreamd tail``: rows as they are stored, across restarts of the daemon."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING

import click

from logstreamd.cli.asking import Wanted, asking_options, moment
from logstreamd.cli.endpoint import Endpoint, endpoint
from logstreamd.cli.pipes import quiet_end
from logstreamd.cli.terminal import ColourChoice

if TYPE_CHECKING:
    from logstreamd.cli.daemon_client import DaemonClient
    from logstreamd.cli.event_stream import Event
    from logstreamd.cli.output import RowPrinter

__all__ = ["follow", "tail"]

_FIRST_WAIT_SECONDS = 0.5
_LONGEST_WAIT_SECONDS = 10.0


@click.command()
@asking_options
@click.option("-n", "--last", type=click.IntRange(0), default=10, show_default=True, help="Rows of before, first.")
@click.option("--since", metavar="TIME", help="None of them older than that: 10m, or a time.")
def tail(
    *,
    filter_text: str,
    service: Sequence[str],
    host: Sequence[str],
    level: Sequence[str],
    min_level: str | None,
    as_json: bool,
    utc: bool,
    colour: ColourChoice,
    url: str | None,
    token_file: Path | None,
    ca_file: Path | None,
    config_file: Path | None,
    last: int,
    since: str | None,
) -> None:
    """Show rows as they are stored, until Ctrl-C.

    FILTER is the filter language: words, service:checkout, level>=error, "a phrase", /regex/, -not.
    """
    from logstreamd.cli.output import RowPrinter

    printer = RowPrinter(as_json=as_json, colour=colour, utc=utc)
    wanted = Wanted(filter_text, service, host, level, min_level)
    daemon = endpoint(url, config_file, token_file, ca_file)
    follow(daemon, wanted, printer, last=last, since=since)


def follow(daemon: Endpoint, wanted: Wanted, printer: RowPrinter, *, last: int, since: str | None) -> None:
    """Show rows until Ctrl-C or a closed pipe, which is how it ends well."""
    backlog = [("last", str(last))] if last else []
    if since is not None and last:
        backlog.append(("since", moment(since)))
    with quiet_end():
        try:
            asyncio.run(_follow(daemon, wanted.parameters(), backlog, printer))
        except KeyboardInterrupt:
            printer.flush()


async def _follow(
    daemon: Endpoint, parameters: list[tuple[str, str]], backlog: list[tuple[str, str]], printer: RowPrinter
) -> None:
    from logstreamd.cli.daemon_client import Busy, DaemonClient, Lost
    from logstreamd.cli.output import note

    async with DaemonClient(daemon) as client:
        connection = _Connection(client, parameters, backlog, printer)
        wait = _FIRST_WAIT_SECONDS
        while True:
            try:
                await connection.run()
                problem = "the daemon ended the stream"
            except (Lost, Busy) as lost:
                if not connection.began:
                    raise
                problem = lost.message
            if connection.is_new:
                note(f"{problem}; connecting again")
                wait = _FIRST_WAIT_SECONDS
            connection.is_new = False
            await asyncio.sleep(wait)
            wait = min(2 * wait, _LONGEST_WAIT_SECONDS)


class _Connection:
    """One client's stream over several connections.

    Attributes:
        began: there was a connection.
        is_new: the last attempt to connect was a success.
    """

    def __init__(
        self,
        client: DaemonClient,
        parameters: list[tuple[str, str]],
        backlog: list[tuple[str, str]],
        printer: RowPrinter,
    ) -> None:
        self._client = client
        self._parameters = parameters
        self._backlog = backlog
        self._printer = printer
        self._last_id = ""
        self.began = False
        self.is_new = False

    async def run(self) -> None:
        """Show what comes until the connection ends."""
        from logstreamd.cli.event_stream import EventStream

        headers = {"Last-Event-ID": self._last_id} if self._last_id else {}
        parameters = self._parameters + ([] if self._last_id else self._backlog)
        events = EventStream()
        async with aclosing(self._client.stream("/api/v1/logs/tail", parameters, headers)) as pieces:
            async for piece in pieces:
                self.began = self.is_new = True
                for event in events.feed(piece):
                    self._show(event)
                self._printer.flush()

    def _show(self, event: Event) -> None:
        from logstreamd.cli.output import note

        if event.kind == "log":
            self._printer.print(event.data)
        elif event.kind == "skipped":
            note(_skipped(event.data))
        self._last_id = event.id or self._last_id


def _skipped(data: bytes) -> str:
    """Say what is missing at this place."""
    import msgspec

    counts = msgspec.json.decode(data, type=dict[str, int | None])
    slow, unread = counts["skipped"], counts["unread"]
    if slow is None or unread is None:
        return "away for too long: rows may be missing here"
    parts = [f"{slow:,} rows left out: they came faster than they were read"] if slow else []
    parts += [f"up to {unread:,} rows left out: too many to look at, narrow the filter"] if unread else []
    return "; ".join(parts)
