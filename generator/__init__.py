"""Makes logs that look real, at a rate that holds: ``python -m generator``.

::

    levels ─┐
    patterns├─► Source ─► Event ─► format ─► lines ─► outputs (console, file, UDP, TCP, HTTP)
    messages┘      ▲
    bursts ─► Schedule (when each line is due)

Everything left of the outputs is a function of the seed and of the schedule: no clock, no sockets. :mod:`.run` is the
loop around it. It needs the standard library only; the scenario ``web-api`` alone imports aiohttp.
"""
