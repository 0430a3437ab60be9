"""Reports, executed by papermill in real kernels, from a notebook that needs no model.

tests/test_notebooks.py executes the real one.
"""

import json
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from made_up_studies import write_notebook

from synth import execution, reporting
from synth.batches import batch
from synth.errors import InputError, ReportError, StudyError
from synth.reporting import prepare, report
from synth.studies import Study

HOSTILE = "<script>document.title='run'</script> $5 {x} '; \" \\n"


@pytest.fixture
def made_up(tmp_path, monkeypatch):
    """Reports are made by the notebook of made_up_studies; the user's own kernels and start-up files are broken."""
    path = write_notebook(tmp_path / "made_up.ipynb")
    monkeypatch.setattr(reporting, "notebook_path", lambda name: path)
    kernel = tmp_path / "jupyter" / "kernels" / "python3" / "kernel.json"
    kernel.parent.mkdir(parents=True)
    kernel.write_text(json.dumps({"argv": ["/nowhere/python"], "display_name": "broken", "language": "python"}))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    start_up = tmp_path / "ipython" / "profile_default" / "startup" / "0.py"
    start_up.parent.mkdir(parents=True)
    start_up.write_text("raise SystemExit")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    return tmp_path


def request(tmp_path, **parameters):
    return prepare(prompts=["a cat"], out=tmp_path / "out", **parameters)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"phrase": ""}, "at least one word"),
        ({"phrase": None}, "give a phrase"),
        ({"phrase": "x", "prompts": ["y"]}, "not both"),
        ({"phrase": "x" * 10_000}, "at most 2,000"),
        ({"phrase": "a\0b"}, "control character"),
        ({"phrase": 1984}, "give a text"),
        ({"phrase": "x", "stepps": 3}, "'steps'"),
        ({"phrase": "x", "n": "many"}, "whole number"),
        ({"phrase": "x", "n": 0}, "from 1"),
        ({"phrase": "x", "seeds": -1}, "from 1"),
        ({"phrase": "x", "width": 100}, "multiple of 8"),
        ({"phrase": "x", "scheduler": "eular"}, "'euler'"),
        ({"phrase": "x", "model": "sd3"}, "did you mean"),
        ({"phrase": "x", "name": "../up"}, "letters"),
    ],
)
def test_bad_input_is_one_clear_error_before_anything_is_made(arguments, says, tmp_path):
    with pytest.raises(InputError, match=says):
        report(**arguments, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_place_that_cannot_be_used_is_told_before_a_kernel_starts(tmp_path, tiny_sd, monkeypatch):
    monkeypatch.setattr(reporting, "execute", lambda *_: pytest.fail("a kernel was started"))
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "taken").write_text("precious")
    with pytest.raises(InputError, match="it is a file"):
        report(prompts=["a cat"], out=tmp_path / "out" / "taken", model=str(tiny_sd))
    with pytest.raises(StudyError, match="is a file; choose another name"):
        report(prompts=["a cat"], out=tmp_path / "out", name="taken", model=str(tiny_sd))
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["taken"]


def test_many_pictures_need_consent(tmp_path, tiny_sd):
    with pytest.raises(InputError, match="500 pictures"):
        request(tmp_path, seeds=500, model=str(tiny_sd))
    assert request(tmp_path, seeds=500, model=str(tiny_sd), yes=True).plan.pictures == 500


def test_planning_needs_no_torch():
    code = "import sys, synth.reporting; assert not {'torch', 'diffusers', 'transformers'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[1])


def test_a_report_is_complete_and_safe(made_up, tiny_sd):
    made = report(
        prompts=[HOSTILE, "half a cat"], seeds=2, out=made_up / "out", name="r", model=str(tiny_sd), progress=False
    )
    assert (made.folder, made.pictures, made.failed) == (made_up / "out" / "r", 3, 1)
    assert made.html == made.folder / "report.html" and made.notebook == made.folder / "report.ipynb"
    assert Study.open(made.folder).expansion[0].text == HOSTILE.strip()
    page = made.html.read_text()
    assert "<h1>&lt;script&gt;" in page and "<script" not in page
    notebook = nbformat.read(made.notebook, as_version=4)
    printed = "".join(output.text for output in notebook.cells[-1].outputs if output.output_type == "stream")
    assert sys.executable in printed  # the kernel was this Python, although another was registered
    assert not [path for path in made.folder.iterdir() if path.name.startswith(".report")]


def test_a_failing_notebook_is_kept_and_one_sentence(made_up, tiny_sd):
    with pytest.raises(
        ReportError, match=r"cell 3 with ValueError: boom \(what there is: .*r\.failed\.ipynb\)$"
    ) as error:
        report(prompts=["boom"], out=made_up / "out", name="r", model=str(tiny_sd), progress=False)
    kept = Path(str(error.value).rpartition("there is: ")[2].rstrip(")"))
    assert any(
        output.output_type == "error" for cell in nbformat.read(kept, 4).cells for output in cell.get("outputs", [])
    )
    assert not (made_up / "out" / "r").exists()


@pytest.fixture
def other(tmp_path, monkeypatch):
    """A notebook that makes no study of its own."""
    cells = [
        nbformat.v4.new_markdown_cell("# A small one", metadata={"tags": ["notebook-only"]}),
        nbformat.v4.new_code_cell(
            'phrase: str = "x"\ntimes: int = 1\nout: str = "generated_images"', metadata={"tags": ["parameters"]}
        ),
        nbformat.v4.new_code_cell("print(phrase * times)"),
    ]
    path = tmp_path / "9_small.ipynb"
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), path)
    found = execution.notebooks() | {"9_small": path}
    monkeypatch.setattr(execution, "notebooks", lambda: found)
    return tmp_path / "out"


def test_any_notebook_becomes_a_page(other):
    asked = prepare(notebook="9", phrase="ab <b>", times=2, out=other)
    assert not asked.is_done and asked.title == "ab <b>"
    made = report(notebook="9_small", phrase="ab <b>", times=2, out=other, progress=False)
    assert made.folder == asked.folder and made.folder.name.startswith("ab-b-9-")
    assert "ab &lt;b&gt;ab &lt;b&gt;" in made.html.read_text()
    assert asked.is_done
    assert not prepare(notebook="9", phrase="ab <b>", times=3, out=other).is_done
    named = report(notebook="9", out=other, name="mine", progress=False)
    assert named.html == other / "mine" / "report.html"
    assert not prepare(notebook="9", times=2, name="mine", out=other).is_done


def test_a_notebook_and_its_parameters_are_checked_first(other):
    with pytest.raises(InputError, match="did you mean '9_small'"):
        prepare(notebook="9_smal", out=other)
    with pytest.raises(InputError, match="did you mean 'times'"):
        prepare(notebook="9", tmes=2, out=other)
    assert prepare(notebook="9", out=other).title == "A small one"


def test_a_batch_runs_any_notebook(other, tmp_path):
    table = tmp_path / "rows.csv"
    table.write_text("notebook,phrase,times\n9,a,2\n9_small,b,3\n")
    ran = batch(table, out=other, progress=False)
    assert [outcome.status for outcome in ran.outcomes] == ["done", "done"]
    assert ran.index.read_text().count('href="') == 2
    before = [(outcome.folder / "report.html").stat().st_mtime_ns for outcome in ran.outcomes]
    again = batch(table, out=other, progress=False)
    assert [(outcome.folder / "report.html").stat().st_mtime_ns for outcome in again.outcomes] == before
    table.write_text("phrase,times\na,2\n")
    assert batch(table, notebook="9", out=other, progress=False).failed == 0
