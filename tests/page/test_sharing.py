"""Two pupils at one page, and what they see when its service dies."""

import signal
import time

import psutil
import pytest
from chromium import open_browser
from page.page_process import Page
from page.person import Person

LINE = "every('.lines li:not([aria-busy])')"
DONE = "every('li.done img')"


@pytest.fixture(scope="module")
def another(tmp_path_factory):
    """Somebody at another browser."""
    with open_browser(tmp_path_factory.mktemp("another")) as browser:
        yield Person(browser)


def expand(person: Person, page: Page, phrase: str, prompts: int, pictures: int) -> None:
    """Come to the page for the first time, and have a phrase expanded."""
    person.browser.screen(1280, 900)
    person.visit(page.url)
    for field, count in (("Prompts", prompts), ("Pictures of each", pictures)):
        person.write(str(count), "input", field)
        person.press("Tab")
    person.ask(phrase)
    person.until(f"{LINE}.length === {prompts}")


def test_two_pupils_take_turns_and_do_not_see_each_other(person, another, page):
    expand(person, page, "a red house", 8, 12)
    expand(another, page, "a blue boat", 1, 8)
    person.choose("Render 96 pictures")
    person.until(f"{DONE}.length > 0")
    another.choose("Render 8 pictures")
    another.until("named('p', 'All pictures are finished')")
    another.until(f"{DONE}.length === 8")
    assert 0 < person.run(f"{DONE}.length") < 48  # the long list did not go first
    for one, theirs, others in ((person, "a red house", "a blue boat"), (another, "a blue boat", "a red house")):
        assert theirs in one.text() and others not in one.text()
    person.choose("Cancel")
    person.until("named('p', 'Cancelled')")


def test_its_own_service_dies_and_nothing_is_lost(person, tmp_path):
    page = Page(tmp_path, "--out", "studies").opened()
    expand(person, page, "a red house", 2, 24)
    person.choose("Render 48 pictures")
    person.until(f"{DONE}.length > 0")
    page.family()[1].kill()
    person.until("every('[role=alert]').some((node) => node.innerText.includes('service was killed by signal 9'))")
    assert page.interrupt() == 0

    again = Page(tmp_path, "--out", "studies").opened()
    person.visit(again.url, anew=False)
    person.until("named('p', 'All pictures are finished')")
    person.until(f"{DONE}.length === 48")
    assert (tmp_path / "studies" / ".page-key").stat().st_mode & 0o077 == 0
    assert again.interrupt() == 0


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
@pytest.mark.parametrize("opened", [True, False])
def test_however_the_page_ends_its_service_ends_too(how, opened, tmp_path):
    page = Page(tmp_path, "--out", "studies")
    if opened:
        page.opened()
    deadline = time.monotonic() + 60
    while len(family := page.family()) < 2:
        assert time.monotonic() < deadline, page.log.read_text()
        time.sleep(0.01)
    page.process.send_signal(how)
    assert page.process.wait(60) == (-how if how == signal.SIGKILL else 0)
    _, left = psutil.wait_procs(family[1:], 60)
    assert not left and "Traceback" not in page.log.read_text()
