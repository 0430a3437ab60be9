"""What the page says before it is open."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from synth.errors import InputError, SynthError
from synth.page.launching import Opening, open_page


@pytest.mark.parametrize(
    ("how", "field"),
    [
        ({"url": "ftp://127.0.0.1"}, "url"),
        ({"url": "http://me:secret@127.0.0.1"}, "url"),
        ({"url": "http://127.0.0.1:9", "out": Path("x")}, "out"),
        ({"port": 0}, "port"),
        ({"host": "203.0.113.7"}, "host"),
    ],
)
def test_a_mistake_is_one_sentence(how, field):
    with pytest.raises(InputError, match=f"^{field}: ") as error:
        open_page(Opening(**how))
    assert "secret" not in str(error.value)


def test_a_port_that_is_taken():
    with socket.create_server(("127.0.0.1", 0)) as other, pytest.raises(InputError, match="^port: .* another --port"):
        open_page(Opening(port=other.getsockname()[1]))


def test_no_service_answers():
    with pytest.raises(SynthError, match="no service answers at http://127.0.0.1:9"):
        open_page(Opening(url="http://127.0.0.1:9"))


def test_without_its_libraries_the_command_says_what_to_install():
    code = "import sys; sys.modules['streamlit'] = None; from synth.cli import main; sys.exit(main(['page']))"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert ended.returncode == 2 and ended.stderr.count("\n") == 1
    assert "pip install 'synth[page]'" in ended.stderr
