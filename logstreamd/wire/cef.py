r"""CEF and LEEF: event formats carried as the message of a syslog frame.

The text stays whole as the message; the header's fields go to ``attrs``:
``CEF:Version|Device Vendor|Device Product|Device Version|Device Event Class ID|Name|Severity|Extension`` and
``LEEF:Version|Vendor|Product|Version|EventID|Extension``. In a CEF header ``\|`` and ``\\`` are escapes.
"""

from __future__ import annotations

import re

from logstreamd.record import Record
from logstreamd.wire.text import add_derived, fit_column

__all__ = ["note_event_header"]

_START = re.compile(r"(?:^|(?<=\s))(?:CEF:[01]\||LEEF:[12](?:\.0)?\|)")
_FIELD = re.compile(r"[^|\\]*(?:\\.[^|\\]*)*", re.DOTALL)
_CEF_NAMES = (
    "version", "device_vendor", "device_product", "device_version", "device_event_class_id", "name", "severity",
)  # fmt: skip
_LEEF_NAMES = ("version", "vendor", "product", "product_version", "event_id")
# Devices write a word or two of their own before it; further in, it is a quotation.
_SEARCH_CHARS = 96


def note_event_header(record: Record) -> None:
    """Find a CEF or LEEF header at the start of the record's message; note its fields in ``attrs``.

    The device's product becomes the service of a record that has none.
    """
    found = _START.search(record.message, 0, _SEARCH_CHARS)
    if found is None:
        return
    is_cef = found[0].startswith("CEF")
    names = _CEF_NAMES if is_cef else _LEEF_NAMES
    values = _header_values(record.message, found.start() + (4 if is_cef else 5), len(names))
    if len(values) < len(names):
        return
    fields = dict(zip(names, values, strict=True))
    record.format = "cef" if is_cef else "leef"
    add_derived(record, record.format, fields)
    product = fields["device_product" if is_cef else "product"]
    if record.service is None and product:
        record.service = fit_column(product, "service", record)


def _header_values(text: str, pos: int, count: int) -> list[str]:
    """Return the first ``count`` fields that a ``|`` ends."""
    values: list[str] = []
    while len(values) < count:
        field = _FIELD.match(text, pos)
        if field is None or not text.startswith("|", field.end()):
            break
        values.append(re.sub(r"\\([|\\])", r"\1", field[0]))
        pos = field.end() + 1
    return values
