"""``logstreamd query``: rows that were stored, or how many they are."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from logstreamd.cli.asking import Wanted, asking_options, moment
from logstreamd.cli.endpoint import Endpoint, endpoint
from logstreamd.cli.pipes import quiet_end
from logstreamd.cli.terminal import ColourChoice

if TYPE_CHECKING:
    from logstreamd.cli.daemon_client import DaemonClient
    from logstreamd.cli.output import RowPrinter

__all__ = ["query"]

_PAGE_ROWS = 1_000  # of one request: the daemon's default for http.max_rows
_NOTHING_FOUND = 1


@click.command()
@asking_options
@click.option("--since", metavar="TIME", help="Not older than that: 1h, 7d, or a time like 2026-11-22T03:00:00Z.")
@click.option("--until", metavar="TIME", help="Older than that.")
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True, help="Rows at most.")
@click.option(
    "--order", type=click.Choice(["desc", "asc"]), default="desc", show_default=True, help="desc: newest first."
)
@click.option("--follow", "-f", "following", is_flag=True, help="Show them oldest first, then go on as `tail` does.")
@click.option("--count-by", metavar="FIELDS", help="Count them instead, by fields: service,level or any of attrs.")
@click.option("--exit-status", "-e", is_flag=True, help="Exit with 1 when nothing was found; default: 0.")
def query(
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
    since: str | None,
    until: str | None,
    limit: int,
    order: str,
    following: bool,
    count_by: str | None,
    exit_status: bool,
) -> None:
    """Find stored rows.

    FILTER is the filter language: words, service:checkout, level>=error, "a phrase", /regex/, -not.
    Without one, every row is meant.
    """
    from logstreamd.cli.output import RowPrinter

    if following and (until is not None or count_by is not None or order == "asc"):
        raise click.UsageError("--follow goes with neither --until, --count-by nor --order asc")
    daemon = endpoint(url, config_file, token_file, ca_file)
    wanted = Wanted(filter_text, service, host, level, min_level)
    printer = RowPrinter(as_json=as_json, colour=colour, utc=utc)
    if following:
        from logstreamd.cli.tail import follow

        follow(daemon, wanted, printer, last=limit, since=since)
        return
    times = {"start": since, "end": until}
    parameters = wanted.parameters() + [(name, moment(text)) for name, text in times.items() if text is not None]
    found = 0
    with quiet_end():
        if count_by is not None:
            found = asyncio.run(_count(daemon, [*parameters, ("by", count_by)], as_json=as_json))
        else:
            asyncio.run(_find(daemon, [*parameters, ("order", order)], limit, printer))
            found = printer.rows
    if exit_status and not found:
        raise SystemExit(_NOTHING_FOUND)


async def _find(daemon: Endpoint, parameters: list[tuple[str, str]], limit: int, printer: RowPrinter) -> None:
    from logstreamd.cli.daemon_client import DaemonClient
    from logstreamd.cli.progress import progress

    async with DaemonClient(daemon) as client:
        pages = _pages(client, parameters, limit)
        while True:
            async with progress("searching"):
                page = await anext(pages, None)
            if page is None:
                return
            for row in page:
                printer.print(row)
            printer.flush()


async def _pages(client: DaemonClient, parameters: list[tuple[str, str]], limit: int) -> AsyncIterator[list[bytes]]:
    """Yield rows as JSON, page by page, until there are so many or no more."""
    import msgspec

    cursor: list[tuple[str, str]] = []
    while limit > 0:
        rows = min(limit, _PAGE_ROWS)
        body = await client.ask("/api/v1/logs", [*parameters, ("limit", str(rows)), *cursor])
        answer = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
        page = msgspec.json.decode(answer["logs"], type=list[msgspec.Raw])
        yield [bytes(row) for row in page]
        next_cursor = msgspec.json.decode(answer["next_cursor"], type=str | None)
        if next_cursor is None:
            return
        limit -= len(page)
        cursor = [("cursor", next_cursor)]


async def _count(daemon: Endpoint, parameters: list[tuple[str, str]], *, as_json: bool) -> int:
    """Print counts and return their sum."""
    import msgspec

    from logstreamd.cli.count_table import print_counts
    from logstreamd.cli.daemon_client import DaemonClient
    from logstreamd.cli.progress import progress

    async with DaemonClient(daemon) as client, progress("counting"):
        body = await client.ask("/api/v1/counts", parameters)
    return print_counts(msgspec.json.decode(body), as_json=as_json)
