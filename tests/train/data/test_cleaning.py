"""Pictures of any kind come out as upright RGB squares, or with the reason why not; captions come out plain."""

import io
import random
import struct
import unicodedata
import warnings
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_up_pictures import picture
from PIL import Image

from synth.jobs import MAX_TEXT
from synth.train.data.cleaning import Cleaned, LeftOut, clean, fit, normalise, plain
from synth.train.data.entries import FORMATS, Entry


def cleaned(data: bytes, *, size: int = 64, crop: str = "centre", smallest: int = 16) -> Cleaned | LeftOut:
    entry = Entry("a", lambda: Image.open(io.BytesIO(data), formats=FORMATS), ("a",))
    return clean(entry, size=size, crop=crop, smallest=smallest)


def packed(image: Image.Image, kind: str = "PNG", **how) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **how)
    return buffer.getvalue()


def colour(result: Cleaned | LeftOut) -> list[int]:
    assert isinstance(result, Cleaned), result
    return np.median(result.pixels, axis=(0, 1)).round().astype(int).tolist()


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size, and has no pixels."""
    head = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = struct.pack(">I", 13) + head + struct.pack(">I", zlib.crc32(head))
    return b"\x89PNG\r\n\x1a\n" + chunks + struct.pack(">I", 0) + b"IDAT" + struct.pack(">I", zlib.crc32(b"IDAT"))


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_is_read(kind):
    result = cleaned(packed(Image.new("RGB", (80, 80), (200, 100, 40)), kind))
    assert np.abs(np.array(colour(result)) - (200, 100, 40)).max() < 8
    assert result.pixels.shape == (64, 64, 3) and result.pixels.dtype == np.uint8


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (Image.new("L", (80, 80), 90), [90, 90, 90]),
        (Image.new("1", (80, 80), 1), [255, 255, 255]),
        (Image.new("RGB", (80, 80), (9, 80, 200)).quantize(4), [9, 80, 200]),
        (Image.new("RGBA", (80, 80), (255, 0, 0, 0)), [255, 255, 255]),
        (Image.new("RGBA", (80, 80), (0, 0, 0, 255)), [0, 0, 0]),
        (Image.new("LA", (80, 80), (0, 0)), [255, 255, 255]),
        (Image.fromarray(np.full((80, 80), 0x8040, np.uint16)), [128, 128, 128]),
        (Image.fromarray(np.full((80, 80), 200, np.uint16)), [0, 0, 0]),
    ],
    ids=["grey", "black and white", "palette", "clear", "opaque", "clear grey", "16 bits", "dark 16 bits"],
)
def test_every_mode_becomes_rgb_on_white(image, expected):
    assert colour(cleaned(packed(image))) == expected


@pytest.mark.parametrize(("values", "expected"), [(0x8040, 128), (128, 128)])
def test_32_bit_tiffs_may_hold_8_or_16_bits(values, expected):
    data = packed(Image.fromarray(np.full((80, 80), values, np.int32)), "TIFF")
    assert colour(cleaned(data)) == [expected] * 3


def test_cmyk_photos_are_read():
    assert max(colour(cleaned(packed(Image.new("CMYK", (80, 80), (0, 255, 255, 0)), "JPEG")))[1:]) < 40


def test_floating_point_pixels_are_left_out():
    data = packed(Image.fromarray(np.zeros((80, 80), np.float32)), "TIFF")
    assert str(cleaned(data)).startswith("unreadable: its pixels are floating-point")


def test_a_palette_with_a_clear_colour_lies_on_white():
    image = Image.new("P", (80, 80), 3)
    image.putpalette([10, 20, 30] * 256)
    assert colour(cleaned(packed(image, "GIF", transparency=3))) == [255, 255, 255]


def test_a_picture_is_turned_as_its_exif_says():
    image = Image.new("RGB", (120, 60), "red")
    image.paste("blue", (60, 0, 120, 60))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned a quarter to the right
    result = cleaned(packed(image, "JPEG", exif=exif, quality=95))
    assert (result.width, result.height) == (60, 120)
    assert result.pixels[8, 32, 0] > 200 and result.pixels[56, 32, 2] > 200


def test_of_an_animation_the_first_frame_is_taken():
    frames = [Image.new("RGB", (80, 80), name) for name in ("red", "lime", "blue")]
    assert colour(cleaned(packed(frames[0], "GIF", save_all=True, append_images=frames[1:]))) == [255, 0, 0]


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "TIFF"])
def test_a_truncated_picture_is_left_out_as_damaged(kind):
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (80, 80, 3), dtype=np.uint8))
    assert str(cleaned(packed(noise, kind)[:-400])).startswith("damaged: ")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "AVIF"])
def test_no_damage_raises(kind):
    """Bytes changed and bytes missing: a picture, or a reason, and never an exception."""
    data, rng = packed(picture(3), kind), random.Random(kind)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(60):
            broken = bytearray(data[: rng.randint(1, len(data))] if rng.random() < 0.3 else data)
            for _ in range(rng.randint(1, 20)):
                broken[rng.randrange(min(len(broken), 400))] = rng.randrange(256)
            assert isinstance(cleaned(bytes(broken)), (Cleaned, LeftOut))


@pytest.mark.parametrize("data", [b"", b"hello", b"\xff\xd8\xff", b"%!PS-Adobe-3.0 EPSF-3.0\n", b"\0" * 500])
def test_what_is_no_picture_is_left_out(data):
    assert str(cleaned(data)).startswith("unreadable: damaged from its first bytes, or none of JPEG, PNG")


def test_a_file_that_is_gone_is_left_out(tmp_path):
    entry = Entry("a", lambda: Image.open(tmp_path / "a.jpg"), ("a",))
    assert str(clean(entry, size=64, crop="centre", smallest=1)) == "damaged: No such file or directory"


@pytest.mark.parametrize(("width", "height"), [(50_000, 50_000), (50_000, 100), (100, 30_000), (12_000, 12_000)])
def test_too_large_a_picture_is_left_out_before_it_is_decoded(width, height):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert str(cleaned(png_header(width, height))).startswith("too large: ")


def test_too_small_a_picture_is_left_out():
    data = packed(Image.new("RGB", (400, 63)))
    assert str(cleaned(data, smallest=64)) == "too small: 400 x 63 pixels, and 64 are the least"
    assert isinstance(cleaned(data, smallest=63), Cleaned)


def test_centre_keeps_the_middle():
    image = Image.new("RGB", (300, 100), "red")
    image.paste("lime", (100, 0, 200, 100))
    assert (np.asarray(fit(image, 64, "centre"))[:, 4:-4] == (0, 255, 0)).all()


@pytest.mark.parametrize("size", [(300, 100), (100, 300), (9000, 10)])
def test_pad_keeps_all_and_fills_with_the_mean(size):
    image = Image.new("RGB", size, (40, 80, 120))
    fitted = np.asarray(fit(image, 64, "pad"))
    assert fitted.shape == (64, 64, 3) and (fitted == (40, 80, 120)).all()
    half = Image.new("RGB", (200, 100), "black")
    half.paste("white", (100, 0, 200, 100))
    fitted = np.asarray(fit(half, 64, "pad"))
    assert fitted[32, 2].max() < 8 and fitted[32, -3].min() > 247 and 120 < fitted[2, 32, 0] < 135


def test_the_content_is_the_same_whatever_the_size():
    data = packed(picture(5))
    small, large = cleaned(data, size=64), cleaned(data, size=128, crop="pad")
    assert small.content == large.content and small.digest != large.digest
    assert cleaned(packed(picture(6)), size=64).content != small.content


@given(st.text(max_size=60) | st.text(st.sampled_from("a\u0301\u200b \t\n\x00\x85\ud800\ufeff\u202ee\u1100\u1161")))
def test_a_normalised_caption_is_plain_and_stays_as_it_is(text):
    result = normalise(text)
    assert result == normalise(result) == unicodedata.normalize("NFC", result) == " ".join(result.split())
    assert not any(unicodedata.category(mark) in ("Cc", "Cs") for mark in result)
    result.encode()


@given(st.text(st.characters(categories=("L", "N", "P")), max_size=40))
def test_letters_digits_and_marks_of_any_script_stay(text):
    assert normalise(text) == unicodedata.normalize("NFC", text)


def test_joined_emoji_stay_and_invisible_marks_go():
    typed = "\ufeffa\u200b \U0001f468\u200d\U0001f680\x07  astro\u00adnaut\n"
    assert normalise(typed) == "a \U0001f468\u200d\U0001f680 astronaut"


def test_a_book_is_cut_at_a_word():
    assert normalise("word " * 3000) == ("word " * 400).strip()
    assert len(normalise("x" * 5000)) == MAX_TEXT


def test_captions_that_say_the_same_are_one():
    assert plain(["A  cat", "", " \n", "A cat", "caf\u00e9", "cafe\u0301"]) == ("A cat", "caf\u00e9")
