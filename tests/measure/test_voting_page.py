"""The page in a real browser: by keys and by touch, over a reload, to a file that merges; and it gives nothing away."""

import base64
import io
import json
import re
import time

import pytest
from chromium import open_browser
from drawn_studies import SCENES, drawn_study
from made_up_studies import make_study
from PIL import Image

from synth.errors import InputError, StudyError
from synth.measure.votes import merge
from synth.measure.voting_page import write_page
from synth.studies import Study
from synth.vignettes.world import draw

HOSTILE = '</script><script>document.title = "run"</script><img src=x onerror="document.title = 1"> & \'q\''


@pytest.fixture(scope="module")
def drawn(tmp_path_factory) -> Study:
    other = {number: draw(SCENES[number // 4 % 2], number, 128) for number in range(8, 16)}  # of the second guidance
    return drawn_study(tmp_path_factory.mktemp("studies") / "drawn", axes=["guidance_scale=1,7.5"], odd=other)


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    folder = tmp_path_factory.mktemp("browser")
    with open_browser(folder) as opened:
        yield opened


@pytest.fixture
def page(drawn, tmp_path):
    return write_page(drawn, tmp_path / "votes.html", pairs=6)


def content(page) -> dict:
    return json.loads(re.search(r'id="page">(.*?)</script>', page.read_text(), re.DOTALL)[1])


def shown(browser) -> list[str]:
    """The keys of the two pictures on the screen."""
    sources = browser.run("[...document.querySelectorAll('.pair img')].map((image) => image.src)")
    keys = browser.run("Object.fromEntries(page.pictures.map((picture) => [picture.data, picture.key]))")
    return [keys[source] for source in sources]


def begin(browser, page) -> None:
    browser.open(page)
    browser.run("localStorage.clear()")
    browser.reload()
    assert not browser.run("document.getElementById('start').hidden")
    browser.press("Tab")
    browser.call("Input.insertText", text="Ada")
    browser.press("Enter")
    browser.until("!document.getElementById('vote').hidden")


def count(browser) -> int:
    return browser.run("ballot.votes.length")


def after(browser, action, number: int) -> None:
    """Do something after which there are `number` votes and the page waits for the next."""
    action()
    browser.until(f"!waiting && ballot.votes.length === {number}")


def saved(browser) -> dict:
    browser.run("document.getElementById('save').click()")
    browser.until("document.getElementById('saved').textContent !== ''")
    path = browser.downloads / browser.run("fileName()")
    for _ in range(200):
        if path.is_file():
            break
        time.sleep(0.05)
    return json.loads(path.read_text())


def test_a_voter_with_a_keyboard(browser, page, drawn, tmp_path):
    browser.screen(1280, 800)
    begin(browser, page)
    pairs = []
    for number, key in enumerate(["ArrowLeft", "ArrowRight", "ArrowDown", "ArrowLeft"], start=1):
        pairs.append(shown(browser))
        after(browser, lambda key=key: browser.press(key), number)
    after(browser, lambda: browser.press("Backspace"), 3)
    assert shown(browser) == pairs[3]
    browser.reload()
    assert shown(browser) == pairs[3] and count(browser) == 3  # the browser remembers
    assert browser.run("document.getElementById('count').textContent") == "4 of 6"
    pairs.pop()
    for number in (4, 5, 6):
        pairs.append(shown(browser))
        after(browser, lambda: browser.press("ArrowRight"), number)
    assert browser.run("document.getElementById('thanks').textContent") == "Thank you: 6 votes"
    ballot = saved(browser)
    assert ballot["voter"] == "Ada" and ballot["study"] == drawn.plan.key and len(ballot["ballot"]) == 32
    assert ballot["votes"] == [
        [*pair, pick] for pair, pick in zip(pairs, ["left", "right", "equal", "right", "right", "right"], strict=True)
    ]
    assert json.loads(browser.run("document.getElementById('text').value")) == ballot
    (tmp_path / "v.json").write_text(json.dumps(ballot))
    assert merge(drawn, [tmp_path / "v.json"])["votes"].sum() == 12


def test_a_voter_with_a_phone_who_stops_early_and_hands_it_on(browser, page):
    browser.screen(400, 800, phone=True)
    begin(browser, page)
    assert browser.run("document.documentElement.scrollWidth") <= 400
    assert browser.run("document.getElementById('stop').getBoundingClientRect().bottom") <= 800
    assert browser.run("Math.min(...[...document.querySelectorAll('button')].filter((button) => button.offsetParent)"
                       ".map((button) => button.getBoundingClientRect().height))") >= 44  # fmt: skip
    for number, place in enumerate(["#right", "#left", "#equal"], start=1):
        after(browser, lambda place=place: browser.tap(place), number)
    browser.tap("#right")
    browser.tap("#right")  # a second tap on the same picture is none on the next
    browser.until("!waiting")
    assert count(browser) == 4
    browser.tap("#stop")
    browser.until("!document.getElementById('end').hidden")
    first = saved(browser)
    assert [pick for *_, pick in first["votes"]] == ["right", "left", "equal", "right"]
    browser.tap("#next")
    browser.until("!document.getElementById('start').hidden")
    assert browser.run("ballot.id") != first["ballot"] and count(browser) == 0


def test_nothing_is_fetched_and_only_our_script_runs(browser, tmp_path):
    study = make_study(tmp_path / "hostile", HOSTILE)
    page = write_page(study, pairs=2)
    assert page == study.folder / "votes.html"
    browser.screen(1280, 800)
    begin(browser, page)
    assert browser.run("document.title") == "Which picture fits better?"
    assert HOSTILE in browser.run("document.getElementById('phrase').textContent")
    fetched = browser.run("performance.getEntriesByType('resource').map((entry) => entry.name)")
    assert all(name.startswith("data:") for name in fetched)
    assert browser.run("fetch('https://example.com').then(() => 'came', () => 'blocked')") == "blocked"
    injected = (
        "const s = document.createElement('script'); s.text = 'window.ran = 1'; document.body.append(s); window.ran"
    )
    assert browser.run(injected) is None


def test_the_page_gives_nothing_away(page, drawn):
    text = page.read_text()
    made = content(page)
    assert not re.search(r"guidance|7\.5|ddim|prompt_index|images/|seed|vignettes", text, re.IGNORECASE)
    keys = [picture["key"] for picture in made["pictures"]]
    assert sorted(keys) == sorted(job.key for job in drawn.jobs) and keys != [job.key for job in drawn.jobs]
    for picture in made["pictures"]:
        image = Image.open(io.BytesIO(base64.b64decode(picture["data"].partition(",")[2])))
        assert image.size == (128, 128) and image.info.keys() <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}
    row = drawn.frame().set_index("key").loc[keys[0]]
    assert made["phrases"][made["pictures"][0]["phrase"]] == row["phrase"]


def test_a_pair_has_one_phrase(page):
    made = content(page)
    assert len(made["rounds"]) == 7 and made["pairs"] == 6
    for left, right in (pair for pairs in made["rounds"] for pair in pairs):
        assert made["pictures"][left]["phrase"] == made["pictures"][right]["phrase"]


def test_the_seed_gives_the_same_page_and_another_seed_another(drawn, tmp_path):
    pages = [write_page(drawn, tmp_path / f"{n}.html", seed=seed).read_bytes() for n, seed in enumerate((0, 0, 1))]
    assert pages[0] == pages[1] != pages[2]


def test_large_pictures_are_made_smaller_and_some_are_drawn_by_lot(tmp_path):
    study = make_study(tmp_path / "large", seeds=(0, 1, 2), size=640)
    made = content(write_page(study, pictures=4))
    assert len(made["pictures"]) == 4 and made["pairs"] == 6
    data = base64.b64decode(made["pictures"][0]["data"].partition(",")[2])
    assert Image.open(io.BytesIO(data)).size == (512, 512)


@pytest.mark.parametrize(("arguments", "words"), [
    ({"pairs": 0}, "pairs: 0 cannot be used"),
    ({"pictures": 1}, "pictures: 1 cannot be used"),
    ({"pictures": 201}, "pictures: 201 cannot be used"),
    ({"seed": -1}, "seed: -1 cannot be used"),
])  # fmt: skip
def test_what_cannot_be_asked_is_told(drawn, arguments, words):
    with pytest.raises(InputError, match=words):
        write_page(drawn, **arguments)


def test_studies_with_too_few_or_too_many_pictures_are_told(tmp_path, monkeypatch):
    single = make_study(tmp_path / "single", added=(" at sunset",), seeds=(0,))
    with pytest.raises(InputError, match="two finished pictures of one phrase"):
        write_page(single)
    with pytest.raises(StudyError, match="no finished picture"):
        write_page(make_study(tmp_path / "none", added=(" at sunset",), seeds=(0,), failed={(0, 0)}))
    monkeypatch.setattr("synth.measure.voting_page.MOST_PICTURES", 3)
    with pytest.raises(InputError, match=r"pictures: 6 cannot be used; .*drawn by lot \(--pictures 60\)"):
        write_page(make_study(tmp_path / "many"))
