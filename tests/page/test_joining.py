"""A page that joins a service which others run: with its key, and whatever becomes of it."""

import pytest
from bench.service_process import Server
from page.page_process import Page

from synth.errors import InputError
from synth.page.launching import Opening, open_page

KEY = "a-key-that-nobody-may-see"
LINE = "every('.lines li:not([aria-busy])')"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("server")
    keys = folder / "keys.txt"
    keys.write_text(KEY)
    found = Server(folder, keys=keys, limits={"queue": 30})
    yield found.start()
    found.stop()


def test_a_wrong_key_is_told_and_not_shown(server, monkeypatch):
    monkeypatch.setenv("SYNTH_KEY", "another-secret-key")
    with pytest.raises(InputError, match="^SYNTH_KEY: ") as error:
        open_page(Opening(url=server.url))
    assert "another-secret-key" not in str(error.value)


@pytest.fixture(scope="module")
def page(server, tmp_path_factory):
    """A page that joins that server."""
    found = Page(tmp_path_factory.mktemp("page"), "--url", server.url, SYNTH_KEY=KEY).opened()
    yield found
    assert found.interrupt() == 0 and found.notes.read_text() == ""


@pytest.fixture
def newcomer(person, page):
    """Somebody who was never there, and has a phrase expanded."""
    person.browser.screen(1280, 900)
    person.visit(page.url)
    person.ask("a red house")
    person.until(f"{LINE}.length === 4")
    return person


def test_a_full_queue_is_told_and_what_waits_can_be_cancelled(server, newcomer):
    person = newcomer
    with server.client("somebody else", KEY) as other:
        long = other.render(["a boat"], seeds=20, settings={"steps": 100})
        person.choose("Render 16 pictures")
        person.until("named('[role=alert]', 'the queue is full; try again in')")
        person.write("2", "input", "Pictures of each")
        person.press("Tab")
        person.choose("Render 8 pictures")
        person.choose("Cancel")
        person.until("named('p', 'Cancelled: its client cancelled it')")
        other.cancel(long.id)
    assert not person.run("named('[role=alert]', 'the queue is full')")


def test_a_service_that_comes_back_is_found_again(server, newcomer, page):
    person = newcomer
    server.kill()
    person.choose("Render 16 pictures")
    person.until("named('[role=alert]', 'no service answers')")
    assert person.run(f"{LINE}.length") == 4
    server.start()
    person.choose("Render 16 pictures")
    person.until("every('li.done img').length > 0")
    assert KEY not in person.run("document.documentElement.outerHTML") + page.log.read_text()
    server.how["keys"].write_text("# revoked")
    person.choose("Render 16 pictures")
    person.until("named('[role=alert]', 'the service wants a key')")
