"""Imports point one way, `import synth` stays light, and what is imported is declared."""

import ast
import re
import subprocess
import sys
import tomllib
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LAYERS = (
    ("errors",),
    ("jobs",),
    ("presets",),
    ("expansion", "rendering", "journal", "plots"),
    ("studies",),
    ("reporting",),
    ("cli",),
)
HEAVY = {"torch", "diffusers", "transformers", "pandas", "matplotlib"}
# Needed by libraries or people, not by our code.
PLUGINS = {"ipykernel", "jupyter"}
# Imported where they are needed, and asked for by name: they come with an extra.
OPTIONAL = {
    "anyio", "boto3", "botocore", "datasets", "dvc", "fastapi", "fsspec", "httpx", "mlflow", "prometheus_client",
    "pydantic", "ray", "sagemaker", "starlette", "streamlit", "uvicorn",
}  # fmt: skip


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(path): path for path in sorted((ROOT / "synth").rglob("*.py"))}


@cache
def imports(module: str) -> frozenset[str]:
    """What a module imports, anywhere but under TYPE_CHECKING: our modules in full, others by their first name."""
    return frozenset(_imported(ast.parse(MODULES[module].read_text(encoding="utf-8"))))


def _imported(node: ast.AST):
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            continue
        if isinstance(child, ast.Import):
            yield from (_shortened(alias.name) for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            members = (f"{child.module}.{alias.name}" for alias in child.names)
            yield from (member if member in MODULES else _shortened(child.module) for member in members)
        else:
            yield from _imported(child)


def _shortened(name: str) -> str:
    return name if name in MODULES else name.split(".")[0]


def reached(module: str) -> set[str]:
    """All modules of ours that a module imports, directly or not."""
    found, waiting = set(), [module]
    while waiting:
        new = {name for name in imports(waiting.pop()) if name in MODULES and name != "synth"} - found
        found |= new
        waiting += new
    return found


@pytest.mark.parametrize("height", range(len(LAYERS)))
def test_imports_point_one_way(height):
    same_or_above = {f"synth.{name}" for layer in LAYERS[height:] for name in layer}
    for name in LAYERS[height]:
        assert not reached(f"synth.{name}") & same_or_above


def test_nothing_imports_itself_in_a_circle():
    for module in MODULES:
        assert module not in reached(module), f"{module} imports itself through {sorted(reached(module))}"


def test_only_main_imports_the_command_line_and_training_knows_no_studies():
    for module in MODULES:
        if not module.startswith(("synth.cli", "synth.__main__")):
            assert not [name for name in imports(module) if name.startswith("synth.cli")], module
        if module.startswith("synth.train"):
            assert "synth.studies" not in reached(module), module


def test_a_relative_import_is_nowhere():
    for path in MODULES.values():
        assert not re.search(r"^\s*from \.", path.read_text(encoding="utf-8"), re.MULTILINE), path


@pytest.mark.parametrize("statement", [
    "import synth, synth.jobs, synth.presets, synth.errors; dir(synth)",
    "from synth.cli import main\ntry: main(['--help'])\nexcept SystemExit: pass",
    "from synth.cli import main\ntry: main(['report', '--help'])\nexcept SystemExit: pass",
    "from synth.cli import main\nassert main(['study', 'list']) == 0",
])  # fmt: skip
def test_importing_and_helping_load_nothing_heavy(statement):
    program = f"import sys\n{statement}\nsys.exit(', '.join({HEAVY!r} & sys.modules.keys()) or 0)"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, ended.stderr


def test_what_is_imported_is_declared_and_pinned():
    declared = _names(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"])
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    pinned = [line for line in lines if not line.startswith(("#", "-"))]
    homes = packages_distributions()
    outside = {name for module in MODULES for name in imports(module) if name not in MODULES and name != "synth"}
    outside -= OPTIONAL
    used = {homes[name][0].lower().replace("_", "-") for name in outside - sys.stdlib_module_names}
    assert used | PLUGINS == declared == _names(pinned)
    assert all("==" in line for line in pinned) and "-e ." in lines
    assert not {"torchvision", "torchaudio"} & declared


def test_every_package_is_in_the_wheel():
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    found = {name for name, path in MODULES.items() if path.name == "__init__.py"}
    assert set(packages) == found | {"synth.notebooks"}


def _names(requirements: list[str]) -> set[str]:
    return {re.split(r"[\[<>=~!]", text)[0] for text in requirements}
