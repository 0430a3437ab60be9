"""The page of a comparison: safe, offline, whole pictures, and a script that runs under its own policy."""

import base64
import hashlib
import io
import re
import shutil
import subprocess

import pytest
from PIL import Image

from synth.compare import pair_page
from synth.compare.pair_page import page, write_page
from synth.compare.pairs import Comparison, compare
from synth.errors import StudyError
from synth.jobs import Settings

HOSTILE = ["a <script>alert(1)</script> house", 'a "quoted" & blue boat']


@pytest.fixture(scope="module")
def found(make_sweep, tmp_path_factory):
    folder = tmp_path_factory.mktemp("studies")
    one = make_sweep(folder, x="guidance_scale=1,3", prompts=HOSTILE).study
    settings = Settings(width=64, height=64, scheduler="euler")
    other = make_sweep(folder, x="guidance_scale=1,3", prompts=[*HOSTILE[:1], "other"], settings=settings).study
    for study in (one, other):
        study.measure("sharpness", {job.key: float(job.seed) for job in study.jobs}, "x")
    return compare(one.folder, other.folder)


def test_the_page_fetches_nothing_and_runs_its_own_script_only(found):
    html = page(found)
    [script] = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', html)[1]
    assert policy == (f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'")
    assert not re.findall(r"https?://|url\(|@import|<link|<iframe| on[a-z]+=", html)


def test_what_users_typed_is_escaped(found):
    html = page(found)
    assert "<script>alert" not in html and "&lt;script&gt;alert(1)&lt;/script&gt;" in html


def test_every_pixel_is_embedded(found):
    data = re.findall(r'src="data:image/png;base64,([^"]+)"', page(found))
    assert len(data) == 3 * len(found.pairs)
    a, b = found.pairs[1].pictures()
    for expected, text in zip((a, b), data[3:5], strict=True):
        assert Image.open(io.BytesIO(base64.b64decode(text))).tobytes() == expected.tobytes()


def test_words_that_only_one_side_has_are_marked(found):
    assert "<mark>" not in page(Comparison(found.names, found.pairs[:1]))
    assert tuple(
        str(part).replace("<mark>small </mark>", "<mark>small</mark> ")
        for part in pair_page._marked("prompt", "a small house", "a house")
    ) == ("prompt", "a <mark>small</mark> house", "a house")


def test_equal_jobs_are_said_to_be_equal(found):
    pair = found.pairs[0]
    html = page(Comparison(("A", "B"), (type(pair)(pair.a, pair.a, ""),)))
    assert (
        "They are equal in every pixel." in html and "Nothing: prompt, seed, settings and model are the same." in html
    )
    assert 'id="pair"' not in html


def test_large_comparisons_are_cut_and_the_page_says_so(found, monkeypatch):
    monkeypatch.setattr(pair_page, "MOST_PAIRS", 2)
    assert f"The first 2 of {len(found.pairs)} pairs" in page(found)
    monkeypatch.setattr(pair_page, "MOST_BYTES", 10)
    assert f"The first 1 of {len(found.pairs)} pairs" in page(found)


def test_a_comparison_without_pictures_is_one_clear_error(tmp_path):
    with pytest.raises(StudyError, match="no picture was rendered on both sides"):
        write_page(Comparison(("a", "b"), (), ("prompt 1: out of memory",)), tmp_path / "page.html")
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not shutil.which("chromium"), reason="needs a browser")
def test_a_browser_runs_the_script_and_shows_one_pair(found, tmp_path):
    path = write_page(found, tmp_path / "page.html")
    command = [
        "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
        f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", path.as_uri(),
    ]  # fmt: skip
    html = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    assert re.search(r'<body class="live" data-view="slider" style="--edge: 50%', html)
    assert len(re.findall(r'<figure class="pair[^"]* current"', html)) == 1
    assert '<section id="viewer" aria-label="Viewer">' in html
