"""Every public function of the maths says what goes in, what comes out and where it is from."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3] / "fitting" / "maths"
# the slots of `types.Law`, documented there once for all laws
SLOTS = {
    "allocate",
    "decode",
    "design",
    "draw",
    "list_starts",
    "make_terms",
    "predict",
    "predict_rows",
    "prepare",
    "refuse",
    "replicate",
    "review",
    "run",
    "weigh",
}
SOURCE = re.compile(r"arXiv \d{4}\.\d{4,5}|@[0-9a-f]{7}|\b(19|20)\d\d\b|LAWS|DIAGNOSTICS")
# carry data, parse text or keep books; they follow no published method
PLUMBING = {
    "blocks",
    "digest",
    "engine",
    "expression",
    "final_loss",
    "fitters",
    "flops_per_token",
    "lr_points",
    "predict",
    "records",
    "registry",
    "results",
    "rows",
    "screening",
    "types",
}

# analyses of a study that are still growing; take a name out when its docstrings are complete
NOT_YET = {
    "budgets",
    "compute_optimal",
    "flops_per_token",
    "profiles",
    "surfaces",
}


@cache
def list_functions() -> dict[str, tuple[Path, ast.FunctionDef]]:
    found = {}
    for path in sorted(path for path in ROOT.rglob("*.py") if path.stem not in NOT_YET):
        if path.parent.name == "diagnose":
            continue
        for node in ast.parse(path.read_text()).body:
            if not isinstance(node, ast.FunctionDef) or node.name.startswith("_"):
                continue
            found[f"{path.relative_to(ROOT).with_suffix('')}:{node.name}"] = (path, node)
    return found


def is_slot(name: str) -> bool:
    module, function = name.split(":")
    return module.startswith("laws/") and function in SLOTS


DOCUMENTED = [name for name in list_functions() if not is_slot(name)]


def read_section(node: ast.FunctionDef, title: str) -> str:
    doc = ast.get_docstring(node) or ""
    found = re.search(rf"^{title}\n-+\n(.*?)(?=^\w+\n-+\n|\Z)", doc, re.MULTILINE | re.DOTALL)
    return found.group(1) if found else ""


@pytest.mark.parametrize("name", DOCUMENTED)
def test_every_argument_is_described(name: str) -> None:
    _, node = list_functions()[name]
    arguments = [item.arg for item in (*node.args.args, *node.args.kwonlyargs)]
    described = read_section(node, "Parameters")
    missing = [item for item in arguments if not re.search(rf"\b{item}\b.*:", described)]
    assert not missing, f"{name} does not describe {', '.join(missing)} under Parameters"


@pytest.mark.parametrize("name", DOCUMENTED)
def test_every_result_is_described(name: str) -> None:
    _, node = list_functions()[name]
    returns = "None" if node.returns is None else ast.unparse(node.returns)
    assert returns == "None" or read_section(node, "Returns"), f"{name} has no Returns"


def has_source(path: Path, node: ast.FunctionDef) -> bool:
    """Whether the function, its module's docstring or its law names where the method is from."""
    module = ast.parse(path.read_text())
    texts = [read_section(node, "References"), ast.get_docstring(module) or ""]
    if path.parent.name == "laws":
        texts += [line for line in path.read_text().splitlines() if "source=" in line]
        texts += [line for line in path.read_text().splitlines() if line.startswith("SOURCE = ")]
    return any(SOURCE.search(text) or "source=" in text for text in texts)


@pytest.mark.parametrize(
    "name", [n for n in DOCUMENTED if n.split(":")[0].split("/")[-1] not in PLUMBING]
)
def test_every_method_names_its_source(name: str) -> None:
    path, node = list_functions()[name]
    assert has_source(path, node), f"{name} names no source under References"


def test_slots_are_documented_where_a_law_is_defined() -> None:
    text = (ROOT / "types.py").read_text()
    fields = (SLOTS - {"list_starts", "make_terms", "draw"}) | {"starts", "terms", "curve"}
    missing = [
        name for name in fields if not re.search(rf"^    ([\w, ]+, )?{name}[\w, ]* : ", text, re.M)
    ]
    assert not missing
