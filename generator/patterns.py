"""Stories that take several lines: state machines, one line per state, all lines with the same ids."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["PATTERNS", "Pattern", "Step"]


@dataclass(frozen=True, slots=True)
class Step:
    """One state: the line that is written when it is reached.

    Attributes:
        message: ``{subject}`` is what the story is about.
        pause_seconds: how long the state before lasts, at least and at most.
        duration_ms: the same for the duration on the line.
    """

    name: str
    level: str
    service: str
    message: str
    pause_seconds: tuple[float, float]
    duration_ms: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Pattern:
    """A story.

    Attributes:
        subjects: what it can be about.
        steps: its states in order.
        start_chance: that a line of the first step's level begins one.
    """

    name: str
    subjects: tuple[str, ...]
    steps: tuple[Step, ...]
    start_chance: float


_AT_ONCE = (0.0, 0.0)
_THINKING = (1.0, 8.0)
_WORKING = (0.005, 0.120)
_GETTING_WORSE = (0.5, 4.0)

# The chances make patterns about a fifth of the lines with the default weights, and leave every level they need some
# lines of its own: the 5 % of DEBUG lines have to serve two steps of each API request.
PATTERNS: tuple[Pattern, ...] = (
    Pattern(
        "user session",
        ("a lamp", "an oak desk", "two chairs", "a kettle", "a rug"),
        (
            Step("login", "INFO", "user-service", "User login successful", _AT_ONCE, (80, 240)),
            Step("browse", "INFO", "inventory-service", "User looks at {subject}", _THINKING, (10, 90)),
            Step("purchase", "INFO", "order-service", "User purchased {subject}", _THINKING, (120, 600)),
            Step("logout", "INFO", "user-service", "User logged out", _THINKING, (5, 40)),
        ),
        start_chance=0.03,
    ),
    Pattern(
        "API request",
        ("GET /api/orders", "POST /api/orders", "GET /api/invoices", "PUT /api/cart"),
        (
            Step("request", "INFO", "api-gateway", "API request received: {subject}", _AT_ONCE, (1, 4)),
            Step("auth", "DEBUG", "auth-service", "API request authorised: {subject}", _WORKING, (2, 20)),
            Step("process", "INFO", "order-service", "API request in process: {subject}", _WORKING, (5, 60)),
            Step("query", "DEBUG", "order-service", "API request queried the database: {subject}", _WORKING, (1, 45)),
            Step("response", "INFO", "api-gateway", "API response sent: {subject}", _WORKING, (15, 250)),
        ),
        start_chance=0.015,
    ),
    Pattern(
        "error recovery",
        ("payment provider", "stock database", "mail relay", "search index"),
        (
            Step("warning", "WARNING", "payment-service", "Slow answers of the {subject}", _AT_ONCE, (500, 1_500)),
            Step(
                "degraded",
                "WARNING",
                "payment-service",
                "Degraded: every other call to the {subject} is repeated",
                _GETTING_WORSE,
                (1_000, 3_000),
            ),
            Step(
                "error",
                "ERROR",
                "payment-service",
                "Call to the {subject} failed: timed out",
                _GETTING_WORSE,
                (3_000, 5_000),
            ),
            Step(
                "circuit open",
                "ERROR",
                "payment-service",
                "Circuit open for the {subject}, calls answered from cache",
                _GETTING_WORSE,
                (1, 5),
            ),
            Step(
                "recovery",
                "INFO",
                "payment-service",
                "Recovered: {subject} answers again, circuit closed",
                _GETTING_WORSE,
                (20, 200),
            ),
        ),
        start_chance=0.05,
    ),
)
"""The stories that are told."""
