"""Pictures and scripts within a page."""

import base64
import hashlib
import io

import pytest
from PIL import Image

from synth.layout.inlining import digest_of, embedded


@pytest.mark.parametrize(("kind", "mode"), [("PNG", "L"), ("PNG", "RGB"), ("JPEG", "RGBA"), ("WEBP", "P")])
def test_a_picture_is_held_without_its_metadata_and_left_as_it_was(kind, mode):
    picture = Image.new(mode, (64, 32))
    picture.info["parameters"] = "a secret"
    head, data = embedded(picture, kind, longest=16).split(",")
    assert head == f"data:image/{kind.lower()};base64"
    held = base64.b64decode(data)
    with Image.open(io.BytesIO(held)) as found:
        assert (found.format, found.size) == (kind, (16, 8))
    assert b"secret" not in held
    assert picture.size == (64, 32) and picture.info == {"parameters": "a secret"}


def test_all_pixels_of_a_small_picture_are_kept():
    picture = Image.effect_noise((20, 10), 50)
    with Image.open(io.BytesIO(base64.b64decode(embedded(picture, longest=64).split(",")[1]))) as found:
        assert found.tobytes() == picture.tobytes()


def test_a_digest_is_that_of_a_content_security_policy():
    assert base64.b64decode(digest_of("alert(1)")) == hashlib.sha256(b"alert(1)").digest()
