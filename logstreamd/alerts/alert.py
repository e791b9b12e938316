"""An alert as people and other programs are told about it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

__all__ = ["Alert", "fingerprint"]


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert that fires or has resolved.

    Attributes:
        labels: what identifies it, ``alertname`` among them; they never change while it lives.
        annotations: what is said about it; templates are filled in.
        starts_at: when it began to fire.
        ends_at: when it resolved; None while it fires.
        value: what the condition measured last.
        samples: log rows that prove it, as the API shows them, newest first.
        generator_url: where to look at the rule's lines; empty when the daemon has no address to name.
    """

    status: Literal["firing", "resolved"]
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    starts_at: datetime
    ends_at: datetime | None
    value: float
    samples: tuple[Mapping[str, Any], ...] = field(default=())
    generator_url: str = ""

    @property
    def fingerprint(self) -> str:
        """The same for every message about the same alert."""
        return fingerprint(self.labels)


def fingerprint(labels: Mapping[str, str]) -> str:
    """Return 16 hexadecimal digits that stand for a set of labels."""
    digest = hashlib.blake2b(digest_size=8)
    for name, value in sorted(labels.items()):
        # Lengths in front: no two sets of labels are the same bytes.
        for text in (name.encode(), value.encode()):
            digest.update(len(text).to_bytes(4) + text)
    return digest.hexdigest()
