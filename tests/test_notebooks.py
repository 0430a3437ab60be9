"""The notebooks as they are committed: sources only, parameters papermill and Colab understand, the right badge."""

import json
import os
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import nbformat
import papermill
import psutil
import pytest

from synth.layout.colab import badge, connect, dumps, installation, repository_address
from synth.layout.parameters import declared

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def notebook(request):
    return request.param


def test_there_are_notebooks_and_the_wheel_carries_them():
    tools = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    assert NOTEBOOKS
    assert tools["package-dir"] == {"synth.notebooks": "notebooks"}
    packages = {".".join(path.parent.relative_to(ROOT).parts) for path in (ROOT / "synth").rglob("__init__.py")}
    assert packages | {"synth.notebooks"} == set(tools["packages"])


def test_sources_are_valid_and_without_outputs(notebook):
    content = nbformat.read(notebook, as_version=4)
    nbformat.validate(content)
    for cell in content.cells:
        if cell.cell_type == "code":
            assert cell.outputs == [] and cell.execution_count is None
    assert "widgets" not in content.metadata


def test_one_tagged_cell_declares_parameters_that_papermill_can_inspect(notebook):
    cells = json.loads(notebook.read_text())["cells"]
    tagged = [cell for cell in cells if "parameters" in cell["metadata"].get("tags", [])]
    assert len(tagged) == 1
    inspected = papermill.inspect_notebook(notebook)
    assert list(inspected) == list(declared(notebook))
    assert all(parameter["inferred_type_name"] != "None" for parameter in inspected.values())
    lines = [line for line in tagged[0]["source"] if "=" in line and not line.startswith("#")]
    assert all("# @param" in line for line in lines)


def test_each_cell_is_short(notebook):
    for cell in json.loads(notebook.read_text())["cells"]:
        if cell["cell_type"] == "code" and "parameters" not in cell["metadata"].get("tags", []):
            assert len(cell["source"]) <= 16


def test_badge_and_installation_are_those_of_the_repository_in_pyproject(notebook):
    content = json.loads(notebook.read_text())
    path = notebook.relative_to(ROOT).as_posix()
    connected = connect(content, repository_address(ROOT / "pyproject.toml"), path)
    assert dumps(connected) == notebook.read_text(), "run python -m synth.layout.colab"


def test_the_badge_comes_and_goes_with_the_repository(notebook):
    content = json.loads(notebook.read_text())
    connected = connect(content, "https://github.com/someone/synth", "notebooks/x.ipynb")
    source = "".join(cell["source"][0] for cell in connected["cells"] if "badge" in cell["metadata"].get("tags", []))
    assert "colab.research.google.com/github/someone/synth/blob/main/notebooks/x.ipynb" in source
    assert connect(connect(connected, None, "x"), None, "x") == connect(content, None, "x")
    nbformat.validate(nbformat.from_dict(connected))


def test_addresses_that_colab_cannot_open_get_no_badge():
    assert badge(None, "x") is None and badge("https://gitlab.com/a/b", "x") is None
    assert badge("https://github.com/a/b.git", "n.ipynb").endswith("/github/a/b/blob/main/n.ipynb)")
    assert "git+https://github.com/a/b" in installation("https://github.com/a/b")


def run_papermill(output: Path, *arguments: str, notebook: str = "1_expand_and_render") -> subprocess.CompletedProcess:
    source = str(ROOT / "notebooks" / f"{notebook}.ipynb")
    command = [sys.executable, "-m", "papermill", source, str(output), "-k", "python3", "--no-progress-bar"]
    notes, path = output.with_name("outbound"), os.pathsep.join([f"{ROOT}/tests/guard", os.environ["PYTHONPATH"]])
    how = {"cwd": output.parent, "env": os.environ | {"PYTHONPATH": path, "GUARD": str(notes)}, "timeout": 550}
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, **how)
    assert notes.read_text() == "", "something was looked for outside this machine"
    return done


def test_plain_papermill_refuses_a_phrase_that_it_made_a_number(tmp_path):
    done = run_papermill(tmp_path / "out.ipynb", "-p", "phrase", "1984")
    assert done.returncode != 0
    assert "-r instead of -p keeps a phrase a text" in done.stderr


