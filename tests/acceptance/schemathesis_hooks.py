"""What schemathesis has to be told about our API; its command imports this."""

from __future__ import annotations

from typing import Any

import schemathesis

__all__ = ["send_lines"]


@schemathesis.serializer("application/x-ndjson")
def send_lines(_context: Any, value: Any) -> Any:
    """Send a body of lines as it was made up."""
    return value if isinstance(value, bytes) else str(value).encode()
