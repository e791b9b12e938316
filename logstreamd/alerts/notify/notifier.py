"""What a notifier is, and how it fails."""

from __future__ import annotations

from typing import Protocol

from logstreamd.alerts.message import Message

__all__ = ["DeliveryError", "Notifier", "RejectedError", "UnavailableError"]


class DeliveryError(Exception):
    """A message was not delivered; the text never holds a secret."""


class RejectedError(DeliveryError):
    """The receiver does not want this message, now or later."""


class UnavailableError(DeliveryError):
    """The receiver, or the way to it, is in trouble; the message is worth another attempt.

    Args:
        problem: what is wrong.
        retry_after_seconds: what the receiver asked for, 0 when it did not.
    """

    def __init__(self, problem: str, *, retry_after_seconds: float = 0.0) -> None:
        super().__init__(problem)
        self.retry_after_seconds = retry_after_seconds


class Notifier(Protocol):
    """Brings messages to one receiver. One message is sent at a time."""

    async def send(self, message: Message) -> None:
        """Deliver a message; the receiver may see it twice, with the same fingerprints.

        Raises:
            RejectedError: it is of no use to try again.
            UnavailableError: it is.
        """

    async def close(self) -> None:
        """Let go of connections."""
