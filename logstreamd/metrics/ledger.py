"""The ledger: every frame that came in is somewhere."""

from __future__ import annotations

from dataclasses import asdict, dataclass

__all__ = ["LedgerLine"]


@dataclass(frozen=True, slots=True)
class LedgerLine:
    """The ledger of one input, in frames."""

    received: int
    recovered: int
    stored: int
    quarantined: int
    dropped: int
    spooled: int
    in_flight: int

    @property
    def imbalance(self) -> int:
        """Frames that came in and are nowhere (positive), or came out of nowhere (negative); 0 when all is well."""
        out = self.stored + self.quarantined + self.dropped + self.spooled + self.in_flight
        return self.received + self.recovered - out

    def as_dict(self) -> dict[str, int]:
        """Return the terms and the imbalance by name."""
        return {**asdict(self), "imbalance": self.imbalance}