def test_plain_papermill_runs_the_notebook(tmp_path, tiny_sd, tiny_gpt2):
    arguments = [
        "-r",
        "phrase",
        "1984",
        "-r",
        "model",
        str(tiny_sd),
        "-r",
        "expander",
        str(tiny_gpt2),
        "-r",
        "name",
        "big-brother",
    ]
    for name, value in {
        "n": 2,
        "seeds": 2,
        "steps": 1,
        "width": 64,
        "height": 64,
        "max_new_tokens": 8,
        "pool": 2,
    }.items():
        arguments += ["-p", name, str(value)]
    done = run_papermill(tmp_path / "out.ipynb", *arguments)
    assert done.returncode == 0, done.stderr[-2000:]
    study = tmp_path / "generated_images" / "big-brother"
    assert len(list((study / "images").glob("*.png"))) == 4
    assert (study / "grid.png").is_file()
    outputs = [output for cell in nbformat.read(tmp_path / "out.ipynb", 4).cells for output in cell.get("outputs", [])]
    kinds = [kind for output in outputs for kind in output.get("data", {})]
    assert kinds.count("image/png") == 4
    assert not any("widget" in kind for kind in kinds)


def test_a_killed_kernel_is_one_error_and_the_next_run_goes_on(tmp_path, tiny_sd):
    words = ["report", "-p", 'prompts=["a cat"]', "--model", str(tiny_sd), "--size", "64", "--seeds", "48"]
    command = [sys.executable, "-m", "synth", *words, "--steps", "40", "--name", "killed"]
    images = tmp_path / "generated_images" / "killed" / "images"
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        while not list(images.glob("*.png")):
            assert process.poll() is None
            time.sleep(0.05)
        [kernel] = psutil.Process(process.pid).children(recursive=True)
        kernel.kill()
        _, said = process.communicate(timeout=60)
    safe = {path.name: path.stat().st_mtime_ns for path in images.glob("*.png")}
    assert process.returncode == 2
    assert "Python process ended before it was done" in said.splitlines()[-1] and "Traceback" not in said
    assert 1 <= len(safe) < 48
    subprocess.run(command, check=True, capture_output=True)
    after = {path.name: path.stat().st_mtime_ns for path in images.glob("*.png")}
    assert len(after) == 48
    assert safe.items() <= after.items(), "nothing is rendered twice"


def shown(executed: Path) -> list[tuple[str, str]]:
    """The cell and the kind of each output that is a picture or a page."""
    cells = [cell for cell in nbformat.read(executed, 4).cells if cell.cell_type == "code"]
    outputs = [(cell.id, kind) for cell in cells for output in cell.outputs for kind in output.get("data", {})]
    return [(cell, kind) for cell, kind in outputs if kind != "text/plain"]


def test_the_fine_tuning_is_shown_from_data_to_use_and_goes_on_where_it_was(tmp_path):
    words = {"steps": 2, "pictures": 16, "drawn": 4, "learning_rate": 1e-4, "lora_rank": 2}
    arguments = [word for name, value in words.items() for word in ("-p", name, str(value))]
    done = run_papermill(tmp_path / "out.ipynb", *arguments, notebook="5_fine_tune")
    assert done.returncode == 0, done.stderr[-2000:]
    found = shown(tmp_path / "out.ipynb")
    pictures = [cell for cell, kind in found if kind == "image/png"]
    assert pictures == ["sheet", "data-figures", "training", "rows", "after", "timesteps", *["forgotten"] * 2]
    assert {"data", "measures", "use"} <= {cell for cell, kind in found if kind == "text/html"}
    [run] = (tmp_path / "fine_tuned").glob("unet-rank-2-steps-2-*")
    assert len(list((run / "samples").glob("*.png"))) == 2 and (run / "model" / "README.md").is_file()
    log = (run / "log.jsonl").read_bytes()
    again = run_papermill(tmp_path / "out.ipynb", *arguments, "-r", "sweep", "lora_rank=2,4", notebook="5_fine_tune")
    assert again.returncode == 0, again.stderr[-2000:]
    assert (run / "log.jsonl").read_bytes() == log, "nothing was trained twice"
    assert [cell for cell, _ in shown(tmp_path / "out.ipynb")].count("comparison") == 2
