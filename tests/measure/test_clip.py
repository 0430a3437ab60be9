"""CLIP sees pictures as its own processor would, and the bundled one knows the world."""

import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import CLIPModel, CLIPTokenizer

from synth.errors import InputError, ModelError
from synth.measure.clip import OPENAI_MEAN, Clip, check_clip
from synth.measure.kid import kid
from synth.presets import PRESETS
from synth.train.arrays import to_tensor
from synth.train.clip import encode_captions
from synth.vignettes.captions import plain_caption
from synth.vignettes.dataset import picture_seed, scene_at
from synth.vignettes.world import draw

FOLDER = PRESETS["vignettes-clip"].folder


@pytest.fixture(scope="module")
def clip() -> Clip:
    return Clip.load("vignettes-clip", "cpu")


@pytest.fixture(scope="module")
def scenes():
    return [scene_at("held-out", index) for index in range(48)]


@pytest.fixture(scope="module")
def pictures(scenes):
    return [draw(scene, picture_seed("held-out", index), 128) for index, scene in enumerate(scenes)]


def noise(width: int, height: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8))


def test_vectors_are_those_of_the_model_as_it_was_trained(clip, pictures, scenes):
    array = np.stack([np.asarray(picture) for picture in pictures[:3]])
    captions = [plain_caption(scene) for scene in scenes[:3]]
    model, tokenizer = CLIPModel.from_pretrained(FOLDER), CLIPTokenizer.from_pretrained(FOLDER)
    with torch.no_grad():
        seen = model.visual_projection(model.vision_model(to_tensor(array)).pooler_output)
        read = model.text_projection(model.text_model(encode_captions(tokenizer, captions)).pooler_output)
    seen, read = (torch.nn.functional.normalize(part, dim=1).numpy() for part in (seen, read))
    for given in (array, pictures[:3]):
        vectors = clip.embed_pictures(given)
        assert (vectors.dtype, vectors.shape) == (np.float32, (3, 128))
        assert vectors == pytest.approx(seen, abs=1e-5)
    assert clip.embed_texts(captions) == pytest.approx(read, abs=1e-5)
    assert clip.score(array, captions) == pytest.approx(100 * np.maximum((seen * read).sum(1), 0), abs=1e-3)


@pytest.mark.parametrize("size", [(128, 128), (300, 200), (97, 251), (64, 40)])
def test_pictures_are_prepared_as_transformers_prepares_them(clip, size):
    kind = pytest.importorskip("transformers.models.clip.image_processing_pil_clip")
    picture = noise(*size)
    pixels = kind.CLIPImageProcessorPil.from_pretrained(FOLDER)(picture, return_tensors="pt").pixel_values
    with torch.no_grad():
        theirs = clip.model.visual_projection(clip.model.vision_model(pixels).pooler_output)
    assert clip.embed_pictures([picture]) @ torch.nn.functional.normalize(theirs).numpy().T > 0.9999


def test_the_right_caption_scores_above_those_of_other_scenes(clip, pictures, scenes):
    captions = [plain_caption(scene) for scene in scenes]
    right, wrong = clip.score(pictures, captions), clip.score(pictures, captions[1:] + captions[:1])
    assert right.shape == (48,)
    assert right.mean() > wrong.mean() + 10
    assert wrong.min() >= 0


def test_kid_tells_noise_from_scenes(clip, pictures):
    features = clip.features(pictures)
    assert np.linalg.norm(features, axis=1) == pytest.approx(np.sqrt(128), rel=1e-5)
    strange = clip.features([Image.effect_noise((128, 128), sigma) for sigma in range(20, 44)])
    assert kid(features[:24], strange).low > kid(features[:24], features[24:]).high


def test_many_are_measured_in_batches_and_none_gives_none(clip, monkeypatch):
    texts = [f"a red cat number {number}" for number in range(7)]
    whole = clip.embed_texts(texts)
    monkeypatch.setattr("synth.measure.clip.BATCH", 3)
    assert clip.embed_texts(texts) == pytest.approx(whole, abs=1e-6)
    assert clip.embed_texts([]).shape == clip.embed_pictures([]).shape == (0, 128)


def test_grey_transparent_and_overlong_are_taken(clip):
    vectors = clip.embed_pictures([Image.new("L", (130, 140)), Image.new("RGBA", (128, 128))])
    assert np.isfinite(vectors).all()
    assert np.isfinite(clip.embed_texts(["a cat " * 500, ""])).all()


def test_its_identity_pins_it(clip, tmp_path):
    assert clip.identity.startswith("vignettes-clip sha256:")
    copy = shutil.copytree(FOLDER, tmp_path / "copy")
    assert Clip.load(str(copy), "cpu").identity.split()[-1] == clip.identity.split()[-1]


def test_colours_are_scaled_as_the_model_says_or_else_as_openai_did(tmp_path):
    copy = shutil.copytree(FOLDER, tmp_path / "copy")
    config = copy / "preprocessor_config.json"
    assert Clip.load(str(copy), "cpu").mean.tolist() == [0.5, 0.5, 0.5]
    config.write_text(json.dumps({"image_mean": [0.1, 0.2]}))
    with pytest.raises(ModelError, match="no three numbers"):
        Clip.load(str(copy), "cpu")
    config.unlink()
    assert Clip.load(str(copy), "cpu").mean == pytest.approx(OPENAI_MEAN)


def test_no_clip_is_told(tiny_gpt2, tmp_path, clip):
    with pytest.raises(ModelError, match="is no CLIP"):
        Clip.load(str(tiny_gpt2), "cpu")
    with pytest.raises(InputError, match="vignettes-clip"):
        Clip.load("vignettes", "cpu")
    with pytest.raises(InputError, match="texts: 1 cannot be used; give one for each of the 2 pictures"):
        clip.score([noise(128, 128)] * 2, ["a cat"])


def test_a_clip_is_checked_without_being_loaded(tiny_gpt2, monkeypatch):
    monkeypatch.setattr("synth.measure.clip.CLIPModel", None)
    assert check_clip("vignettes-clip").digest.startswith("sha256:")
    assert check_clip(str(FOLDER)).digest == check_clip("vignettes-clip").digest
    for name, kind in ((str(tiny_gpt2), ModelError), ("vignettes", InputError), ("/nowhere/at/all", ModelError)):
        with pytest.raises(kind):
            check_clip(name)


def test_broken_weights_are_told(tmp_path):
    copy = shutil.copytree(FOLDER, tmp_path / "copy")
    (copy / "tokenizer.json").write_text("{")
    with pytest.raises(ModelError, match="cannot be loaded"):
        Clip.load(str(copy), "cpu")
