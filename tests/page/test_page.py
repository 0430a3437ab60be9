"""A person's whole path through the page, with a real service and a real browser."""

import json
import time
import zipfile
from itertools import pairwise
from pathlib import Path

import pytest

HOSTILE = '<img src=x onerror="window.hurt=1"> ![](http://example.com/x.png) <script>window.hurt=1</script>'
LINE = "every('.lines li:not([aria-busy])')"
TEXTS = f"{LINE}.map((line) => line.querySelector('.text').innerText)"
DONE = "every('li.done img')"
FORMING = "every('.lines [aria-busy] .text').map((node) => node.innerText)"


@pytest.fixture
def newcomer(person, page):
    """Somebody who was never there, and who wants two pictures of each of two prompts."""
    person.browser.screen(1280, 900)
    person.visit(page.url)
    for field in ("Prompts", "Pictures of each"):
        person.write("2", "input", field)
        person.press("Tab")
    return person


def expand(person, phrase: str) -> list[str]:
    """Have a phrase expanded; the prompts."""
    person.ask(phrase)
    person.until(f"{LINE}.length === 2")
    return person.run(TEXTS)


def render(person) -> None:
    """Have the prompts rendered, and open one of the pictures."""
    person.choose("Render 4 pictures")
    person.until(f"{DONE}.length === 4")
    person.choose("Look closer")
    person.until("every('.word').length > 5")


def downloaded(person, ending: str) -> Path:
    """The file of that kind, once it is whole."""
    deadline = time.monotonic() + 120
    while not (found := list(person.browser.downloads.glob(f"*.{ending}"))):
        assert time.monotonic() < deadline, ending
        time.sleep(0.1)
    return found[0]


def test_a_whole_path(newcomer):
    person = newcomer
    first = expand(person, "a red lighthouse at sunset")
    assert all(text.startswith("a red lighthouse at sunset") for text in first)
    assert person.run("every('.lines ins').length") == 2

    person.choose("Pin prompt 1")
    person.until("named('button', 'Pin prompt 1').ariaPressed === 'true'")
    person.choose("Re-roll those not pinned")
    person.until(f"{TEXTS}[1] !== {json.dumps(first[1])} && {LINE}.length === 2")
    assert person.run(TEXTS)[0] == first[0]
    person.choose("Edit prompt 2")
    person.write("a blue boat on a lake at night", "textarea", "Text of prompt 2")
    person.press("Enter")
    person.until(f"{TEXTS}[1] === 'a blue boat on a lake at night'")
    person.focus("summary", "What GPT-2 also wrote")
    person.press("Enter")
    person.choose("Add: a red lighthouse at sunset")
    person.choose("Render 6 pictures")
    person.choose("Remove prompt 3")

    person.until("named('p', 'All pictures are finished')")
    person.until(f"{DONE}.length === 6")
    person.until(f"{DONE}.every((image) => image.naturalWidth === 128)")
    assert person.run(f"{DONE}[3].alt") == "a blue boat on a lake at night, seed 1"

    person.choose("Look closer at a blue boat on a lake at night, seed 1")
    person.until("every('.word').length === 8")
    person.run("every('.word')[0].focus()")
    person.press("Tab", 2)
    assert person.run("focused().textContent") == "boat"
    person.until("every('canvas.shown').length === 1")
    assert "% of the attention" in person.text()

    person.choose("Compare a blue boat on a lake at night, seed 0")
    person.choose("Compare a blue boat on a lake at night, seed 1")
    person.until("named('caption', 'What differs')")
    differing = "every('tbody tr').filter((row) => row.querySelector('th')).map((row) => row.innerText.split('\\t'))"
    assert person.run(differing) == [["seed", "0", "1"]]
    person.focus("input", "How much of A is seen")
    person.press("ArrowRight", 5)
    person.until("every('.frames')[0].closest('.part').style.getPropertyValue('--split') === '55%'")

    person.choose("Measure the pictures")
    person.until("every('td').some((cell) => cell.textContent === 'sharpness')")
    assert person.run("every('[aria-label=\"Table of all pictures\"] tbody tr').length") == 6
    person.choose("Pictures and log (zip)")
    with zipfile.ZipFile(downloaded(person, "zip")) as archive:
        assert archive.testzip() is None
        assert sum("/images/" in name for name in archive.namelist()) == 6
    person.choose("Report (a page)")
    assert "a red lighthouse at sunset" in downloaded(person, "html").read_text()


