"""How bad a line of a log file says it is.

=================================== ====================================== ================================
written                             for example                            by
=================================== ====================================== ================================
a key and a name                    ``level=error lvl=warn severity: 3``   logfmt, slog, zap
a name in brackets or bars          ``[error] <warn> | ERROR   |``         nginx, Apache, loguru
a name in capitals                  ``10:23:45 INFO``, ``ERROR:root:``     Java, Python, Rust
a name and a colon at the start     ``error: cannot open``                 compilers, command line tools
a letter and a date                 ``E1122 10:23:45.678``                 glog, klog
the beginning of a stack trace      ``Traceback (most recent call last)``  Python, Java, Go, Node
=================================== ====================================== ================================

Only the head of a line is looked at, and the first hit counts: further on it is what the line talks about.
"""

from __future__ import annotations

import re

from logstreamd.record import Severity, severity_from_name

__all__ = ["HEAD_BYTES", "find_level", "status_level"]

HEAD_BYTES = 160
"""Where a level is looked for: behind a stamp, a thread, a class name, not further."""

_CAPITALS = rb"TRACE|DEBUG|INFO|NOTICE|WARN(?:ING)?|ERR(?:OR)?|SEVERE|CRIT(?:ICAL)?|FATAL|ALERT|EMERG(?:ENCY)?|PANIC"
_LEVEL = re.compile(
    rb"""
      \b(?:level|lvl|severity|loglevel)["']?\s*[=:]\s*["']?(?P<key>[A-Za-z]{3,13})\b
    | [\[<|]\s*(?P<bracket>(?i:trace|debug|info|notice|warn(?:ing)?|err(?:or)?|severe|crit(?:ical)?|fatal|alert
                             |emerg(?:ency)?|panic))\s*[\]>|]
    | (?<![\w./-])(?P<capitals>"""
    + _CAPITALS
    + rb""")(?![\w./-])
    | \A(?P<colon>(?i:debug|info|notice|warning|warn|error|fatal|critical|panic)):
    """,
    re.VERBOSE,
)
_GLOG = re.compile(rb"([IWEF])\d{4} \d\d:\d\d:\d\d")
_GLOG_LEVELS = {b"I": Severity.INFO, b"W": Severity.WARNING, b"E": Severity.ERROR, b"F": Severity.CRITICAL}
_TRACE_HEAD = re.compile(
    rb"Traceback \(most recent call last\)|Exception in thread |Unhandled |Uncaught |panic: |fatal error: "
    rb"|(?:[A-Za-z_$][\w$]*\.)*[A-Z]\w*(?:Error|Exception)\b(?::|$)"
)


def find_level(line: bytes) -> int | None:
    """Return the severity a line names, None when it names none.

    Args:
        line: without a stamp in front of it, or with one; only :data:`HEAD_BYTES` of it are looked at.
    """
    head = line[:HEAD_BYTES].partition(b"\n")[0]
    glog = _GLOG.match(head)
    if glog is not None:
        return int(_GLOG_LEVELS[glog[1]])
    if _TRACE_HEAD.match(head):
        return int(Severity.ERROR)
    for found in _LEVEL.finditer(head):
        severity = _severity(found[found.lastgroup or 0].decode("ascii"))
        if severity is not None:
            return severity
    return None


def status_level(status: int) -> int:
    """Return the severity of a request that was answered with this HTTP status."""
    if status >= 500:
        return int(Severity.ERROR)
    return int(Severity.WARNING if status >= 400 else Severity.INFO)


def _severity(name: str) -> int | None:
    if name.lower() == "severe":  # java.util.logging
        return int(Severity.ERROR)
    severity = severity_from_name(name)
    return None if severity is None else int(severity)
