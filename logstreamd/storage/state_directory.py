"""Where the daemon keeps what must outlive it: the spool and the embedded database.

================================  =============================================================
started                           default
================================  =============================================================
by systemd (``STATE_DIRECTORY``)  the directory systemd made, ``/var/lib/logstreamd``
as root                           ``/var/lib/logstreamd``
as anybody else                   ``$XDG_STATE_HOME/logstreamd`` or ``~/.local/state/logstreamd``
================================  =============================================================

Root's home won't do: the embedded PostgreSQL runs as an unprivileged user, who can't pass a home of 0700.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

__all__ = ["SYSTEM_STATE_DIR", "create_state_dir", "default_state_dir"]

SYSTEM_STATE_DIR = Path("/var/lib/logstreamd")


def default_state_dir(environ: Mapping[str, str] | None = None, *, uid: int | None = None) -> Path:
    """Return the state directory used when the configuration names none.

    Args:
        environ: the environment (default: ours).
        uid: the user we run as (default: our effective uid).
    """
    environ = os.environ if environ is None else environ
    uid = os.geteuid() if uid is None else uid
    if from_systemd := environ.get("STATE_DIRECTORY"):
        return Path(from_systemd.split(":")[0])
    if uid == 0:
        return SYSTEM_STATE_DIR
    state_home = environ.get("XDG_STATE_HOME", "")
    # A relative path there has to be ignored: XDG Base Directory Specification, "Environment variables".
    base = Path(state_home) if state_home.startswith("/") else Path("~/.local/state").expanduser()
    return base / "logstreamd"


def create_state_dir(path: Path) -> Path:
    """Create ``path`` and its missing parents; what exists already is left as it is.

    Root's new directories can be passed by everybody (0711), because the embedded PostgreSQL lives below them
    as another user; what must be private is private in its own directory. Anybody else's are 0700. The umask
    has no say.
    """
    mode = 0o711 if os.geteuid() == 0 else 0o700
    missing = [directory for directory in [path, *path.parents] if not directory.exists()]
    for directory in reversed(missing):
        directory.mkdir(exist_ok=True)
        directory.chmod(mode)
    return path
