"""Enlarging and retouching: what is written, what it tells, and that it can be done again."""

import numpy as np
import pytest
from PIL import Image

from synth.edit import finishing
from synth.edit.finishing import finish_files, replay, retouch, retouching, upscale, upscaling
from synth.edit.provenance import Step, read
from synth.errors import InputError, ModelError, StudyError
from synth.jobs import ModelRef
from synth.models import hub
from synth.postprocessing import postprocess
from synth.records.sources import open_picture


@pytest.mark.parametrize(("name", "scale"), [("tiny_swin", 2), ("tiny_swin", 4), ("tiny_swin_x4", 4)])
def test_a_picture_is_enlarged_as_asked_and_tells_so(request, photo, name, scale):
    model = str(request.getfixturevalue(name))
    made = upscale(photo, scale, model, device="cpu")
    assert made.image.size == (60 * scale, 44 * scale)
    step = made.steps[0]
    assert (step.scale, step.model.name) == (scale, model)
    assert step.model.digest.startswith("sha256:")
    assert step.facts == {"device": "cpu", "dtype": "float32"}
    assert made.source == read(photo).source


def test_four_times_is_twice_twice(photo, tiny_swin):
    model = str(tiny_swin)
    twice = upscale(upscale(photo, 2, model), 2, model)
    assert np.array_equal(np.asarray(twice.image), np.asarray(upscale(photo, 4, model).image))
    assert [step.scale for step in twice.steps] == [2, 2]


def test_retouching_is_what_settings_do(photo):
    plain = read(photo).image
    made = retouch(photo, "contrast=1.5 balance=1/1/0.5").image
    assert np.array_equal(np.asarray(made), np.asarray(postprocess(plain, "contrast=1.5 balance=1/1/0.5")))


def test_files_go_beside_the_picture_and_replay_equal(photo, tiny_swin):
    (large,) = finish_files([photo], upscaling(2, str(tiny_swin)), progress=False)
    assert large == photo.parent / "edited" / "photo-x2.png"
    (sharp,) = finish_files([large], retouching("sharpen=0.5"), photo.parent / "sharp", progress=False)
    assert sharp == photo.parent / "sharp" / "photo-x2-retouched.png"
    assert str(replay(sharp, photo)) == f"{sharp}: equal"
    assert replay(sharp, large).equal, "from half-way too"
    assert replay(large, photo).equal


def test_what_is_there_is_not_computed_again(photo, tiny_swin, monkeypatch):
    step = upscaling(2, str(tiny_swin))
    (path,) = finish_files([photo], step, progress=False)
    before = path.stat().st_mtime_ns
    monkeypatch.setattr(finishing, "_enlarged", lambda *_: pytest.fail("it was there"))
    assert finish_files([photo], step, progress=False) == [path]
    assert path.stat().st_mtime_ns == before


def test_another_picture_s_place_is_not_taken(photo):
    (path,) = finish_files([photo], retouching("sharpen=1"))
    with pytest.raises(InputError, match="out: .* cannot be used; another picture is there: choose another"):
        finish_files([photo], retouching("sharpen=2"))
    assert read(path).steps[0].postprocess == "sharpen=1"


def test_a_replay_of_something_else_is_refused(photo, tmp_path):
    (path,) = finish_files([photo], retouching("sharpen=1"))
    Image.new("RGB", (60, 44)).save(tmp_path / "other.png")
    with pytest.raises(InputError, match="source: .*other.png' cannot be used; give the picture whose pixels' SHA-256"):
        replay(path, tmp_path / "other.png")
    with pytest.raises(InputError, match="picture: .*photo.jpg' cannot be used; give one that `synth edit` wrote"):
        replay(photo, photo)


