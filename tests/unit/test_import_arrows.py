"""The source tree's own rules: imports point one way, nothing heavy loads early, nothing dangerous is used at all."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from deepscreen.detectors.registry import DETECTORS

SRC = Path(__file__).resolve().parents[2] / "src"
PACKAGE = "deepscreen"
# From what knows nothing to what knows all. Units of one layer do not know each other.
LAYERS: tuple[tuple[str, ...], ...] = (
    ("errors", "absence", "process"),
    ("settings",),
    ("findings",),
    ("record",),
    ("media", "solve_it", "weights"),
    ("faces", "fingerprints"),
    ("detectors",),
    ("evidence",),
    ("scoring",),
    ("method", "screened"),
    ("screening",),
    ("report", "store"),
    ("kept",),
    ("register",),
    ("bundle",),
    ("scanning",),
    ("evaluation", "training"),
    ("engine",),
    ("api",),
    ("web", "client"),
    ("cli",),
)
RANK = {unit: rank for rank, layer in enumerate(LAYERS) for unit in layer}
WORKBENCH = frozenset({"evaluation", "training"})  # know each other; only the command line knows them
UNSAFE_MODULES = frozenset({"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"})
NETWORK_MODULES = frozenset(
    {"requests", "httpx", "aiohttp", "urllib3", "http.client", "urllib.request", "ftplib", "smtplib"}
)
ASK_FOR_THE_PATH = frozenset({"deepscreen.media.sandbox", "deepscreen.media.isolation"})
# Whom a setting names, or who uses the client, may be asked by these; nothing else calls out.
MAY_CALL = (
    "deepscreen.api.identity",
    "deepscreen.api.webhook_sender",
    "deepscreen.client",
    "deepscreen.store.authority",
)
HEAVY_MODULES = (
    "torch",
    "torchvision",
    "transformers",
    "numpy",
    "cv2",
    "librosa",
    "sklearn",
    "av",
    "PIL",
    "fastapi",
    "pydantic",
)


@dataclass(frozen=True, slots=True)
class Import:
    """One import statement: which module names which, and on what line."""

    importer: str
    imported: str
    line: int

    def __str__(self) -> str:
        return f"{self.importer}:{self.line} imports {self.imported}"


def module_name(path: Path) -> str:
    parts = path.relative_to(SRC).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in sorted((SRC / PACKAGE).rglob("*.py"))}
TREES = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in MODULES.items()}


def imports_of(module: str) -> Iterator[Import]:
    """All imports, also those within functions and those for the type checker: a type is a dependency too."""
    for node in ast.walk(TREES[module]):
        if isinstance(node, ast.Import):
            yield from (Import(module, alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}:{node.lineno}: relative import"
            base = node.module or ""
            for alias in node.names:
                full = f"{base}.{alias.name}"
                yield Import(module, full if full in MODULES else base, node.lineno)


ALL_IMPORTS = [found for module in MODULES for found in imports_of(module)]


def unit_of(module: str) -> str:
    """The part of the design that a module belongs to: its package, or its own name; all of the command line is one."""
    first = module.removeprefix(PACKAGE).removeprefix(".").split(".")[0]
    return "cli" if first in {"cli", "__main__"} or first.startswith("cli_") else first


def calls(module: str) -> Iterator[tuple[str, ast.Call]]:
    for node in ast.walk(TREES[module]):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


def breaks_the_arrow(found: Import) -> bool:
    importer, imported = unit_of(found.importer), unit_of(found.imported)
    if importer == imported or {importer, imported} == WORKBENCH:
        return False
    if imported in WORKBENCH:
        return importer != "cli"
    return RANK[imported] >= RANK[importer]


def test_every_module_has_its_place_in_the_layers() -> None:
    assert {unit_of(module) for module in MODULES if module != PACKAGE} == set(RANK)


def test_imports_point_one_way() -> None:
    own = [i for i in ALL_IMPORTS if i.imported.startswith(f"{PACKAGE}.") and i.importer != PACKAGE]
    assert len(own) > 100, "the search found next to nothing: it is the test that is broken"
    assert [str(i) for i in own if breaks_the_arrow(i)] == []


def test_arrow_rule_notices_a_wrong_import() -> None:
    assert breaks_the_arrow(Import("deepscreen.faces", "deepscreen.detectors.contract", 1))
    assert breaks_the_arrow(Import("deepscreen.media.probe", "deepscreen.weights.store", 1))
    assert breaks_the_arrow(Import("deepscreen.screening", "deepscreen.training.labelled", 1))
    assert not breaks_the_arrow(Import("deepscreen.cli_fit", "deepscreen.training.labelled", 1))


def test_no_module_imports_from_the_public_package() -> None:
    """It offers the names of all layers: who imports from it may get any of them. (Some ask for its path.)"""
    found = [i for i in ALL_IMPORTS if i.imported == PACKAGE]
    assert [str(i) for i in found if i.importer not in ASK_FOR_THE_PATH] == []


def test_nothing_unpickles() -> None:
    assert [str(i) for i in ALL_IMPORTS if i.imported.split(".")[0] in UNSAFE_MODULES] == []


def test_nothing_is_loaded_with_a_loader_that_can_run_code() -> None:
    found = []
    for module in MODULES:
        for name, call in calls(module):
            options = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
            is_unsafe_torch = name == "torch.load" and options.get("weights_only") != "True"
            is_unsafe_numpy = name in {"np.load", "numpy.load"} and options.get("allow_pickle", "False") != "False"
            if is_unsafe_torch or is_unsafe_numpy or name in {"eval", "exec", "yaml.load", "os.system"}:
                found.append(f"{module}:{call.lineno} calls {name}")
    assert found == []


def test_no_module_brings_a_network_client() -> None:
    """Weights are pulled by pip in a process of its own; only what a setting names is ever asked."""
    found = [i for i in ALL_IMPORTS if i.imported in NETWORK_MODULES]
    assert [str(i) for i in found if not i.importer.startswith(MAY_CALL)] == []


def test_nothing_prints_outside_the_command_line() -> None:
    found = [f"{m}:{c.lineno}" for m in MODULES if unit_of(m) != "cli" for name, c in calls(m) if name == "print"]
    assert found == []


def test_no_subprocess_goes_through_a_shell() -> None:
    found = [
        f"{module}:{call.lineno}"
        for module in MODULES
        for _, call in calls(module)
        if any(k.arg == "shell" and ast.unparse(k.value) != "False" for k in call.keywords)
    ]
    assert found == []


@pytest.mark.parametrize("name", DETECTORS)
def test_detector_row_names_a_file_with_a_card_and_a_build_function(name: str) -> None:
    module, _, function = DETECTORS[name].partition(":")
    assert module in MODULES
    names = {node.name for node in TREES[module].body if isinstance(node, ast.FunctionDef)}
    targets = {ast.unparse(t) for node in TREES[module].body if isinstance(node, ast.Assign) for t in node.targets}
    assert function in names
    assert "CARD" in targets


@pytest.mark.parametrize("module", ["deepscreen", "deepscreen.errors", "deepscreen.absence"])
def test_import_loads_nothing_heavy(module: str) -> None:
    program = f"import sys, {module}; print(*sorted(set({HEAVY_MODULES!r}) & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split() == []


def test_client_loads_none_of_the_networks() -> None:
    heavy = ("torch", "transformers", "cv2", "librosa", "sklearn", "av", "fastapi")
    program = f"import sys, deepscreen.client; print(*sorted(set({heavy!r}) & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split() == []


def test_service_that_leaves_screening_to_workers_loads_none_of_the_networks() -> None:
    heavy = ("torch", "torchvision", "transformers", "librosa", "sklearn")
    program = (
        "import sys, deepscreen.api.server, deepscreen.engine.run_worker; "
        f"print(*sorted(set({heavy!r}) & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split() == []


def test_command_line_starts_without_the_networks() -> None:
    heavy = ("torch", "transformers", "cv2", "librosa", "sklearn", "av", "fastapi")
    program = f"import sys, deepscreen.cli; print(*sorted(set({heavy!r}) & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split() == []


def test_every_test_file_has_a_name_of_its_own() -> None:
    """pytest imports them by it: two of one name break the whole run, and only the whole run."""
    names = Counter(path.name for path in Path(__file__).parents[1].rglob("test_*.py"))
    assert [name for name, count in names.items() if count > 1] == []
