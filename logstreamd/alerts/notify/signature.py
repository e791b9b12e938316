"""The signature of a webhook: an HMAC over the time and the body, so that neither can be changed, nor sent again later.

``X-Logstreamd-Signature: t=1795316400,v1=5257a869e7…``: ``v1`` is the HMAC-SHA256, in hexadecimal, of the number after
``t=``, a full stop and the body as it was received. A receiver computes it with the shared key, compares in constant
time, and refuses what was signed more than five minutes ago. An attempt that is repeated is signed anew.
"""

from __future__ import annotations

import hashlib
import hmac

__all__ = ["SIGNATURE_HEADER", "sign"]

SIGNATURE_HEADER = "X-Logstreamd-Signature"


def sign(key: str, body: bytes, timestamp: int) -> str:
    """Return the header's value for a body that is sent at a time (seconds since the epoch)."""
    digest = hmac.new(key.encode(), f"{timestamp}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={timestamp},v1={digest}"
