"""Log files, followed as they grow and are rotated: every line once.

============== ==========================================================================
``discovery``  patterns → the files there are, and which of them are another's rotated past
``cut``        bytes → records: lines, joined stack traces
``followed``   one file: how far it is read, and whether it is still the same content
``collector``  all files of an input: what to read next, rotations, what is gone
``wakeup``     file events, where watchfiles is installed: only a reason to look earlier
``mirror``     a copy of what was collected, as JSON lines
``build``      puts the parts together
``input``      the asyncio side: batches, back-pressure, start and stop
============== ==========================================================================

All but ``input`` and ``wakeup`` run on one thread of the input, so that a slow disk never holds up the event loop.
"""

from __future__ import annotations

from logstreamd.inputs.files.build import build_file_input
from logstreamd.inputs.files.input import FileInput

__all__ = ["FileInput", "build_file_input"]
