import shutil
from dataclasses import replace

import pytest
from PIL import Image
from test_studies import PROMPTS, SMALL

from synth.errors import InputError, ModelError, StudyError
from synth.jobs import Job
from synth.journal import Journal
from synth.records.pictures import read_picture, save_picture
from synth.records.rows import versions
from synth.records.verification import verify
from synth.studies import study


@pytest.fixture(scope="module")
def pictures(tiny_sd, tmp_path_factory):
    """The pictures of a study that was rendered in batches of 3, and so ends with a smaller one."""
    found = study(
        prompts=PROMPTS, seeds=2, settings=SMALL, model=str(tiny_sd), out=tmp_path_factory.mktemp("verify"),
        device="cpu", batch_size=3, progress=False,
    )  # fmt: skip
    return [found.folder / path for path in found.frame()["path"]]


def resaved(path, target, image=None, job=None, **facts):
    picture = read_picture(path)
    save_picture(image or picture.image, target, job or picture.job, picture.facts | facts)
    return target


def test_every_picture_of_a_study_is_rendered_equal_wherever_it_lies(pictures, tmp_path):
    sizes = set()
    for path in pictures:
        moved = shutil.copy(path, tmp_path / "carried away.png")
        found = verify(moved)
        assert (found.equal, found.max_difference, found.mean_difference) == (True, 0, 0)
        assert (found.modified, found.differences) == (False, {})
        assert str(found) == f"{moved}: equal"
        sizes.add(read_picture(path).facts["batch_size"])
    assert sizes == {1, 3}


def test_a_strict_picture_is_equal_too(tiny_sd, tmp_path):
    found = study(
        prompts=PROMPTS[:1], seeds=1, settings=SMALL, model=str(tiny_sd), out=tmp_path, strict=True, progress=False
    )
    [path] = found.frame()["path"]
    assert verify(found.folder / path).equal


def test_painted_over_pixels_are_measured_and_told(pictures, tmp_path):
    picture = read_picture(pictures[0])
    painted = picture.image.copy()
    level = painted.getpixel((5, 5))[0]
    painted.putpixel((5, 5), ((level + 100) % 256, *painted.getpixel((5, 5))[1:]))
    target = tmp_path / "painted.png"
    with Image.open(pictures[0]) as original:
        from PIL.PngImagePlugin import PngInfo

        info = PngInfo()
        info.add_text("synth", original.info["synth"])
    painted.save(target, pnginfo=info)
    found = verify(target)
    assert (found.equal, found.modified) == (False, True)
    assert found.max_difference in (100, 156)
    assert found.mean_difference == pytest.approx(found.max_difference / (64 * 64 * 3))
    assert "its pixels were changed after it was saved" in str(found)


def test_what_differs_in_the_environment_is_told(pictures, tmp_path):
    target = resaved(pictures[0], tmp_path / "old.png", torch="1.13.0", device="cuda", dtype="float16")
    found = verify(target)
    assert found.differences == {
        "torch": ("1.13.0", versions()["torch"]),
        "device": ("cuda", "cpu"),
        "dtype": ("float16", "float32"),
    }
    assert "torch was 1.13.0, is 2." in str(found)


def test_other_weights_under_the_same_name_are_told(pictures, tmp_path):
    job = read_picture(pictures[0]).job
    older = replace(job, model=replace(job.model, digest="sha256:" + "0" * 64))
    found = verify(resaved(pictures[0], tmp_path / "older.png", job=older))
    assert found.differences == {"weights": ("sha256:" + "0" * 64, job.model.digest)}
    assert found.equal


def test_a_changed_setting_is_a_different_picture(pictures, tmp_path):
    job = read_picture(pictures[0]).job
    found = verify(resaved(pictures[0], tmp_path / "b.png", job=Job.from_dict(job.as_dict() | {"seed": 77})))
    assert not found.equal
    assert not found.modified
    assert found.max_difference > 0
    assert "differs by up to" in str(found)


def test_a_model_that_is_gone_is_told(pictures, tmp_path):
    job = read_picture(pictures[0]).job
    moved = replace(job, model=replace(job.model, name=str(tmp_path / "gone")))
    with pytest.raises(ModelError, match="There is no model"):
        verify(resaved(pictures[0], tmp_path / "gone.png", job=moved))


def test_what_is_no_picture_of_synth_is_refused(tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "plain.png")
    with pytest.raises(StudyError, match="carries no Synth job"):
        verify(tmp_path / "plain.png")
    with pytest.raises(StudyError, match="does not exist"):
        verify(tmp_path / "none.png")


@pytest.mark.parametrize("facts", [{}, {"device": "cpu", "dtype": "float32", "batch_size": 10**9, "strict": False}])
def test_a_forged_picture_is_refused_before_it_is_rendered(pictures, tmp_path, facts):
    picture = read_picture(pictures[0])
    save_picture(picture.image, tmp_path / "forged.png", picture.job, facts)
    with pytest.raises((StudyError, InputError), match="does not tell its batch_size, device|^batch_size: 1000000000"):
        verify(tmp_path / "forged.png")


def test_a_resized_picture_is_told(pictures, tmp_path):
    smaller = read_picture(pictures[0]).image.crop((0, 0, 50, 60))
    with pytest.raises(StudyError, match="was resized after it was saved .*50 x 60 pixels, its job makes 64 x 64"):
        verify(resaved(pictures[0], tmp_path / "cropped.png", image=smaller))


def test_a_device_that_is_no_name_is_one_that_is_not_here(pictures, tmp_path):
    assert verify(resaved(pictures[0], tmp_path / "odd.png", device=5)).differences["device"] == ("5", "cpu")


def test_pictures_rebuild_their_journal_and_still_verify(pictures):
    folder = pictures[0].parents[1]
    assert Journal.rebuild(folder) == 4
    assert verify(pictures[1]).equal
