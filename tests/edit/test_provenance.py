"""What a picture tells of itself, and what it tells no longer once someone has changed it."""

import io
import json
import zlib

import pytest
from PIL import Image, PngImagePlugin

from synth.edit.finishing import replay, retouch
from synth.edit.provenance import CHUNK, Edited, Step, read
from synth.errors import InputError, StudyError
from synth.jobs import Job, ModelRef, Settings
from synth.records.pictures import pixel_digest, save_picture

JOB = Job(phrase="a cat", prompt="a red cat", seed=3, settings=Settings(), model=ModelRef(name="vignettes"))


@pytest.fixture
def rendered(tmp_path):
    """A picture that Synth rendered."""
    image = Image.linear_gradient("L").convert("RGB").resize((128, 128))
    save_picture(image, tmp_path / "rendered.png", JOB, {"device": "cpu"})
    return tmp_path / "rendered.png"


def test_a_foreign_picture_is_its_own_source(photo):
    found = read(photo)
    assert found.image.mode == "RGB"
    assert (found.source, found.steps, found.job) == (pixel_digest(found.image), (), None)


def test_a_rendered_picture_keeps_its_job_through_two_edits(rendered, tmp_path):
    once = retouch(rendered, "sharpen=1")
    once.save(tmp_path / "once.png")
    retouch(tmp_path / "once.png", "contrast=1.5").save(tmp_path / "twice.png")
    found = read(tmp_path / "twice.png")
    assert found.job == JOB
    assert found.source == pixel_digest(Image.open(rendered))
    assert [step.postprocess for step in found.steps] == ["sharpen=1", "contrast=1.5"]
    assert "a red cat" in Image.open(tmp_path / "twice.png").info["parameters"]


def test_steps_come_back_as_they_were_written(photo, tmp_path):
    model = ModelRef(name="me/large", revision="0" * 40)
    steps = (Step(model=model, scale=4, facts={"device": "cpu"}), Step(postprocess="denoise=1"))
    plain = read(photo)
    Edited(plain.image, "f" * 64, steps).save(tmp_path / "edited.png")
    found = read(tmp_path / "edited.png")
    assert (found.source, found.steps) == ("f" * 64, steps)
    assert found.steps[0].facts == {"device": "cpu"}
    assert [str(step) for step in steps] == ["enlarged 4 times by me/large", "denoise=1"]


@pytest.mark.parametrize("name", ["rendered", "edited"])
def test_what_was_changed_by_another_program_tells_nothing_any_more(rendered, tmp_path, name):
    retouch(rendered, "sharpen=1").save(tmp_path / "edited.png")
    path = tmp_path / f"{name}.png"
    with Image.open(path) as picture:
        chunks = PngImagePlugin.PngInfo()
        for key, text in picture.text.items():
            chunks.add_text(key, text)
        picture.putpixel((0, 0), (255, 0, 255))
        picture.save(path, pnginfo=chunks)
    found = read(path)
    assert (found.steps, found.job) == ((), None)
    assert found.source == pixel_digest(Image.open(path))


def test_a_picture_with_glass_in_it_lies_on_white(tmp_path):
    Image.new("RGBA", (64, 64), (255, 0, 0, 0)).save(tmp_path / "glass.png")
    assert read(tmp_path / "glass.png").image.getpixel((0, 0)) == (255, 255, 255)


@pytest.mark.parametrize("chunk", ["", "{", "[]", '{"steps": [{}]}', '{"steps": [], "source": "a", "job": {"a": 1}}'])
def test_damaged_steps_are_one_clear_error(tmp_path, chunk):
    chunks = PngImagePlugin.PngInfo()
    chunks.add_text(CHUNK, chunk)
    Image.new("RGB", (64, 64)).save(tmp_path / "odd.png", pnginfo=chunks)
    with pytest.raises(StudyError, match="carries steps that are not whole"):
        read(tmp_path / "odd.png")


def test_what_is_no_picture_is_one_clear_error(tmp_path):
    (tmp_path / "notes.png").write_text("no picture")
    with pytest.raises(InputError, match="picture: .*notes.png' cannot be used; give a picture that can be read"):
        read(tmp_path / "notes.png")
    with pytest.raises(InputError, match="No such file"):
        read(tmp_path / "none.png")


@pytest.mark.parametrize("side", [12_000, 60_000])
def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path, side):
    buffer = io.BytesIO()
    Image.new("1", (16, 16)).save(buffer, "PNG")
    data = bytearray(buffer.getvalue())
    data[16:24] = side.to_bytes(4) * 2
    data[29:33] = zlib.crc32(data[12:29]).to_bytes(4)
    (tmp_path / "bomb.png").write_bytes(data)
    with pytest.raises(InputError, match="picture: .*bomb.png' cannot be used; it has .* pixels.*; make it smaller"):
        read(tmp_path / "bomb.png")


MODEL = {"name": "vignettes-upscaler", "revision": None, "digest": None, "loras": []}


@pytest.mark.parametrize("step", [
    {"model": MODEL, "scale": "2"}, {"model": MODEL, "scale": [2]}, {"model": MODEL, "scale": 3},
    {"model": MODEL, "scale": 1}, {"model": MODEL, "scale": True}, {"model": None, "scale": 2},
    {"model": MODEL | {"name": 7}, "scale": 2}, {"model": MODEL | {"digest": [1]}, "scale": 2},
    {"model": False, "scale": 1}, {"model": None, "scale": 1, "postprocess": 5},
])  # fmt: skip
def test_steps_that_cannot_be_are_one_clear_error(photo, tmp_path, step):
    plain = read(photo)
    said = {"source": plain.source, "steps": [step], "job": None, "pixels_sha256": plain.source}
    chunks = PngImagePlugin.PngInfo()
    chunks.add_text(CHUNK, json.dumps(said))
    plain.image.save(tmp_path / "odd.png", pnginfo=chunks)
    with pytest.raises(StudyError, match="carries steps that are not whole"):
        replay(tmp_path / "odd.png", photo)
