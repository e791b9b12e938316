"""The daemon's own log: to standard error, as JSON lines or, on a terminal, for people.

====================  =========================================================================================
a line is             by
====================  =========================================================================================
given its context     context variables: ``request_id``; ``batch``, ``input``, ``spool_seq``; ``rule``, ``group``
left out              :mod:`repeats`, when it says again what others have just said
made plain            :mod:`plain`: nothing in it can forge a line or drive a terminal, and it has an end
rendered              structlog
====================  =========================================================================================

Never a line per record. Lines of the standard library's loggers (asyncio, aiohttp) take the same way.
"""

from __future__ import annotations

from logstreamd.ownlog.output import OwnLog, configure_log, set_level, writes_json

__all__ = ["OwnLog", "configure_log", "set_level", "writes_json"]
