"""The audit's notebook runs by its parameters, shows every figure, and renders nothing twice."""

import json

import nbformat
import papermill

from synth.execution import notebook_path

SMALL = {
    "phrases": ["a house", "a tree"], "n": 16, "seeds": 4, "steps": 2,
    "professions": ["by the sea", "in the desert, red"],
    "identities": ["red", "blue"], "profession_seeds": 4, "clusters": 2, "device": "cpu",
}  # fmt: skip
FIGURES = {"texts", "terms", "pictures", "divergences", "exemplars", "clusters", "professions"}


def execute(path, **changes):
    papermill.execute_notebook(
        str(notebook_path("6_bias_audit")), str(path), SMALL | changes, kernel_name="python3", progress_bar=False
    )
    cells = [cell for cell in nbformat.read(path, 4).cells if cell.cell_type == "code"]
    return {(cell.id, kind) for cell in cells for output in cell.outputs for kind in output.get("data", {})}


def test_every_figure_and_table_is_shown_and_a_second_run_renders_nothing(tmp_path):
    shown = execute(tmp_path / "out.ipynb")
    assert {cell for cell, kind in shown if kind == "image/png"} == FIGURES
    assert {"audit", "tests", "professions"} <= {cell for cell, kind in shown if kind == "text/html"}
    times = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("images/*.png")}
    assert len(times) == 2 * 4 + 2 * 4 + 2 * 4
    shown = execute(tmp_path / "again.ipynb", professions=[])
    assert times == {path: path.stat().st_mtime_ns for path in tmp_path.rglob("images/*.png")}
    assert {cell for cell, kind in shown if kind == "image/png"} == FIGURES - {"clusters", "professions"}


def test_it_says_what_it_cannot_tell():
    cells = json.loads(notebook_path("6_bias_audit").read_text())["cells"]
    text = "".join(next(cell["source"] for cell in cells if cell["id"] == "about-limits"))
    for limit in ("A baseline is a choice", "Who is pictured", "That there is no skew", "Where it comes from"):
        assert limit in text
