"""Real services for the whole test run: PostgreSQL, Redis, web, worker, sweeper, Chromium.

The first process of a run starts one PostgreSQL; every process that runs tests starts its own
Redis, so that two xdist workers never share a queue. Fixtures named `live_*` start the real
program; a test that needs one names it and sees in it whatever the test commits.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from urllib.request import urlopen

import pytest

from scaledash import embedded, programs
from scaledash.processes import Child, Command, wait_until_ready
from tests.ports import find_free_port
from tests.scratch import make_scratch_folder

ROOT = Path(__file__).resolve().parent.parent
READY_SECONDS, QUIET_SECONDS = 120.0, 60.0
CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
_RUNNING = contextlib.ExitStack()


def pytest_configure(config: pytest.Config) -> None:
    """Start the services, then load Django's settings with their addresses."""
    if "DJANGO_SETTINGS_MODULE" in os.environ:
        raise pytest.UsageError("Unset DJANGO_SETTINGS_MODULE: the tests start services first.")
    is_worker = hasattr(config, "workerinput")
    scratch = make_scratch_folder()
    _RUNNING.callback(shutil.rmtree, scratch, ignore_errors=True)
    place = embedded.prepare_place(scratch)
    if not is_worker:
        os.environ["DATABASE_URL"] = _RUNNING.enter_context(embedded.run_postgres(place))
    if is_worker or not config.getoption("numprocesses", None):
        os.environ["REDIS_URL"] = _RUNNING.enter_context(embedded.run_redis(place))
    for name in ("BASE_URL", "BIND", "DEBUG", "ALLOWED_HOSTS", "URL", "TOKEN", "API_KEY"):
        os.environ.pop(f"SCALEDASH_{name}", None)
    os.environ["SCALEDASH_HOME"] = str(scratch)
    os.environ["SCALEDASH_SECRET_KEY"] = "only-for-tests-" + "0" * 50
    os.environ["SCALEDASH_REFIT_BOOTSTRAPS"] = "100"  # deep fits take seconds with the default
    static_root = ROOT / ".pytest_cache" / "static"
    static_root.mkdir(parents=True, exist_ok=True)
    os.environ["SCALEDASH_STATIC_ROOT"] = str(static_root)
    os.environ["XDG_CONFIG_HOME"] = str(scratch / "config")
    os.environ["DJANGO_SETTINGS_MODULE"] = "scaledash.settings"
    _simplify_settings(scratch)


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """Hand no settings to xdist's workers: each loads them after it has started its Redis."""
    if session.config.getoption("numprocesses", None):
        del os.environ["DJANGO_SETTINGS_MODULE"]


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop what this process started and remove its directory."""
    _RUNNING.close()


def _simplify_settings(scratch: Path) -> None:
    """In the test process itself: no collected static files, cheap password hashes.

    Without its own empty root, a test client would list the files that another process of the
    run is collecting at that moment.
    """
    from django.conf import settings

    settings.STATIC_ROOT = scratch / "static"
    settings.STATIC_ROOT.mkdir()
    settings.STORAGES["staticfiles"] = {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
    }
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None) -> None:
    """Make no permissions anew each time that tables are emptied: nothing here reads them."""
    from django.db.models.signals import post_migrate

    post_migrate.disconnect(dispatch_uid="django.contrib.auth.management.create_permissions")


@pytest.fixture(scope="session")
def reference_data() -> Callable[[str], Path]:
    """Resolve a reference file by name; skip, naming path and variable, where it is absent."""
    folder = Path(os.environ.get("SCALEDASH_REFERENCE_DATA", ROOT.parent / "shared" / "data"))

    def find_file(name: str) -> Path:
        if not (folder / name).is_file():
            tried = os.path.relpath(folder, ROOT)
            pytest.skip(f"reference data not found at {tried}; set SCALEDASH_REFERENCE_DATA")
        return folder / name

    return find_file


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of a Chrome or Chromium."""
    found = os.environ.get("SCALEDASH_CHROMIUM") or next(
        filter(None, map(shutil.which, CHROMIUM_NAMES)), None
    )
    if found is None:
        pytest.fail("No Chromium found; run `make test`, or set SCALEDASH_CHROMIUM to its path.")
    return found


@pytest.fixture(scope="session")
def process_environment(django_db_setup: None) -> dict[str, str]:
    """The environment of a server process that works on this test process's database."""
    from django.db import connection

    name = connection.settings_dict["NAME"]
    url = os.environ["DATABASE_URL"].replace(f"/{embedded.DATABASE}?", f"/{name}?")
    return programs.inherit_environment({"DATABASE_URL": url})


@pytest.fixture(scope="session")
def _web(
    process_environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    subprocess.run(
        [sys.executable, "manage.py", "assets"], cwd=ROOT, env=process_environment, check=True
    )
    port = find_free_port()
    command = programs.web(
        {**process_environment, "SCALEDASH_BASE_URL": f"http://127.0.0.1:{port}"},
        tmp_path_factory.mktemp("web"),
        "127.0.0.1",
        port,
    )
    with run_until_ready(command, lambda: _is_serving(port)):
        yield f"http://127.0.0.1:{port}"


@pytest.fixture
def live_web(transactional_db: None, _web: str) -> Iterator[str]:
    """Base URL of a real granian process (one for the session)."""
    yield _web
    _wait_for_requests()


def _wait_for_requests() -> None:
    """Let the last requests of pages that are closed end: emptying tables would deadlock."""
    from django.db import connection

    deadline = time.monotonic() + QUIET_SECONDS
    is_busy = True
    with connection.cursor() as cursor:
        while is_busy and time.monotonic() < deadline:
            cursor.execute(
                "SELECT count(*) > 0 FROM pg_stat_activity "
                "WHERE datname = current_database() AND state <> 'idle' "
                "AND pid <> pg_backend_pid()"
            )
            is_busy = cursor.fetchone()[0]


@pytest.fixture
def live_worker(
    transactional_db: None, process_environment: dict[str, str], tmp_path: Path
) -> Iterator[Path]:
    """A real Celery worker, for the time of the test; gives the path of its log."""
    name = f"test-{os.getpid()}@localhost"
    command = programs.worker(process_environment, tmp_path, name)
    command = replace(command, stop_signal=signal.SIGQUIT)  # cold: saves a second a test
    log = command.log_path
    with run_until_ready(command, lambda: log.exists() and " ready." in log.read_text()):
        yield log


@pytest.fixture
def live_sweeper(
    transactional_db: None, process_environment: dict[str, str], tmp_path: Path
) -> Iterator[Path]:
    """A real sweeper, for the time of the test; gives the path of its log."""
    command = programs.sweeper(process_environment, tmp_path)
    with run_until_ready(command, lambda: True):
        yield command.log_path


@contextlib.contextmanager
def run_until_ready(command: Command, is_ready: Callable[[], bool]) -> Iterator[Child]:
    """Run a program; the body starts when it is ready."""
    child = Child(command)
    try:
        wait_until_ready(child, is_ready, READY_SECONDS)
        yield child
    finally:
        child.stop()


def _is_serving(port: int) -> bool:
    try:
        with urlopen(f"http://127.0.0.1:{port}/healthz", timeout=2) as response:
            return response.status == 200
    except OSError:
        return False
