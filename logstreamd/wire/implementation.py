"""Which twins of the hot functions this installation has: the compiled ones where all were built, else the plain."""

from __future__ import annotations

__all__ = ["IMPLEMENTATION", "Framer", "encode", "read_body", "rows_of_copy", "survey_rows"]

try:
    from logstreamd.wire._encode import encode
    from logstreamd.wire._ingest_body import read_body
    from logstreamd.wire._split import Framer
    from logstreamd.wire._survey import rows_of_copy, survey_rows

    IMPLEMENTATION = "compiled"
    """Which twin of the hot functions runs: ``compiled`` or ``python``."""
except ImportError:  # installed without a compiler, or built for another Python
    from logstreamd.wire.copy_binary import encode
    from logstreamd.wire.copy_rows import rows_of_copy, survey_rows
    from logstreamd.wire.framing import Framer  # type: ignore[assignment]
    from logstreamd.wire.ingest_body import read_body

    IMPLEMENTATION = "python"
