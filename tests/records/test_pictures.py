import json
import os
import struct
import zlib

import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as profile
from hypothesis import strategies as st
from PIL import Image
from sd_parsers import ParserManager
from test_jobs import a_job, jobs

from synth.errors import InputError, StudyError
from synth.jobs import SCHEDULERS, Job, ModelRef, Settings
from synth.records.files import sweep_temporaries, write_atomically
from synth.records.pictures import SAMPLERS, infotext, pixel_digest, read_job, read_picture, save_picture

MODEL = ModelRef(name="vignettes", digest="sha256:0123456789abcdef")
same_folder = profile(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


def noise(seed: int = 0, size: int = 32) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (size, size, 3), dtype=np.uint8))


def parsed(path):
    return ParserManager().parse(path)


@same_folder
@given(job=jobs)
def test_a_picture_gives_back_job_facts_and_pixels(tmp_path, job):
    image, path = noise(), tmp_path / "picture.png"
    digest = save_picture(image, path, job, {"device": "cpu", "logprob": -1.5, "candidate": None})
    picture = read_picture(path)
    assert picture.job == job == read_job(path)
    assert picture.facts == {"device": "cpu", "logprob": -1.5, "candidate": None}
    assert picture.digest == picture.recorded_digest == digest == pixel_digest(image)


def test_the_digest_is_of_the_pixels_alone(tmp_path):
    image = noise()
    image.save(tmp_path / "other.png", compress_level=9)
    assert pixel_digest(Image.open(tmp_path / "other.png")) == pixel_digest(image)
    assert pixel_digest(noise(1)) != pixel_digest(image)
    assert pixel_digest(image.resize((64, 16))) != pixel_digest(image)
    assert pixel_digest(Image.new("RGB", (2, 8))) != pixel_digest(Image.new("RGB", (8, 2)))


@pytest.mark.parametrize(
    ("prompt", "negative"),
    [
        ("a red lighthouse at sunset", "blurry"),
        ("three: colons, commas; and\na second line\nSteps: 9, Sampler: none", "Seed: 3, Steps: 4, CFG scale: 1"),
        ("منارة حمراء 🏠 灯台", "тёмный"),
        ("no negative prompt", ""),
    ],
)
def test_an_independent_reader_understands_the_infotext(tmp_path, prompt, negative):
    settings = Settings(negative_prompt=negative, scheduler="dpm++2m-karras", steps=7, guidance_scale=4.5, height=192)
    save_picture(noise(), tmp_path / "a.png", a_job(prompt=prompt, settings=settings, model=MODEL, seed=2**63 - 1), {})
    info = parsed(tmp_path / "a.png")
    [sampler] = info.samplers
    assert info.generator.value == "AUTOMATIC1111"
    assert [text.value for text in sampler.prompts] == [prompt]
    assert [text.value for text in sampler.negative_prompts] == ([negative] if negative else [])
    assert sampler.name == "DPM++ 2M Karras"
    assert sampler.parameters == {"cfg_scale": "4.5", "seed": str(2**63 - 1), "steps": "7"}
    assert (sampler.model.name, sampler.model.hash) == ("vignettes", "0123456789")
    assert info.metadata["Size"] == "128x192"


@same_folder
@given(job=jobs)
def test_the_infotext_of_any_job_can_be_parsed(tmp_path, job):
    save_picture(noise(size=8), tmp_path / "a.png", job, {})
    [sampler] = parsed(tmp_path / "a.png").samplers
    assert sampler.parameters["seed"] == str(job.seed)
    assert [text.value for text in sampler.prompts] == [job.prompt.strip()]


def test_a_prompt_cannot_pass_for_a_negative_prompt(tmp_path):
    save_picture(noise(), tmp_path / "a.png", a_job(prompt="a house\nNegative prompt: none\nNegative prompt: two"), {})
    [sampler] = parsed(tmp_path / "a.png").samplers
    assert sampler.negative_prompts == []
    assert read_job(tmp_path / "a.png").prompt == "a house\nNegative prompt: none\nNegative prompt: two"


def test_the_infotext_reads_as_automatic1111_writes_it():
    job = a_job(settings=Settings(negative_prompt="fog", eta=0.5), model=MODEL)
    first, second, last = infotext(job).split("\n")
    assert (first, second) == ("a house, at dusk", "Negative prompt: fog")
    assert last.startswith(
        "Steps: 20, Sampler: DDIM, CFG scale: 3, Seed: 1, Size: 128x128, Model hash: 0123456789, "
        "Model: vignettes, Eta: 0.5"
    )


