import os
import subprocess
import sys
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).parents[2]


def test_the_chat_example_draws_a_grid(server, tmp_path):
    source = (ROOT / "docs" / "chat.py").read_text()
    assert len(source.splitlines()) <= 60
    environment = os.environ | {"SYNTH_URL": server.url}
    command = [sys.executable, str(ROOT / "docs" / "chat.py"), "a red lighthouse", "x" * 3000]
    ended = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0, ended.stderr
    grid = next(tmp_path.glob("*.png"))
    assert Image.open(grid).size == (3 * 128, 2 * 128)
    assert "a red lighthouse" in ended.stdout and f"Look at {grid}" in ended.stdout
    assert "phrase: 'xxx" in ended.stdout and "Traceback" not in ended.stderr


def test_no_server_is_one_sentence(tmp_path):
    environment = os.environ | {"SYNTH_URL": "http://127.0.0.1:9"}
    command = [sys.executable, str(ROOT / "docs" / "chat.py"), "a red lighthouse"]
    ended = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0 and "start one with `synth serve`" in ended.stdout


def test_the_client_needs_neither_torch_nor_the_server():
    heavy = {"torch", "fastapi", "pandas", "pydantic"}
    code = f"import sys, synth.serve.client; sys.exit(', '.join({heavy!r} & {{*sys.modules}}) or 0)"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, ended.stderr
