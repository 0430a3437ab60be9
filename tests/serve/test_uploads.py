import io
import zlib

import numpy as np
import pytest
from PIL import Image

from synth.errors import InputError
from synth.records.pictures import pixel_digest
from synth.serve.limits import Limits
from synth.serve.uploads import find, receive


def file_of(picture: Image.Image, form: str = "PNG", **how) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, form, **how)
    return buffer.getvalue()


def test_a_picture_is_kept_by_its_pixels(tmp_path):
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 30, 3), np.uint8))
    digest = receive(file_of(picture), tmp_path, Limits())
    assert digest == pixel_digest(picture) == receive(file_of(picture, "TIFF"), tmp_path, Limits())
    path = find(digest, tmp_path, "source")
    assert list((tmp_path / "uploads").iterdir()) == [path]
    with Image.open(path) as kept:
        assert pixel_digest(kept) == digest
    assert find(None, tmp_path, "source") is None
    with pytest.raises(InputError, match="^mask: '0000.*upload the picture first"):
        find("0" * 64, tmp_path, "mask")


@pytest.mark.parametrize("form", ["PNG", "GIF", "TIFF"])
def test_a_hundred_megapixels_are_refused_unread(tmp_path, form):
    bomb = file_of(Image.new("1", (10_000, 10_000)), form, **{"compression": "group4"} if form == "TIFF" else {})
    assert len(bomb) < 200_000
    with pytest.raises(InputError, match=r"^picture: .*(10,000 x 10,000 pixels|can be read)"):
        receive(bomb, tmp_path, Limits())
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "data",
    [b"", b"GIF89a", b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"\x89PNG\r\n\x1a\n" + zlib.compress(b"x" * 999)],
)
def test_what_is_no_picture_is_refused(tmp_path, data):
    with pytest.raises(InputError, match="^picture: .*send a picture that can be read"):
        receive(data, tmp_path, Limits())
    assert not list(tmp_path.iterdir())


def test_the_oldest_make_room(tmp_path):
    digests = [
        receive(file_of(Image.new("RGB", (8, 8), (shade, 0, 0))), tmp_path, Limits(uploads=2)) for shade in range(4)
    ]
    kept = {path.stem for path in (tmp_path / "uploads").iterdir()}
    assert kept == set(digests[2:])
