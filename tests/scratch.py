"""Folders for servers under test."""

import shutil
import tempfile
from pathlib import Path

TMPFS = Path("/dev/shm")
TMPFS_MIN_FREE_BYTES = 2 * 1024**3


def make_scratch_folder() -> Path:
    """Make a short folder, in memory where there is room: fsync stays on and costs little."""
    parent = None
    if TMPFS.is_dir() and shutil.disk_usage(TMPFS).free > TMPFS_MIN_FREE_BYTES:
        parent = TMPFS
    return Path(tempfile.mkdtemp(prefix="sdt-", dir=parent))