def test_a_replay_fetches_nothing_that_nobody_agreed_to(photo, tmp_path, monkeypatch):
    plain = read(photo)
    step = Step(model=ModelRef(name="someone/anything", revision="0" * 40), scale=2)
    plain.after(plain.image.resize((120, 88)), step).save(tmp_path / "large.png")
    asked = []
    monkeypatch.setattr(hub, "download", lambda repo, *_: asked.append(repo) or tmp_path)
    with pytest.raises(InputError, match="model: 'someone/anything' cannot be used; the picture names it .* --yes"):
        replay(tmp_path / "large.png", photo)
    assert not asked
    with pytest.raises(ModelError):
        replay(tmp_path / "large.png", photo, yes=True)
    assert asked == ["someone/anything"] * len(asked) and asked


@pytest.mark.parametrize("scale", [3, 1, 0, -2, 2.5, True])
def test_another_scale_is_refused_before_any_model_is_looked_for(scale):
    with pytest.raises(InputError, match="scale: .* cannot be used; use 2 or 4"):
        upscaling(scale, "no-such-model")


def test_a_model_that_enlarges_four_times_does_not_enlarge_twice(tiny_swin_x4):
    with pytest.raises(InputError, match="scale: 2 cannot be used; use 4: .* enlarges 4 times"):
        upscaling(2, str(tiny_swin_x4))


def test_a_model_that_is_none_is_refused(tiny_gpt2):
    with pytest.raises(
        InputError, match="model: 'vignetes-upscaler' cannot be used; did you mean 'vignettes-upscaler'"
    ):
        upscaling(2, "vignetes-upscaler")
    with pytest.raises(ModelError, match="is no upscaler that Synth knows"):
        upscaling(2, str(tiny_gpt2))


def test_nothing_to_do_is_refused():
    with pytest.raises(InputError, match="postprocess: '' cannot be used; give at least one step"):
        retouching("")
    with pytest.raises(InputError, match="postprocess: 'blur=1' cannot be used"):
        retouching("blur=1")


def test_a_result_that_would_be_too_large_is_refused_before_it_is_begun(tmp_path, tiny_swin):
    Image.new("L", (6000, 4000)).save(tmp_path / "wide.png")
    with pytest.raises(InputError, match="picture: '6000 x 4000' .* scale: 12,000 x 8,000 pixels are too many"):
        finish_files([tmp_path / "wide.png"], upscaling(2, str(tiny_swin)))
    assert not list((tmp_path / "edited").glob("*.png"))


def test_two_pictures_of_one_name_are_refused(photo, tmp_path):
    (tmp_path / "b").mkdir()
    copy = tmp_path / "b" / "photo.jpg"
    copy.write_bytes(photo.read_bytes())
    with pytest.raises(InputError, match="pictures: 'photo-retouched.png' cannot be used; give pictures of different"):
        finish_files([photo, copy], retouching("sharpen=1"), tmp_path / "out")


def test_a_place_that_cannot_be_written_is_refused(photo, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="out: .*file' cannot be used; it is a file: give a folder"):
        finish_files([photo], retouching("sharpen=1"), tmp_path / "file")
    monkeypatch.setattr("os.access", lambda *_: False)
    with pytest.raises(InputError, match="out: .* cannot be used; give a folder that you may write to"):
        finish_files([photo], retouching("sharpen=1"), tmp_path / "locked")


def test_a_full_disk_leaves_nothing_half_written(photo, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(StudyError, match="cannot be written .No space left on device.; free some space"):
        finish_files([photo], retouching("sharpen=1"), tmp_path / "out")
    assert not list((tmp_path / "out").iterdir())


def test_a_picture_is_turned_as_its_camera_says(tmp_path, tiny_swin):
    picture = Image.new("RGB", (60, 40))
    exif = picture.getexif()
    exif[0x0112] = 6
    picture.save(tmp_path / "turned.jpg", exif=exif)
    assert open_picture(tmp_path / "turned.jpg", "picture").size == (40, 60)
    assert upscale(tmp_path / "turned.jpg", 2, str(tiny_swin)).image.size == (80, 120)
