"""The notebook on settings, executed as a report: what it shows, and what it leaves behind."""

import re

import pytest

from synth import presets
from synth.compare.sweeps import prepare
from synth.reporting import report

SWEEP = {"prompts": ["a red <b>house</b>"], "x": "guidance_scale=1,6", "y": "steps=1,2", "seeds": 2}


@pytest.fixture(scope="module")
def made(tiny_sd, tmp_path_factory):
    """A report and the folder of studies."""
    out = tmp_path_factory.mktemp("out")
    how = {"model": str(tiny_sd), "width": 64, "height": 64, "out": out, "progress": False}
    return report(notebook="2_compare_settings", **SWEEP, **how), out


def test_it_shows_pictures_measures_and_the_two_that_are_furthest_apart(made):
    html = made[0].html.read_text()
    for alt, least in (("The pictures in a grid", 2), ("Each measure over the axes", 2), ("seconds per picture", 1)):
        assert len(re.findall(f'alt="[^"]*{alt}', html)) >= least
    assert "Sharpness is highest at " in html and "Behind the best" in html
    assert "most recent call" not in html
    assert "<script" not in html


def test_it_leaves_grids_and_the_page_that_it_links_to(made):
    html, out = made[0].html, made[1]
    [link] = re.findall(r'href="(\.\./[^"]+worst-and-best\.html)"', html.read_text())
    assert (html.parent / link).resolve().is_file()
    assert len(list(out.glob("*/grids/guidance_scale-by-steps-*.png"))) == 2


def test_its_pictures_are_a_study_that_has_nothing_left_to_render(made, tiny_sd):
    settings = presets.advised(str(tiny_sd)).but(width=64, height=64)
    request = prepare(**SWEEP, model=str(tiny_sd), settings=settings, out=made[1])
    assert request.plan.pictures == 8 and request.left == 0
