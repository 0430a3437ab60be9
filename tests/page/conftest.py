"""One page with a service of its own, and one browser, for all tests of a file."""

from collections.abc import Iterator

import pytest
from chromium import open_browser
from page.page_process import Page
from page.person import Person


@pytest.fixture(scope="module")
def person(tmp_path_factory) -> Iterator[Person]:
    """Somebody at a browser; skips where there is none."""
    with open_browser(tmp_path_factory.mktemp("browser")) as browser:
        yield Person(browser)


@pytest.fixture(scope="module")
def page(person, tmp_path_factory) -> Iterator[Page]:
    """`synth page`, which in the end is ended by Ctrl-C: nothing is left, and nothing was asked of other machines."""
    found = Page(tmp_path_factory.mktemp("page"), "--out", "studies").opened()
    family = found.family()
    yield found
    assert len(family) > 1 and found.interrupt() == 0
    assert not [process for process in family if process.is_running()]
    assert found.notes.read_text() == "" and "Traceback" not in found.log.read_text()
