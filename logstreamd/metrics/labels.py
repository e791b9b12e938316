"""The closed sets of labels' values: a label never follows what a peer sends."""

from __future__ import annotations

__all__ = [
    "ALERT_DROP_REASONS",
    "CLOSE_REASONS",
    "DELIVERY_OUTCOMES",
    "DROP_REASONS",
    "EVALUATION_OUTCOMES",
    "HTTP_DENIAL_REASONS",
    "LOG_LEVELS",
    "RELOAD_OUTCOMES",
    "ROTATION_KINDS",
    "TAIL_SKIP_REASONS",
]

DROP_REASONS = ("spool_full", "spool_corrupt", "shutdown", "rate_limited", "not_allowed", "refused", "duplicate")
"""Why a received frame was not kept: the closed set of the label ``reason``.

``refused``: the sender was told and sends it again. ``duplicate``: a request that came again; its first copy is stored.
``rate_limited`` and ``not_allowed``: datagrams over their source's limit, or of a sender that is not on the allow-list;
``/status`` says whose. The others are losses.
"""

CLOSE_REASONS = ("peer", "idle", "deadline", "shutdown", "tls_on_plain_port", "tls_failure", "not_allowed")
"""Why a connection ended: the closed set of the label ``reason``.

``not_allowed``: a reload took its sender off the allow-list; one that is refused at the door was never a connection.
"""

ROTATION_KINDS = ("renamed", "truncated")
"""How a followed file was rotated: the closed set of the label ``kind``."""

HTTP_DENIAL_REASONS = ("address", "host", "token_missing", "token_unknown", "scope_missing")
"""Why a request was turned away before anybody read it: the closed set of the label ``reason``."""

TAIL_SKIP_REASONS = ("slow", "unread")
"""Why a live tail does without a row: the closed set of the label ``reason``."""

DELIVERY_OUTCOMES = ("delivered", "failed", "rejected")
"""How an attempt to deliver a message ended: the closed set of the label ``outcome``. A failed one is repeated."""

EVALUATION_OUTCOMES = ("ok", "failed")
"""How an evaluation of a rule ended: the closed set of the label ``outcome``."""

ALERT_DROP_REASONS = ("queue_full", "expired", "rejected")
"""Why an alert was not told: the closed set of the label ``reason``."""

LOG_LEVELS = ("debug", "info", "warning", "error", "critical")
"""How severe a line of the daemon's own log is: the closed set of the label ``level``."""

RELOAD_OUTCOMES = ("applied", "refused")
"""How a reload of the configuration ended: the closed set of the label ``outcome``."""
