"""``python -m logstreamd`` is the command ``logstreamd``."""

from __future__ import annotations

from logstreamd.cli import main

if __name__ == "__main__":
    main()
