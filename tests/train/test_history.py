"""What a run's folder tells of it, finished, begun, or no run at all."""

import json
import math

import pytest
from small_runs import small_run

from synth.errors import InputError
from synth.train.history import History, differences


@pytest.fixture(scope="module")
def run(tiny_sd, tmp_path_factory):
    return small_run(tmp_path_factory.mktemp("runs") / "run", tiny_sd)


def with_log(folder, *lines):
    folder.mkdir()
    (folder / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return History.read(folder)


def test_a_training_is_told_as_it_went(run):
    history = History.read(run.folder)
    assert list(history.training["step"]) == [1, 2, 3, 4] and history.seconds > 0
    assert list(history.validations["step"]) == [2, 4] and {"loss", "wrong", "none"} < set(history.validations)
    assert history.metric == "loss" and history.best["loss"] == run.figures["loss"]
    assert history.listens == pytest.approx(run.figures["none"] - run.figures["loss"])
    assert list(history.samples) == [2, 4] and all(path.is_file() for path in history.samples.values())
    assert history.steps == 4 and history.params["steps"] == 4
    assert len(history.captions) == len([name for name in history.captions if name])


def test_what_has_only_begun_has_no_figures_yet(tmp_path):
    history = with_log(tmp_path / "run")
    assert history.steps == 0 and math.isnan(history.seconds) and math.isnan(history.listens)
    assert history.best.empty and history.samples == {} and history.captions == [] and history.params == {}
    assert history.training.empty and history.validations.empty


def test_the_best_validation_is_the_lowest_loss_but_the_highest_psnr(tmp_path):
    losses = [{"step": step, "validation_loss": loss} for step, loss in ((1, 3.0), (2, 1.0), (3, 2.0))]
    ratios = [{"step": step, "validation_psnr": ratio} for step, ratio in ((1, 20.0), (2, 30.0), (3, 25.0))]
    assert with_log(tmp_path / "a", *losses).best["step"] == 2
    assert with_log(tmp_path / "b", *ratios).best["step"] == 2
    shares = [{"step": step, "validation_retrieval": share} for step, share in ((1, 0.2), (2, 0.9), (3, 0.5))]
    assert with_log(tmp_path / "c", *shares).best["step"] == 2


def test_runs_are_named_by_what_differs(tmp_path):
    histories = []
    for name, rank, every in (("a", 2, 10), ("b", 8, 20), ("c", 8, 20)):
        histories.append(with_log(tmp_path / name))
        (tmp_path / name / "params.yaml").write_text(f"train: {{lora_rank: {rank}, validate_every: {every}}}\n")
    assert differences(histories[:2]) == ["lora_rank 2", "lora_rank 8"]
    assert differences(histories) == ["lora_rank 2", "b lora_rank 8", "c lora_rank 8"]
    assert differences(histories[1:]) == ["b", "c"]


def test_what_is_no_training_is_refused(tmp_path):
    with pytest.raises(InputError, match="give the folder of a training, which has a log.jsonl"):
        History.read(tmp_path)
