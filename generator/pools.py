"""What services say: templates for each service and level. ``{…}`` is filled in by :mod:`.messages`.

A pool holds nothing that a step of a pattern says, so that a pattern can be told from the rest by its words.
"""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["POOLS"]

POOLS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "user-service": {
        "DEBUG": (
            "Session cache lookup: {n} entries",
            "Password hash verified in {n} rounds",
            "Loaded preferences from cache",
        ),
        "INFO": (
            "Profile updated",
            "Password changed",
            "Email address confirmed",
            "Avatar uploaded, {n} KiB",
            'Display name set to "{name}"',
        ),
        "WARNING": (
            "Failed login attempt {n} from {ip}",
            "Password reset requested twice within {n} s",
            "Profile picture is {n} px wide, scaled",
        ),
        "ERROR": ("Could not load profile: row not found", "Verification mail not sent: connection refused by {ip}"),
        "CRITICAL": ("User table is read-only",),
    },
    "auth-service": {
        "DEBUG": (
            "Token signature checked with key {n}",
            "Role lookup: customer, reviewer",
            "Clock skew of client {ip} is {n} ms",
        ),
        "INFO": (
            "Access token issued",
            "Access token refreshed",
            "Second factor accepted",
            "Signing key rotated, next is {n}",
        ),
        "WARNING": (
            "Token expires in {n} s",
            "Unknown key id {n} in token",
            "Rate limit near for {ip}: {percent}% used",
        ),
        "ERROR": ("Token rejected: signature does not match", "Identity provider answered 503 after {n} ms"),
        "CRITICAL": ("No signing key left",),
    },
    "order-service": {
        "DEBUG": ("Price rules evaluated: {n}", "Cart loaded, {n} items", "Basket total recalculated"),
        "INFO": (
            "Order {order} shipped",
            "Order {order} packed",
            "Return accepted for order {order}",
            "Invoice sent, order {order}",
        ),
        "WARNING": (
            "Order {order} waits for stock",
            "Shipping estimate is {n} days, promised were 3",
            "Coupon used {n} times today",
        ),
        "ERROR": (
            "Order {order} could not be saved: deadlock detected",
            "Invoice template missing, language {language}",
        ),
        "CRITICAL": ("Order numbers are used up",),
    },
    "payment-service": {
        "DEBUG": ("Fraud score {percent}, limit 80", "Exchange rate EUR/USD loaded", "Card token found"),
        "INFO": (
            "Payment captured, order {order}",
            "Refund of {n} EUR booked",
            "Payment method added",
            "Payout file written, {n} rows",
        ),
        "WARNING": (
            "Payment provider slow: {n} ms",
            "Card expires within {n} days",
            "Fraud score {percent} above 60, order {order}",
        ),
        "ERROR": ("Payment declined: insufficient funds, order {order}", "Payment gateway timed out after {n} ms"),
        "CRITICAL": ("All payment providers are down",),
    },
    "inventory-service": {
        "DEBUG": ("Stock of shelf {n} read", "Reservation index has {n} keys", "Supplier feed unchanged"),
        "INFO": ("Stock updated: {n} units", "Reservation released, order {order}", "Supplier feed read, {n} rows"),
        "WARNING": ("Stock low: {n} units of {item}", "Supplier feed is {n} minutes old", "Shelf {n} counted twice"),
        "ERROR": ("Stock of {item} would be negative", "Supplier feed broken at line {n}: unexpected end"),
        "CRITICAL": ("Stock database is out of disk space",),
    },
    "notification-service": {
        "DEBUG": ("Template rendered, {n} bytes", "Push token still valid", "Queue depth {n}"),
        "INFO": (
            "Mail delivered",
            "Push notification sent to {n} devices",
            "Newsletter queued, {n} recipients",
            "Grüße an {n} Abonnenten versendet",
        ),
        "WARNING": ("Mail deferred by {ip}: greylisted", "Queue depth {n}, above 100", "Push token expired"),
        "ERROR": ("Mail bounced: mailbox full", "Template not found: order-{language}"),
        "CRITICAL": ("Mail queue lost its disk",),
    },
    "api-gateway": {
        "DEBUG": ("Upstream chosen: {ip}", "Response cached for {n} s", "Header X-Forwarded-For has {n} hops"),
        "INFO": (
            "GET /api/products {n} bytes",
            "POST /api/cart accepted",
            "GET /api/orders/{order} {n} bytes",
            "Health check passed, {n} upstreams",
        ),
        "WARNING": (
            "Upstream {ip} slow: {n} ms",
            "Client {ip} sent {n} requests in a second",
            "Deprecated route /v1/cart, client {ip}",
        ),
        "ERROR": ("Upstream {ip} refused the connection", "Response of {ip} cut after {n} bytes"),
        "CRITICAL": ("No healthy upstream left",),
    },
}
"""Service → level → templates."""
