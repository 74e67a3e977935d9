"""Folders that hold what others on the machine may not read."""

from __future__ import annotations

import os
from pathlib import Path

_OWNER_ONLY = 0o700
#: Others may pass through to a place they know, and see nothing on the way.
_PASSAGE = 0o711


def make_data_dir(folder: Path) -> None:
    """Make the data folder, if there is none.

    Root's lets others pass: the private database in it runs as another user.
    """
    folder.mkdir(mode=_PASSAGE if os.geteuid() == 0 else _OWNER_ONLY, parents=True, exist_ok=True)


def make_private(folder: Path) -> None:
    """Make a folder for its owner alone, if there is none."""
    folder.mkdir(mode=_OWNER_ONLY, parents=True, exist_ok=True)
