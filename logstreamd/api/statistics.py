"""The resources that answer with numbers: counts, fields and their values, errors, spikes."""

from __future__ import annotations

from logstreamd.api.application import Resource
from logstreamd.api.counts import CountsResource
from logstreamd.api.error_stats import ErrorStatsResource
from logstreamd.api.fields import FieldsResource
from logstreamd.api.spikes import SpikesResource
from logstreamd.query.counts import CountReader
from logstreamd.query.database import Database
from logstreamd.query.error_stats import ErrorReader
from logstreamd.query.fields import FieldReader
from logstreamd.query.search import LogReader
from logstreamd.query.spikes import SpikeReader

__all__ = ["statistics_resources"]


def statistics_resources(database: Database, logs: LogReader) -> list[Resource]:
    """Build them.

    Args:
        database: what they ask.
        logs: reads the rows they show.
    """
    counts = CountReader(database)
    return [
        CountsResource(counts),
        FieldsResource(FieldReader(logs, counts)),
        ErrorStatsResource(ErrorReader(database)),
        SpikesResource(SpikeReader(database)),
    ]
