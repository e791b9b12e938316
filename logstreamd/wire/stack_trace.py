"""Which lines of a log file belong to the record before them.

======== ===================================================================================================
any      a line that begins with a blank; ``Caused by:``, ``Suppressed:``, ``... 12 more``; a lone ``}`` or ``]``
Java     ``java.lang.RuntimeException: …`` behind the line that logged it
Python   ``Traceback (most recent call last):`` behind the line that logged it; ``ValueError: …`` at the end of its
         indented lines; ``During handling of the above exception, …`` with the blank lines around it
Go       after ``panic:`` or ``fatal error:``: blank lines, ``goroutine 1 [running]:``, calls, ``created by``,
         ``[signal …``, ``exit status 2``
Node     what stands between the line of the source and the last frame, ``Error: …`` and blank lines included
======== ===================================================================================================

A blank line belongs to a record only when what follows it does.
"""

from __future__ import annotations

import re

__all__ = ["continues", "is_complete"]

_ALWAYS = re.compile(rb"[ \t]+\S|Caused by: |Suppressed: |\.\.\. \d+ (?:more|common)|[}\])]+[;,]?[ \t]*\Z")
_EXCEPTION = re.compile(
    rb"Traceback \(most recent call last\):|(?:[A-Za-z_$][\w$]*\.)+[A-Z]\w*(?:Exception|Error|Throwable)\b"
)
_TRACEBACK = b"Traceback (most recent call last):"
_PYTHON_END = re.compile(rb"[A-Za-z_][\w.]*(?::|\Z)")
_PYTHON_CHAIN = re.compile(rb"During handling of the above|The above exception was|Traceback \(most recent")
_GO_HEAD = re.compile(rb"panic: |fatal error: |runtime: ")
_GO = re.compile(rb"goroutine \d+ |created by |exit status \d|\[signal |\[recovered\]|runtime stack:")
_GO_CALL = re.compile(rb"[\w./-]+\.[\w(*]")
_NODE_HEAD = re.compile(rb"(?:(?:file://|node:|/|[A-Z]:\\)[^\s:]*:\d+(?:\n|\Z)|Uncaught |\(node:\d+\))")
_NODE = re.compile(rb"(?:[A-Za-z_$][\w$]*)?(?:Error|Exception)\b|Node\.js v\d|Thrown at:")
_HEAD_BYTES = 512  # where a kind of trace is recognised: its first line


def continues(record: bytes | bytearray, line: bytes, *, after_blank: bool = False) -> bool:
    """Whether a line belongs to the record that has been gathered so far.

    Args:
        record: the lines so far, joined by line feeds.
        line: the next one that is not blank.
        after_blank: whether blank lines stand between them.
    """
    if not after_blank and _ALWAYS.match(line):
        return True
    if _TRACEBACK in record:
        if _PYTHON_CHAIN.match(line):
            return True
        indented = record.startswith((b" ", b"\t"), record.rfind(b"\n") + 1)
        return not after_blank and indented and _PYTHON_END.match(line) is not None
    if not after_blank and _EXCEPTION.match(line, 0, _HEAD_BYTES):
        return not _EXCEPTION.match(record, 0, _HEAD_BYTES)
    if _GO_HEAD.search(record, 0, _HEAD_BYTES):
        is_call = line.endswith(b")") and _GO_CALL.match(line, 0, _HEAD_BYTES) is not None
        return is_call or _GO.match(line) is not None
    return _NODE_HEAD.match(record, 0, _HEAD_BYTES) is not None and _NODE.match(line) is not None


def is_complete(line: bytes) -> bool:
    """Whether a first line is a record of its own that nothing will be added to: a whole JSON object."""
    return line.startswith(b"{") and line.rstrip().endswith(b"}")
