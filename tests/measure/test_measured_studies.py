"""Measures become columns of the log, with known values on the world's own drawings."""

import io
import shutil

import numpy as np
import pytest
from drawn_studies import SCENES, drawn_study
from PIL import Image
from scipy import stats
from transformers import CLIPConfig, CLIPModel, CLIPTokenizer

from synth.errors import InputError, ModelError, StudyError
from synth.jobs import Settings
from synth.measure import look
from synth.measure.clip import Clip
from synth.measure.diversity import vendi
from synth.measure.kid import kid
from synth.measure.studies import GROUPED, MEASURES, measure, measured, summary
from synth.presets import PRESETS
from synth.records.pictures import read_picture
from synth.records.rows import read_log
from synth.studies import Study, study
from synth.vignettes.world import draw


def jpeg(picture: Image.Image) -> Image.Image:
    data = io.BytesIO()
    picture.save(data, "JPEG", quality=70)
    return Image.open(data).convert("RGB")


@pytest.fixture(scope="module")
def drawn(tmp_path_factory) -> Study:
    """Two captions by 5 seeds: the castle's second picture shows the cat, its third is its first again; one failed."""
    odd = {1: draw(SCENES[1], 99, 128), 2: jpeg(draw(SCENES[0], 0, 128)), 9: None}
    return drawn_study(tmp_path_factory.mktemp("studies") / "drawn", seeds=5, odd=odd)


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reference")
    (folder / "more").mkdir()
    for number in range(6):
        draw(SCENES[number % 2], 50 + number, 128).save(folder / ("more" if number % 2 else "") / f"{number}.png")
    return folder


@pytest.fixture(scope="module")
def frame(drawn, reference):
    return measure(drawn, reference=reference, device="cpu", progress=False)


def images(drawn: Study) -> list[Image.Image]:
    rows = drawn.frame().query("status == 'done'")
    return [read_picture(drawn.folder / path).image for path in rows["path"]]


def test_every_measure_is_a_column_with_what_measured_it(frame):
    assert measured(frame) == [*MEASURES, "kid_low", "kid_high"]
    done = frame[frame["status"] == "done"]
    assert len(done) == 9 and done[[*MEASURES]].notna().all(axis=None)
    assert frame.loc[frame["status"] == "failed", [*MEASURES]].isna().all(axis=None)
    for name in MEASURES:
        [model] = done[f"{name}_model"].unique()
        assert "synth " in model
        assert ("over the study" in model) == (name in GROUPED)
    assert done["clip_phrase_model"].str.contains("vignettes-clip sha256:[0-9a-f]{64}").all()
    assert done["attributes_phrase_model"].str.contains("vignettes-judge sha256:[0-9a-f]{64}").all()
    assert done["kid_model"].str.contains("against 6 pictures sha256:[0-9a-f]{64}").all()
    assert done["near_duplicates_model"].str.contains("imagehash 4").all()


def test_the_files_of_the_log_have_them_too(drawn, frame):
    read = read_log(drawn.folder / "log.csv")
    assert read["clip_prompt"].tolist() == pytest.approx(frame["clip_prompt"].tolist(), nan_ok=True)
    assert read["kid_model"].equals(frame["kid_model"])


def test_the_judge_sees_which_picture_is_wrong(frame):
    castles = frame[frame["prompt_index"] == 0].sort_values("seed")
    assert castles["attributes_prompt"].tolist() == pytest.approx([1, 0, 1, 1, 1], abs=0.35)
    assert castles["attributes_prompt"].iloc[1] <= 1 / 3
    assert castles["clip_prompt"].idxmin() == castles.index[1]


def test_the_copy_is_a_near_duplicate(frame):
    assert frame.sort_values(["prompt_index", "seed"])["near_duplicates"].dropna().tolist() == [1, 0, 1] + [0] * 6


def test_each_value_is_that_of_its_function(drawn, frame, reference):
    pictures, clip = images(drawn), Clip.load("vignettes-clip", "cpu")
    done = frame[frame["status"] == "done"]
    assert done["sharpness"].tolist() == pytest.approx([look.sharpness(picture) for picture in pictures])
    assert done["colourfulness"].tolist() == pytest.approx([look.colourfulness(picture) for picture in pictures])
    assert done["clip_phrase"].tolist() == pytest.approx(clip.score(pictures, list(done["phrase"])), rel=1e-5)
    assert done["vendi_pictures"].unique() == pytest.approx([vendi(clip.embed_pictures(pictures))], rel=1e-5)
    others = [Image.open(path) for path in sorted(reference.rglob("*.png"))]
    figure = kid(clip.features(pictures), clip.features(others))
    found = done[["kid", "kid_low", "kid_high"]].drop_duplicates().to_numpy()
    assert found == pytest.approx(np.array([[figure.value, figure.low, figure.high]]), rel=1e-4)


def test_the_summary_has_a_row_each_and_an_interval_for_what_is_a_sample(frame):
    table = summary(frame).set_index("measure")
    assert list(table.index) == measured(frame)
    assert table.loc[list(GROUPED), "low"].isna().all()
    sharpness = table.loc["sharpness"]
    by_seed = frame.groupby("seed")["sharpness"].mean()  # 5 of them: pictures from the same noise are alike
    expected = stats.ttest_1samp(by_seed, 0).confidence_interval(0.95)
    assert sharpness["mean"] == pytest.approx(by_seed.mean())
    assert (sharpness["low"], sharpness["high"]) == pytest.approx((expected.low, expected.high))
    assert (table["pictures"] == 9).all()
    few = frame[frame["seed"] == 0]  # of two prompts
    single = summary(few).set_index("measure").loc["sharpness"]
    expected = stats.ttest_1samp(few["sharpness"], 0).confidence_interval(0.95)
    assert (single["low"], single["high"]) == pytest.approx((expected.low, expected.high))
    assert summary(few.head(1)).set_index("measure")[["low", "high"]].isna().all(axis=None)


