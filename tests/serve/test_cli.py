import subprocess
import sys

import pytest

from synth.cli import serve
from synth.cli.parsing import Parser
from synth.errors import InputError


def run(*words: str) -> int:
    parser = Parser(prog="synth")
    serve.register(parser.add_subparsers())
    arguments = parser.parse_args(["serve", *words])
    return arguments.run(arguments)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--port", "x"), "^port: 'x'"), (("--port", "70000"), "^port: 70000"), (("--max-queue", "0"), "^queue: '0'"),
        (("--patience", "-1"), "^patience: '-1'"), (("--keys", "none.txt"), "^keys: .*file that exists"),
        (("--host", "0.0.0.0"), "^host: '0.0.0.0' .*--keys FILE"), (("--models", "sd3"), "^models: 'sd3'"),
        (("--out", "/dev/null"), "^out: "), (("--device", "gpu"), "^device: "),
    ],
)  # fmt: skip
def test_bad_options_are_told_before_anything_is_served(words, says, monkeypatch, tmp_path):
    monkeypatch.delenv("SYNTH_KEYS", raising=False)
    with pytest.raises(InputError, match=says):
        run(*words)
    assert not [path for path in tmp_path.rglob("*.sqlite")]


def test_what_is_given_reaches_the_server(monkeypatch, tmp_path):
    (tmp_path / "keys.txt").write_text("k" * 20)
    ran = []
    monkeypatch.setattr("synth.serve.running.serve", ran.append)
    run(
        "--host", "0.0.0.0", "--port", "9", "--keys", "keys.txt", "--models", "vignettes, best=x", "--max-steps", "7",
        "--patience", "600", "--out", "somewhere",
    )  # fmt: skip
    how = ran[0]
    assert (how.host, how.port, how.models, str(how.out)) == ("0.0.0.0", 9, ("vignettes", "best=x"), "somewhere")
    assert (how.limits.steps, how.limits.patience, how.limits.pictures) == (7, 600, 100)


def test_without_the_extra_it_says_what_to_install():
    code = (
        "import sys; sys.modules['fastapi'] = None\n"
        "from argparse import Namespace\nfrom synth.cli.serve import serve\n"
        "try: serve(Namespace())\nexcept Exception as error: print(type(error).__name__, error)"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert "pip install 'synth[serve]'" in ended.stdout, ended


def test_its_help_loads_nothing_heavy():
    code = (
        "import sys\nfrom synth.cli import serve\nfrom synth.cli.parsing import Parser\n"
        "parser = Parser(prog='synth')\nserve.register(parser.add_subparsers())\nparser.format_help()\n"
        "sys.exit(', '.join({'torch', 'fastapi', 'uvicorn', 'pandas'} & {*sys.modules}) or 0)"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, ended.stderr
