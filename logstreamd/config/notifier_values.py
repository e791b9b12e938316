"""Values that only notifiers have: mailboxes, names of labels and variables, servers."""

from __future__ import annotations

import re

from logstreamd.config.address import ANY_HOST, ListenAddress
from logstreamd.config.problems import shown

__all__ = ["read_label", "read_mailbox", "read_server", "read_switch", "read_user", "read_variable"]

# The names that POSIX.1-2017 section 8.1 leaves to applications.
_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]{0,127}")
# RFC 5321 sections 4.1.2 and 4.5.3.1: a mailbox of ASCII without quoting, 64 and 255 octets.
_MAILBOX = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9.\[\]:-]{1,255}")
_LABEL = re.compile(r"[\x21-\x7e]{1,128}")


def read_variable(value: object) -> str:
    """Return the name of an environment variable; raise ValueError when it is none, or names a setting."""
    if not isinstance(value, str) or not _VARIABLE.fullmatch(value):
        raise ValueError(f"must be the name of an environment variable: A-Z 0-9 _ (got {shown(value)})")
    if value.startswith("LOGSTREAMD_"):
        raise ValueError("must not begin with LOGSTREAMD_: such a variable is a setting")
    return value


def read_mailbox(value: object) -> str:
    """Return the e-mail address; raise ValueError when it is none that a mail header can hold as it is."""
    if not isinstance(value, str) or not _MAILBOX.fullmatch(value):
        raise ValueError(f"must be an e-mail address such as ops@example.org (got {shown(value)})")
    return value


def read_label(value: object) -> str:
    """Return the name of a label; raise ValueError when it is none."""
    if not isinstance(value, str) or not _LABEL.fullmatch(value):
        raise ValueError(f"must be the name of a label, such as alertname or service (got {shown(value)})")
    return value


def read_switch(value: object) -> bool:
    """Return true or false; raise ValueError for anything else, also for 1 and yes."""
    if not isinstance(value, bool):
        raise ValueError(f"must be true or false (got {shown(value)})")
    return value


def read_user(value: object) -> str:
    """Return the user name; raise ValueError for what a server cannot be told."""
    if not isinstance(value, str) or not value.isprintable():
        raise ValueError("must be a user name")
    return value


def read_server(value: object) -> ListenAddress:
    """Return where one server is; raise ValueError for a port or a host that can only be listened on."""
    address = ListenAddress.parse(value)
    if address.host == ANY_HOST or address.port == 0:
        raise ValueError(f"must be one server and its port, such as smtp.example.org:587 (got '{address}')")
    return address