def test_texts_are_seen_growing_as_gpt2_writes_them(newcomer):
    person = newcomer
    person.write("64", "input", "Prompts")
    person.press("Tab")
    person.run(f"forming = []; setInterval(() => forming.push({FORMING}), 50)")
    person.ask("a red house")
    person.until("named('p', 'GPT-2 is writing 32 texts at a time')")
    person.until(f"{LINE}.length === 64 && named('[role=status]', 'GPT-2 has finished')")
    forming = [texts for texts in person.run("forming") if texts]
    assert {len(texts) for texts in forming} == {8}
    assert all(text.startswith("a red house") for texts in forming for text in texts)
    grown = [new for old, new in pairwise(forming) if new != old and all(map(str.startswith, new, old))]
    assert len(grown) > 1


def test_hasty_clicks_do_not_cut_the_connection(newcomer, page):
    person = newcomer
    expand(person, "a red lighthouse at sunset")
    person.choose("Render 4 pictures")
    names = ("Pin", "Unpin", "Look closer", "Compare", "Render")
    for place in range(150):
        person.run(
            f"every('button').filter((node) => seen(node) && !node.disabled && (node.ariaLabel || node.textContent)"
            f".startsWith({names[place % len(names)]!r})).slice({place % 2})[0]?.click()"
        )
        time.sleep(0.05)
    person.until("named('p', 'All pictures are finished')")
    assert not person.run("every('[role=dialog]').length")
    person.until(f"{DONE}.length === 4 && {DONE}.every((image) => image.naturalWidth === 128)")
    gone = f"{page.url}/pictures/{'0' * 64}"
    assert person.run(f"fetch({json.dumps(gone)}).then((answer) => answer.status)") == 404


def test_a_hostile_phrase_is_text_everywhere_and_on_a_phone_all_fits(newcomer, page):
    person = newcomer
    person.browser.screen(390, 844, phone=True)
    assert all(HOSTILE in text for text in expand(person, HOSTILE))
    render(person)
    assert HOSTILE in person.text()
    assert not person.run("window.hurt")
    sources = person.run("every('img').map((image) => image.src)")
    assert sources and all(source.startswith(("data:", f"{page.url}/pictures/")) for source in sources)

    assert person.run("document.documentElement.scrollWidth") <= 390
    wide = (
        "every('*').filter(seen).filter((node) => node.getBoundingClientRect().right > 391 && !node.closest('.wide'))"
    )
    assert person.run(f"{wide}.map((node) => node.tagName + ' ' + node.className)") == []
    person.until(f"{DONE}.every((image) => image.clientWidth >= 120)")

    names = person.names()
    assert ("button", "Pin prompt 1") in names and ("textbox", "Phrase") in names
    assert [role for role, name in names if not name.strip()] == []
    fetched = person.run("performance.getEntriesByType('resource').map((entry) => entry.name)")
    assert fetched and all(name.startswith((page.url, "data:")) for name in fetched)

    before = person.run(TEXTS)
    person.visit(page.url, anew=False)
    person.until(f"{DONE}.length === 4")
    assert person.run(TEXTS) == before  # a reload finds it again
    person.ask("x" * 2100)
    person.until("named('[role=alert]', 'phrase:')")
    assert person.run(f"{DONE}.length") == 4  # what was done stays
    person.visit(page.url)
    assert person.run(f"{DONE}.length") == 0  # and somebody else has nothing of it
