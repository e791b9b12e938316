from __future__ import annotations

import os
import stat
from pathlib import Path

from logstreamd.storage.state_directory import create_state_dir


def test_new_directories_are_made_without_asking_the_umask_and_old_ones_stay_as_they_are(tmp_path: Path) -> None:
    before = stat.S_IMODE(tmp_path.stat().st_mode)
    umask = os.umask(0o077)
    try:
        create_state_dir(tmp_path / "a/b")
    finally:
        os.umask(umask)
    expected = 0o711 if os.geteuid() == 0 else 0o700
    assert [stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "a", tmp_path / "a/b")] == [expected] * 2
    assert stat.S_IMODE(tmp_path.stat().st_mode) == before
