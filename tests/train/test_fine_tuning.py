"""The notebook's steps: mistakes are found before any of them, and none is done twice."""

import math
import shutil
from pathlib import Path

import pytest
from PIL import Image
from safetensors.torch import load_file, save_file

from synth.errors import InputError, ModelError, RenderError
from synth.jobs import Settings
from synth.layout.parameters import declared
from synth.reporting import notebook_path
from synth.train import drawings
from synth.train.fine_tuning import FineTuning, best, find_runs

SMALL = {"size": 64, "pictures": 24, "steps": 2, "drawn": 2, "learning_rate": 1e-2}


@pytest.fixture(scope="module")
def made(tiny_sd, tmp_path_factory):
    """A fine-tuning of a tiny model on the lesson that ran to its end, its pictures and its run."""
    plan = FineTuning(model=str(tiny_sd), out=str(tmp_path_factory.mktemp("out")), sweep="batch_size=2,4", **SMALL)
    prepared = plan.prepare()
    done = [plan.train(params, prepared) for params in plan.variants]
    return plan, prepared, done


def values_of(plan):
    return {name: getattr(plan, name) for name in plan.__dataclass_fields__}


def times(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*.png")}


def test_the_notebook_declares_every_field_as_it_is_by_default():
    parameters = {name: item.default for name, item in declared(notebook_path("5_fine_tune")).items()}
    assert parameters == values_of(FineTuning())


@pytest.mark.parametrize(("given", "message"), [
    ({"data": "nowhere"}, "source: 'nowhere' cannot be used; give a folder that exists"),
    ({"data": 1984}, "data: 1984 cannot be used; give a text"),
    ({"model": "vignetes"}, "did you mean"),
    ({"steps": 0}, "steps: 0 cannot be used"),
    ({"steps": "many"}, "steps: 'many' cannot be used; give a whole number"),
    ({"learning_rate": "1e-3"}, "learning_rate: '1e-3' cannot be used; give a number"),
    ({"lora_rank": 8.5}, "lora_rank: 8.5 cannot be used"),
    ({"pictures": 1}, "pictures: 1 cannot be used"),
    ({"rehearsal": 2}, "rehearsal: 2 cannot be used"),
    ({"size": 100}, "size: 100 cannot be used; use a multiple of 8"),
    ({"seed": -1}, "seed: -1 cannot be used"),
    ({"drawn": 0}, "drawn: 0 cannot be used"),
    ({"sweep": "lora_rnk=2"}, "did you mean 'lora_rank'"),
    ({"sweep": "kind=vae"}, "leave kind and base out"),
    ({"sweep": "prediction=auto,v_prediction"}, "use one prediction: losses of noise and of v"),
    ({"runs": "dvc"}, "runs: 'dvc' cannot be used; start where `dvc exp show` works"),
    ({"runs": "nowhere/*"}, "runs: 'nowhere/.' cannot be used; give a folder with trainings"),
    ({"runs": "a**b"}, "runs: 'a..b' cannot be used"),
    ({"device": "abacus"}, "device: 'abacus' cannot be used"),
    ({"out": "file"}, "out: 'file' cannot be used; it is a file"),
    ({"out": ""}, "out: '' cannot be used"),
])  # fmt: skip
def test_a_mistake_is_one_error_before_anything_is_made(given, message, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises((InputError, ModelError), match=message):
        FineTuning(**given)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_run_again_it_makes_nothing_anew(made):
    plan, prepared, done = made
    before = {path: path.stat().st_mtime_ns for path in prepared.folder.iterdir()}
    again = FineTuning(**values_of(plan)).prepare()
    assert again.digest == prepared.digest
    assert {path: path.stat().st_mtime_ns for path in again.folder.iterdir()} == before
    assert plan.train(plan.variants[0], again).figures == done[0].figures
    assert best(done).figures["loss"] == min(run.figures["loss"] for run in done)
    assert len({run.folder for run in done}) == 2 and find_runs(plan.out) == sorted(run.folder for run in done)


def test_a_smaller_lesson_leaves_nothing_out(tmp_path):
    for pictures in (6, 4):
        prepared = FineTuning(size=64, pictures=pictures).prepare()
        assert len(prepared) == pictures and not prepared.left_out


def test_a_folder_that_changed_is_prepared_anew(tmp_path):
    (tmp_path / "mine").mkdir()
    for number in range(3):
        Image.new("RGB", (80, 80), (number * 80, 0, 0)).save(tmp_path / "mine" / f"{number}.png")
        (tmp_path / "mine" / f"{number}.txt").write_text(f"red {number}")
    plan = FineTuning(data="mine", **SMALL)
    first = plan.prepare()
    assert plan.prepare().folder == first.folder and len(first) == 3
    (tmp_path / "mine" / "0.txt").write_text("another caption")
    assert "another caption" in plan.prepare().captions("train") + plan.prepare().captions("validation")
    assert FineTuning(data=str(first.folder), **SMALL).prepare().digest == first.digest, (
        "a prepared set is taken as it is"
    )


def test_before_and_after_are_drawn_once_from_the_same_noise(made):
    plan, prepared, (run, _) = made
    asked = drawings.new_captions(prepared, 2)
    assert all(caption.endswith("gold lacquer") for caption, _ in asked)
    before, after = plan.pair(asked, run, 64)
    kept = times(Path(plan.out) / "drawings")
    assert len(kept) == 4
    same, _ = plan.pair(asked, run, 64)
    assert times(Path(plan.out) / "drawings") == kept
    assert [picture.tobytes() for picture in same] == [picture.tobytes() for picture in before]
    assert all(a.size == (64, 64) and a.tobytes() != b.tobytes() for a, b in zip(before, after, strict=True))


def test_it_is_measured_once_for_each_way_of_measuring(made):
    plan, _, (run, _) = made
    first = plan.measure(run)
    written = (run.folder / "evaluation.json").stat().st_mtime_ns
    assert plan.measure(run) == first and (run.folder / "evaluation.json").stat().st_mtime_ns == written
    FineTuning(**values_of(plan) | {"drawn": 1}).measure(run)
    assert (run.folder / "evaluation.json").stat().st_mtime_ns != written


def test_a_damaged_drawing_is_drawn_again(tiny_sd, tmp_path):
    asked, settings = [("a cat", 0), ("a cat", 1)], Settings(steps=1, width=64, height=64)
    first = drawings.draw(asked, str(tiny_sd), settings, tmp_path)
    file = next(tmp_path.glob("*.png"))
    file.write_bytes(file.read_bytes()[:99])
    again = drawings.draw(asked, str(tiny_sd), settings, tmp_path)
    assert [picture.tobytes() for picture in again] == [picture.tobytes() for picture in first]
    assert first[0].tobytes() != first[1].tobytes()


def test_a_picture_that_fails_is_an_error_and_no_black_picture(tiny_sd, tmp_path):
    shutil.copytree(tiny_sd, tmp_path / "broken")
    file = tmp_path / "broken" / "unet" / "diffusion_pytorch_model.safetensors"
    weights = load_file(file)
    save_file(weights | {"conv_out.bias": weights["conv_out.bias"] * math.nan}, file)
    with pytest.raises(RenderError, match="could not draw 'a cat'"):
        drawings.draw([("a cat", 0)], str(file.parents[1]), Settings(steps=1, width=64, height=64), tmp_path / "kept")


def test_the_judge_reads_drawn_scenes_right():
    from synth.vignettes.evaluation import read_list
    from synth.vignettes.world import draw

    pictures = [draw(item.scene, item.seed) for item in read_list()[:12]]
    assert all(figure.value > 0.9 for figure in drawings.right(pictures))
    assert len(drawings.old_captions(5)) == 5
