"""Where the embedded server's files lie when the user that runs it can't reach the state directory.

Root's home is 0700 on most systems, and so are the directories root's tools make for temporary use; a server that runs
as an unprivileged user can't get past them, and no permission of a directory that is not ours is changed. The files
then lie in a directory of their own below :data:`RELOCATED`, and a link in the state directory leads there. The link is
the only thing that knows the way: a state directory that was removed and made anew starts with an empty database.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from logstreamd.storage.errors import ClusterError
from logstreamd.storage.os_account import Account, blocking_directory
from logstreamd.storage.state_directory import create_state_dir

__all__ = ["RELOCATED", "place_cluster"]

RELOCATED = Path("/var/lib/logstreamd/clusters")


def place_cluster(wanted: Path, account: Account, *, relocated: Path = RELOCATED) -> Path:
    """Return the directory for the server's files, making it when there is none.

    Args:
        wanted: below the state directory; becomes a link when ``account`` can't reach it.
        account: who runs the server.
        relocated: where directories that were moved away lie.

    Raises:
        ClusterError: the link leads nowhere any more, or there is no place that ``account`` can reach.
    """
    if wanted.is_symlink():
        return _follow(wanted)
    blocked = blocking_directory(account, wanted)
    if blocked is None:
        return create_state_dir(wanted)
    obstacle = f"the user {account.name} that runs PostgreSQL can't pass {blocked} to reach {wanted}"
    if wanted.exists() and any(wanted.iterdir()):
        raise ClusterError(f"{obstacle}: make {blocked} passable again, or run logstreamd as an ordinary user")
    if blocking_directory(account, relocated) is not None:
        raise ClusterError(f"{obstacle}, nor {relocated}: set state_dir to a path it can reach")
    return _relocate(wanted, create_state_dir(relocated))


def _follow(link: Path) -> Path:
    target = link.resolve()
    if not target.is_dir():
        raise ClusterError(
            f"{link} leads to {target}, where the database was, and that is gone: "
            f"bring it back, or remove {link} to start with an empty one"
        )
    return target


def _relocate(wanted: Path, parent: Path) -> Path:
    directory = Path(tempfile.mkdtemp(dir=parent))
    directory.chmod(0o711)
    create_state_dir(wanted.parent)
    if wanted.exists():
        wanted.rmdir()
    try:
        wanted.symlink_to(directory)
    except FileExistsError:  # another daemon was faster; the lock decides between the two
        directory.rmdir()
        return _follow(wanted)
    return directory
