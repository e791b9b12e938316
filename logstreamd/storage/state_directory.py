"""Making the directories that hold what must outlive the daemon: the spool and the embedded database."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["create_state_dir"]


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
