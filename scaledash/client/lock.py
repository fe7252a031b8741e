"""Exclusive locks on a spool directory: who writes it, who sends it.

`flock` where the file system has it: the kernel lets go when the holder ends, however it ends. Else
a file made with O_EXCL that names host and process; it counts as left behind when that process is
gone.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
from pathlib import Path
from types import ModuleType

TRAIN_LOCK = "train.lock"  # held by the training process for as long as it may write
SEND_LOCK = "send.lock"  # held by whoever sends

_fcntl: ModuleType | None
try:
    import fcntl as _fcntl
except ImportError:  # not a POSIX system
    _fcntl = None


class DirectoryLock:
    """One named lock of a directory.

    Parameters
    ----------
    path : Path
        The lock file; its text names the holder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: int | None = None
        self._exclusive: Path | None = None

    def acquire(self) -> bool:
        """Take the lock without waiting; say whether it is ours now."""
        file = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            if _fcntl is None:
                raise OSError("no flock here")
            _fcntl.flock(file, _fcntl.LOCK_EX | _fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
            return False
        except OSError:
            os.close(file)
            return self._acquire_by_file()
        os.ftruncate(file, 0)
        os.pwrite(file, _describe_holder(), 0)
        self._file = file
        return True

    def release(self) -> None:
        """Let go; the lock file stays, so that two waiters never hold two files."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
        if self._exclusive is not None:
            self._exclusive.unlink(missing_ok=True)
            self._exclusive = None

    def read_holder(self) -> str:
        """Say who holds the lock, or held it last: "process 123 on node4"."""
        for path in (self.path, self._name_exclusive()):
            with contextlib.suppress(OSError, ValueError, KeyError):
                holder = json.loads(path.read_text(encoding="utf-8"))
                return f"process {holder['pid']} on {holder['host']}"
        return "an unknown process"

    def _name_exclusive(self) -> Path:
        return self.path.with_suffix(".excl")

    def _acquire_by_file(self) -> bool:
        path = self._name_exclusive()
        if path.exists() and _is_left_behind(path):
            path.unlink(missing_ok=True)
        try:
            file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            return False
        os.write(file, _describe_holder())
        os.close(file)
        self._exclusive = path
        return True


def is_held(path: Path) -> bool:
    """Say whether somebody holds this lock."""
    if not path.exists() and not path.with_suffix(".excl").exists():
        return False
    lock = DirectoryLock(path)
    try:
        taken = lock.acquire()
    except OSError:
        return False  # a read-only copy has no holder
    lock.release()
    return not taken


def _describe_holder() -> bytes:
    return json.dumps({"host": socket.gethostname(), "pid": os.getpid()}).encode()


def _is_left_behind(path: Path) -> bool:
    try:
        holder = json.loads(path.read_text(encoding="utf-8"))
        if holder["host"] != socket.gethostname():
            return False  # cannot be known from here
        os.kill(int(holder["pid"]), 0)
    except ProcessLookupError:
        return True
    except (OSError, ValueError, KeyError):
        return False
    return False
