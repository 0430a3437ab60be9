"""Real servers: each in a process of its own, from which nothing but this machine can be reached."""

import pytest
from bench.service_process import Server


@pytest.fixture
def serving(tmp_path):
    """Starts servers; arguments as for `bench.service_process.Server`."""
    started = []

    def start(**how) -> Server:
        folder = tmp_path / f"server{len(started)}"
        folder.mkdir()
        started.append(Server(folder, **how))
        return started[-1].start()

    yield start
    for server in started:
        server.stop()


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """One server for all tests of a file; nothing that it must not do was done when it stops."""
    found = Server(tmp_path_factory.mktemp("server")).start()
    yield found
    found.stop()
    assert found.noted() == []
    assert "Traceback" not in found.log.read_text()


@pytest.fixture
def client(server, request):
    """A client of that server, with a session of its own."""
    with server.client(request.node.name) as found:
        yield found


@pytest.fixture
def small() -> dict:
    """Settings that take no time."""
    return {"steps": 2, "width": 64, "height": 64}