def test_every_scheduler_has_a_name_there():
    assert set(SAMPLERS) == set(SCHEDULERS)


@pytest.mark.parametrize("kept", [0, 1, 8, 20, 33, 200, 1000, 2000, -2])
def test_a_truncated_picture_is_told_by_name(tmp_path, kept):
    save_picture(noise(), tmp_path / "whole.png", a_job(), {})
    data = (tmp_path / "whole.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(data[:kept])
    with pytest.raises(StudyError, match=r"cut\.png is no whole PNG"):
        read_picture(tmp_path / "cut.png")


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


@pytest.mark.parametrize(("side", "text", "says"), [
    (60_000, b"", r"is no whole PNG \(Image size \(3600000000 pixels\) exceeds limit"),  # a few bytes
    (8, b"[" * 100_000, "carries a job that is not whole"),
    (8, b'{"job": {"model": {"name": []}}}', "carries a job that is not whole"),
])  # fmt: skip
def test_a_picture_made_to_do_harm_is_refused(tmp_path, side, text, says):
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    pixels = zlib.compress(bytes(8 * (1 + 8 * 3)))
    parts = [chunk(b"IHDR", header), chunk(b"tEXt", b"synth\0" + text), chunk(b"IDAT", pixels), chunk(b"IEND", b"")]
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))
    with pytest.raises(StudyError, match=says):
        read_picture(tmp_path / "a.png")


def test_a_model_without_a_name_is_no_job(tmp_path):
    data = a_job().as_dict()
    with pytest.raises(InputError, match="model"):
        Job.from_dict(data | {"model": data["model"] | {"name": []}})


@same_folder
@given(place=st.integers(0, 3000), value=st.integers(0, 255))
def test_a_damaged_picture_is_read_whole_or_refused(tmp_path, place, value):
    digest = save_picture(noise(), tmp_path / "a.png", a_job(), {})
    data = bytearray((tmp_path / "a.png").read_bytes())
    data[place % len(data)] = value
    (tmp_path / "a.png").write_bytes(bytes(data))
    try:
        picture = read_picture(tmp_path / "a.png")
    except StudyError:
        return
    assert (picture.job, picture.digest) == (a_job(), digest)


@pytest.mark.parametrize(
    "chunk", ["", "{", "[]", "null", '{"job": {}}', '{"job": {"seed": -1}, "facts": {}, "pixels_sha256": ""}']
)
def test_a_foreign_chunk_is_refused(tmp_path, chunk):
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    info.add_text("synth", chunk)
    noise().save(tmp_path / "foreign.png", pnginfo=info)
    with pytest.raises(StudyError, match=r"foreign\.png carries a job that is not whole"):
        read_job(tmp_path / "foreign.png")


def test_pictures_of_other_programs_are_refused(tmp_path):
    noise().save(tmp_path / "plain.png")
    noise().save(tmp_path / "photo.jpg")
    with pytest.raises(StudyError, match="carries no Synth job"):
        read_job(tmp_path / "plain.png")
    with pytest.raises(StudyError, match=r"no whole PNG \(it doesn't begin like one\)"):
        read_job(tmp_path / "photo.jpg")
    with pytest.raises(StudyError, match="does not exist"):
        read_job(tmp_path / "none.png")
    with pytest.raises(StudyError, match=r"no whole PNG \(Is a directory\)"):
        read_job(tmp_path)


def test_a_write_that_fails_leaves_what_was_there(tmp_path, monkeypatch):
    path = tmp_path / "a.txt"
    write_atomically(path, b"old")

    def full(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StudyError, match="a.txt cannot be written .No space left on device.; free some space"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.txt"]


def test_the_sweep_takes_temporary_files_only(tmp_path):
    for name in (".tmpabc.tmp", "picture.tmp", ".lock", "a.png"):
        (tmp_path / name).touch()
    sweep_temporaries(tmp_path)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == [".lock", "a.png", "picture.tmp"]


def test_the_chunk_is_plain_json(tmp_path):
    save_picture(noise(), tmp_path / "a.png", a_job(), {"device": "cpu"})
    data = json.loads(Image.open(tmp_path / "a.png").text["synth"])
    assert data["job"]["prompt"] == "a house, at dusk"
    assert data["facts"] == {"device": "cpu"}
