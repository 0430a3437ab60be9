"""The options of many workers on the command line, and batches that are scattered."""

import pandas
import pytest
from test_reporting import made_up

from synth.batches import batch
from synth.cli import main
from synth.errors import RenderError
from synth.scale.crews import crew
from synth.studies import Study

__all__ = ["made_up"]
SMALL = ["--seeds", "2", "--steps", "2", "--size", "64", "--device", "cpu"]


def words(tiny_sd, tiny_gpt2, *more):
    models = ["--model", str(tiny_sd), "--expander", str(tiny_gpt2), "--max-new-tokens", "6"]
    return ["study", "run", "a house", "--n", "2", *models, *SMALL, "--name", "house", *more]


def test_a_study_goes_to_processes_and_another_into_a_store(tiny_sd, tiny_gpt2, tmp_path, capsys):
    assert main(words(tiny_sd, tiny_gpt2, "--engine", "processes", "--workers", "2")) == 0
    frame = Study.open("house").frame()
    assert len(frame) == 4 and (tmp_path / "generated_images/house/grid.png").is_file()

    store = ["--store", f"file://{tmp_path}/store"]
    assert main(words(tiny_sd, tiny_gpt2, *store, "--out", "elsewhere")) == 0
    assert "4 pictures in file://" in capsys.readouterr().out
    assert main(["log", "elsewhere/house", *store, "--parquet", "rows.parquet"]) == 0
    assert list(pandas.read_parquet("rows.parquet")["key"]) == list(frame["key"])


@pytest.mark.parametrize(("given", "message"), [
    (["--workers", "2"], "workers: '2' cannot be used; give --engine too"),
    (["--engine", "rai"], "engine: 'rai' cannot be used; did you mean 'ray'?"),
    (["--engine", "processes", "--workers", "two"], "workers: 'two' cannot be used; give a whole number"),
    (["--engine", "processes", "--address", "auto"], "give it with the engine ray only"),
    (["--store", "here"], "store: "),
    (["--plan", "--price", "cheap"], "price: 'cheap' cannot be used; give a number"),
])  # fmt: skip
def test_a_mistake_is_told_before_anything_is_made(given, message, tiny_sd, tiny_gpt2, tmp_path, capsys):
    assert main(words(tiny_sd, tiny_gpt2, *given)) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "generated_images/house").exists()


def test_a_batch_goes_to_whoever_scatters_it(made_up, tiny_sd, capsys):
    file = made_up / "rows.yaml"
    file.write_text("- prompts: [a cat]\n- prompts: [a dog]\n", encoding="utf-8")

    def backwards(task, items):
        yield 1, task(items[1])
        yield 0, RenderError("3 workers died over it")

    made = batch(file, out=made_up / "out", model=str(tiny_sd), seeds=1, scatter=backwards)
    assert [(outcome.status, outcome.error) for outcome in made.outcomes] == [
        ("failed", "3 workers died over it"), ("done", ""),
    ]  # fmt: skip
    told = capsys.readouterr().err
    assert told.index("row 2 of 2 is done") < told.index("row 1 of 2 is failed")


def test_rows_of_a_batch_reach_other_processes(tmp_path, tiny_sd):
    file = tmp_path / "rows.csv"
    file.write_text("prompts,notebook\na cat,1\n", encoding="utf-8")
    workers = crew("processes", workers=1, device="cpu")
    made = batch(file, out="out", model=str(tiny_sd), seeds=1, steps=1, width=64, height=64, scatter=workers.scatter)
    assert [outcome.status for outcome in made.outcomes] == ["done"]
    assert (made.outcomes[0].folder / "report.html").is_file()
