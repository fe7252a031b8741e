"""Facts about the machine, the code and the command, with secrets masked."""

from __future__ import annotations

import os
import platform
import re
import socket
import subprocess
import sys
from pathlib import Path

from scaledash.client.jsonable import MASK, is_secret, mask_text

MAX_DIFF_BYTES = 1024 * 1024
MAX_PACKAGES = 2_000
GIT_SECONDS = 5.0
_PACKAGE = re.compile(r"(.+)-([^-]+)\.(?:dist|egg)-info")


def collect_host(with_git: bool = True, with_code: bool = True) -> dict[str, object]:
    """Return what is known of this machine and job; takes a few to some hundred milliseconds.

    Parameters
    ----------
    with_git : bool
        Commit, branch, remote.
    with_code : bool
        Command line and the difference to the commit.
    """
    facts: dict[str, object] = {
        "hostname": socket.gethostname(),
        "os": platform.platform(terse=True),
        "python": platform.python_version(),
        "cpu_count": os.cpu_count(),
        "gpus": find_gpus(),
        "packages": find_packages(),
        "pid": os.getpid(),
    }
    if with_code:
        facts["command"] = mask_command(sys.argv)
    if with_git:
        facts |= find_git(with_diff=with_code)
    return {name: value for name, value in facts.items() if value not in (None, [], {})}


def mask_command(arguments: list[str]) -> list[str]:
    """Return a command line in which values that look like secrets are masked."""
    masked: list[str] = []
    hide_next = False
    for argument in arguments:
        name, equals, _ = argument.partition("=")
        if hide_next and not argument.startswith("-"):
            masked.append(MASK)
        elif equals and is_secret(name.lstrip("-")):
            masked.append(f"{name}={MASK}")
        else:
            masked.append(mask_text(argument))
        is_option = argument.startswith("-") and not equals
        hide_next = is_option and (is_secret(name.lstrip("-")) or name.lstrip("-") == "token")
    return masked


def find_gpus() -> list[str]:
    """Return the names of NVIDIA GPUs as the driver's files tell them; starts no program."""
    names = []
    for path in sorted(Path("/proc/driver/nvidia/gpus").glob("*/information")):
        try:
            text = path.read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        names += [line.partition(":")[2].strip() for line in text.splitlines() if "Model" in line]
    return names


def find_packages() -> dict[str, str]:
    """Return installed packages and versions, read off the names of their metadata folders."""
    found: dict[str, str] = {}
    for folder in sys.path:
        try:
            entries = os.listdir(folder or ".")
        except OSError:
            continue
        for entry in entries:
            match = _PACKAGE.fullmatch(entry)
            if match and len(found) < MAX_PACKAGES:
                found.setdefault(match[1].replace("_", "-").lower(), match[2])
    return dict(sorted(found.items()))


def find_git(with_diff: bool) -> dict[str, object]:
    """Return commit, branch, remote and uncommitted changes of the working directory."""
    commit = _ask_git("rev-parse", "HEAD")
    if not commit:
        return {}
    diff = _ask_git("diff", "--no-color", "--no-ext-diff", "HEAD") if with_diff else ""
    return {
        "git_commit": commit,
        "git_branch": _ask_git("rev-parse", "--abbrev-ref", "HEAD") or None,
        "git_remote": mask_text(_ask_git("config", "--get", "remote.origin.url")) or None,
        "git_dirty": bool(_ask_git("status", "--porcelain", "--untracked-files=no")),
        "git_diff": mask_text(diff[:MAX_DIFF_BYTES]) or None,
    }


def _ask_git(*arguments: str) -> str:
    try:
        result = subprocess.run(
            ["git", *arguments],
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=GIT_SECONDS,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return result.stdout.decode("utf-8", "replace").strip() if result.returncode == 0 else ""