def test_a_group_is_what_shares_its_place_on_the_axes(tmp_path):
    same = {number: draw(SCENES[0], 5, 128) for number in range(4)}  # all of the first cell
    swept = drawn_study(tmp_path / "swept", seeds=2, axes=["steps=5,6"], odd=same)
    frame = measure(swept, ["vendi_pictures", "near_duplicates", "self_bleu"], device="cpu", progress=False)
    frame = frame.merge(swept.coordinates(), on="key", suffixes=("", "_label"))
    by_cell = frame.groupby("steps_label")[["vendi_pictures", "near_duplicates"]].agg(["min", "max"])
    assert by_cell.loc["5"].tolist() == pytest.approx([1, 1, 3, 3], abs=1e-5)
    assert by_cell.loc["6", "vendi_pictures"].min() > 1.5 and by_cell.loc["6", ("near_duplicates", "max")] == 0
    assert measured(frame) == ["near_duplicates", "vendi_pictures", "self_bleu"]
    assert frame["vendi_pictures_model"].str.contains("over each steps").all()


def test_of_a_cell_with_too_few_pictures_there_is_no_kid(tmp_path, reference):
    swept = drawn_study(tmp_path / "swept", seeds=2, axes=["steps=5,6"], odd={0: None})
    frame = measure(swept, ["kid"], reference=reference, device="cpu", progress=False)
    assert frame.groupby("steps")["kid"].count().tolist() == [0, 4]


def test_measuring_again_takes_the_place_of_the_first(tmp_path):
    made = drawn_study(tmp_path / "again", seeds=1)
    measure(made, ["sharpness"], progress=False)
    frame = measure(made, ["sharpness", "sharpness"], progress=False)
    assert measured(frame) == ["sharpness"] and len(frame) == 2


def tiny_clip(folder):
    """A CLIP with random weights, and the bundled tokenizer."""
    text = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    tokenizer = CLIPTokenizer.from_pretrained(PRESETS["vignettes-clip"].folder)
    words = {"vocab_size": len(tokenizer), "bos_token_id": 0, "eos_token_id": tokenizer.eos_token_id}
    config = CLIPConfig(
        text_config=text | words, vision_config=text | {"image_size": 32, "patch_size": 8}, projection_dim=8
    )
    CLIPModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.mark.parametrize("shape", ["tiny_sd", "tiny_sdxl"])
def test_other_renderers_and_clips_are_measured_by_the_same_code(shape, request, tmp_path, reference):
    made = study(
        prompts=["a red castle", "a photo of my uncle"], seeds=2, model=str(request.getfixturevalue(shape)),
        settings=Settings(steps=2, width=64, height=64), out=tmp_path, name="other", device="cpu", progress=False,
    )  # fmt: skip
    folder = tiny_clip(tmp_path / "clip")
    frame = measure(made, clip=str(folder), reference=reference, device="cpu", progress=False)
    named = measured(frame)
    assert "attributes_phrase" not in named and "kid" in named
    assert frame[named].notna().all(axis=None)
    assert frame["clip_phrase_model"].str.contains(f"{folder} sha256:", regex=False).all()
    asked = measure(made, ["attributes_phrase"], progress=False)
    assert asked.groupby("phrase")["attributes_phrase"].count().to_dict() == {
        "a red castle": 2,
        "a photo of my uncle": 0,
    }


@pytest.mark.parametrize(("arguments", "words"), [
    ({"measures": ["clip_frase"]}, "measure: 'clip_frase' cannot be used; did you mean 'clip_phrase'"),
    ({"measures": ["kid"]}, "reference: None cannot be used; give a folder"),
    ({"measures": ["sharpness"], "reference": "."}, "only kid compares with it"),
    ({"reference": "nowhere"}, "reference: 'nowhere' cannot be used; give a folder of at least 4 pictures"),
    ({"clip": "vignettes"}, "one of: vignettes-clip"),
])  # fmt: skip
def test_what_cannot_be_measured_is_told_before_a_model_is_loaded(drawn, arguments, words, monkeypatch):
    monkeypatch.setattr("synth.measure.clip.CLIPModel.from_pretrained", lambda *_, **__: pytest.fail("loaded"))
    with pytest.raises(InputError, match=words):
        measure(drawn, progress=False, **arguments)


def test_a_reference_that_is_no_picture_is_told(drawn, reference, tmp_path):
    bad = shutil.copytree(reference, tmp_path / "bad")
    (bad / "5.png").write_text("no picture")
    with pytest.raises(InputError, match=r"reference: .*5\.png' cannot be used; give a picture that can be read"):
        measure(drawn, ["kid"], reference=bad, device="cpu", progress=False)


def test_a_study_without_pictures_or_with_a_damaged_one_is_told(tmp_path):
    empty = drawn_study(tmp_path / "empty", seeds=1, odd={0: None, 1: None})
    with pytest.raises(StudyError, match="has no finished picture"):
        measure(empty, progress=False)
    damaged = drawn_study(tmp_path / "damaged", seeds=1)
    next((damaged.folder / "images").iterdir()).write_bytes(b"\x89PNG")
    with pytest.raises(StudyError, match="is no whole PNG"):
        measure(damaged, ["sharpness"], progress=False)


def test_a_missing_clip_is_told(drawn):
    with pytest.raises(ModelError, match="nowhere"):
        measure(drawn, ["clip_phrase"], clip="./nowhere", progress=False)
