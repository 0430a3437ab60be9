"""Pictures that people bring to draw over."""

import io

import numpy as np
import pytest
from PIL import Image

from synth.errors import InputError, StudyError
from synth.jobs import Job, ModelRef, Settings
from synth.records.pictures import pixel_digest
from synth.records.sources import drawn_over, keep, kept, read_mask, read_source, source_path

SETTINGS = Settings(width=64, height=128)


@pytest.fixture
def photo(tmp_path):
    """A wide picture, red at the left and blue at the right, that says it lies on its side."""
    picture = Image.new("RGB", (200, 100), "red")
    picture.paste("blue", (100, 0, 200, 100))
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    picture.save(tmp_path / "photo.jpg", exif=exif, quality=95)
    return tmp_path / "photo.jpg"


def job(pictures) -> Job:
    digests = dict(zip(("source", "mask"), pictures, strict=False))
    return Job(
        phrase="a", prompt="a", seed=0, settings=SETTINGS, model=ModelRef(name="m", digest="sha256:0"), **digests
    )


def test_it_is_turned_upright_and_cut_about_its_middle(photo):
    picture = read_source(photo, 64, 128)
    assert (picture.mode, picture.size) == ("RGB", (64, 128))
    top, bottom = picture.getpixel((32, 4)), picture.getpixel((32, 124))
    assert top[0] > 200 > 60 > top[2] and bottom[2] > 200 > 60 > bottom[0]


def test_what_lets_through_lies_on_white(tmp_path):
    Image.new("RGBA", (64, 64), (0, 0, 0, 0)).save(tmp_path / "clear.png")
    assert read_source(tmp_path / "clear.png", 64, 64).getcolors() == [(64 * 64, (255, 255, 255))]


def test_a_mask_is_black_or_white_and_of_the_sources_size(tmp_path):
    ramp = Image.fromarray(np.tile(np.arange(256, dtype=np.uint8), (256, 1)))
    source = Image.new("RGB", ramp.size)
    mask = read_mask(ramp, 128, 128, like=source)
    assert sorted(level for _, level in mask.getcolors()) == [0, 255]
    with pytest.raises(InputError, match="mask: '256 x 256' cannot be used; give a mask of the source's size, 64 x 64"):
        read_mask(ramp, 128, 128, like=source.resize((64, 64)))
    with pytest.raises(InputError, match="black all over"):
        read_mask(Image.new("L", (64, 64)), 64, 64, like=source.resize((64, 64)))


def claims_to_be_huge() -> bytes:
    """A PNG of a few bytes whose header claims 50,000 pixels a side."""
    buffer = io.BytesIO()
    Image.new("L", (8, 8)).save(buffer, "PNG")
    data = bytearray(buffer.getvalue())
    data[16:24] = (50_000).to_bytes(4, "big") * 2
    import zlib

    data[29:33] = zlib.crc32(data[12:29]).to_bytes(4, "big")
    return bytes(data)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (None, "No such file"),
        (b"", "none of PNG"),
        (b"GIF89a and then nothing", "none of PNG"),
        (b"<svg/>", "none of PNG"),
        (claims_to_be_huge(), "too many pixels to be safe; make it smaller"),
    ],
)
def test_what_is_no_picture_is_one_clear_error(data, says, tmp_path):
    path = tmp_path / "given.png"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(InputError, match=f"source: .*given.png.*({says})"):
        read_source(path, 64, 64)


def test_a_very_wide_picture_is_refused_before_it_is_decoded(tmp_path):
    Image.new("L", (50_000, 2)).save(tmp_path / "wide.png")
    with pytest.raises(InputError, match="it has 50,000 x 2 pixels; make it smaller"):
        read_source(tmp_path / "wide.png", 64, 64)


def test_a_mask_needs_a_source():
    assert drawn_over(None, None, SETTINGS) == {}
    with pytest.raises(InputError, match="give the source picture too"):
        drawn_over(None, "mask.png", SETTINGS)


def test_what_a_study_keeps_is_found_by_its_digest(photo, tmp_path):
    pictures = drawn_over(photo, None, SETTINGS)
    keep(tmp_path, pictures)
    keep(tmp_path, pictures)
    found = kept(tmp_path, job(pictures))
    assert {digest: pixel_digest(picture) for digest, picture in found.items()} == {
        digest: digest for digest in pictures
    }


def test_a_kept_picture_that_was_changed_or_lost_is_one_clear_error(photo, tmp_path):
    pictures = drawn_over(photo, None, SETTINGS)
    keep(tmp_path, pictures)
    path = source_path(tmp_path, *pictures)
    Image.new("RGB", (64, 128)).save(path)
    with pytest.raises(StudyError, match="has other pixels"):
        kept(tmp_path, job(pictures))
    path.unlink()
    with pytest.raises(StudyError, match="cannot be read"):
        kept(tmp_path, job(pictures))
