"""The Dockerfile's steps, followed in a clean folder as far as that is possible without Docker; and what compose says.

No image is built here: see tests/docker_recipe.py for what stands in for one.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml
from check_wheel import expected_files
from docker_recipe import Image, Kitchen, instructions, is_ignored, patterns_of
from ports import free_port

from synth.serve.client import Client

ROOT = Path(__file__).parents[1]
RECIPE = (ROOT / "Dockerfile").read_text()
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text())
KEY = "the-key-of-a-class-0001"
SMALL = {"steps": 1, "width": 64, "height": 64}


def of_kind(name: str) -> list[str]:
    return [rest for kind, rest in instructions(RECIPE) if kind == name]


@pytest.fixture(scope="module")
def image(tmp_path_factory) -> Image:
    """The image's stand-in, made as the Dockerfile says."""
    return Kitchen(ROOT, tmp_path_factory.mktemp("docker")).follow(RECIPE)


def test_the_image_is_what_it_promises(image):
    assert image.user == "10001:10001" and image.workdir == "/data" == image.volumes[0]
    assert set(image.ports) == {"8000", "8501"} and image.labels["org.opencontainers.image.licenses"] == "Apache-2.0"
    assert image.env["HF_HUB_OFFLINE"] == "1" and image.env["STREAMLIT_BROWSER_GATHER_USAGE_STATS"] == "false"
    assert not (image.root / "build").exists()  # only what the last stage copied
    code = "import synth; print(synth.__file__)"
    where = subprocess.run(image.words("python", "-c", code), capture_output=True, text=True, **surroundings(image))
    assert where.stdout.startswith(f"{image.root}/opt/synth/"), where


def surroundings(image: Image, **more: str) -> dict:
    """A container's folder and environment, which are the image's own; `more` is what --env gives.

    Python itself knows of /tmp, and the packages of the test environment have their data there.
    """
    stand_in = {"TMPDIR": f"{image.root}/tmp", "JUPYTER_PATH": f"{sys.prefix}/share/jupyter"}
    return {"cwd": image.path("."), "env": image.env | stand_in | more}


@contextmanager
def container(image: Image, *words: str):
    """A process of the image in its surroundings; ended, if need be, by a kill."""
    notes = image.root.parent / "notes"
    [packages] = (image.root / "opt" / "synth" / "lib").glob("python*/site-packages")
    shutil.copy(ROOT / "tests" / "guard" / "sitecustomize.py", packages / "sitecustomize.py")
    notes.touch()
    notes.chmod(0o666)
    guard = ":".join(map(str, (notes, image.root / "data", image.root / "tmp")))
    how = surroundings(image, GUARD=guard, OMP_NUM_THREADS="1")
    log = image.root.parent / "log"
    with log.open("wb") as file:
        process = subprocess.Popen([*as_user(image), *image.words(*words)], stdout=file, stderr=file, **how)
    try:
        yield process, log, notes
    finally:
        process.kill()
        process.wait()


def as_user(image: Image) -> list[str]:
    """What makes a command run as the image's user. That one may read all here, as Python may lie in root's home."""
    if os.geteuid() or not shutil.which("setpriv"):
        return []
    user, group = image.user.split(":")
    may = "-all,+dac_read_search"
    words = ["setpriv", f"--reuid={user}", f"--regid={group}", "--clear-groups", "--no-new-privs", f"--inh-caps={may}"]
    words += [f"--ambient-caps={may}", f"--bounding-set={may}"]
    return words if subprocess.run([*words, "true"], capture_output=True).returncode == 0 else []


def test_the_surroundings_refuse_and_note_what_they_should(image):
    def refused(code: str) -> str:
        with container(image, "python", "-c", f"import socket; {code}") as (process, log, _):
            assert process.wait(60) == 1, code
        return log.read_text().splitlines()[-1]

    assert "blocked" in refused("socket.create_connection(('203.0.113.1', 80), 1)")
    assert "blocked" in refused("socket.getaddrinfo('example.org', 80)")
    notes = image.root.parent / "notes"
    assert len(notes.read_text().splitlines()) == 2
    notes.unlink()
    assert "Read-only file system" in refused(f"open({f'{image.root}/opt/x'!r}, 'w')")
    if as_user(image):
        assert "denied" in refused(f"import os; os.mkdir({f'{image.root}/opt/x'!r})").lower()


def until_healthy(image: Image, process: subprocess.Popen, health: list[str], log: Path) -> None:
    """Run the image's own check until it succeeds."""
    deadline = time.monotonic() + 120
    while subprocess.run(health, capture_output=True, **surroundings(image)).returncode:
        assert process.poll() is None and time.monotonic() < deadline, log.read_text()
        time.sleep(0.5)


def test_a_container_serves_as_another_user_from_a_root_that_is_read_only(image):
    secrets, port = image.root / "run" / "secrets", free_port()
    secrets.mkdir(parents=True, exist_ok=True)
    (secrets / "keys").write_text(KEY)
    health = [word.replace("8000", str(port)) for word in image.words(*image.health)]
    with container(image, *image.entrypoint, *image.cmd, "--port", str(port)) as (process, log, notes):
        until_healthy(image, process, health, log)
        with Client(f"http://127.0.0.1:{port}", KEY) as client:
            drawn = client.wait(client.study("a red lighthouse", n=1, seeds=1, settings=SMALL).id)
            assert drawn.state.state == "done", log.read_text()
            assert client.picture(drawn.state.id, drawn.pictures[0].key).startswith(b"\x89PNG")
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) in (0, -signal.SIGTERM)
        said = log.read_text()
        assert "Application shutdown complete" in said and "Traceback" not in said
        assert notes.read_text() == ""  # nothing was looked for outside
    [picture] = image.root.glob("data/generated_images/*/*/images/*.png")
    if not os.geteuid() and as_user(image):
        assert picture.stat().st_uid == 10001
    assert not list(image.root.glob("opt/**/__pycache__/sitecustomize*"))  # what is read-only stayed as it was


@pytest.mark.parametrize("base", ["python:3.12-slim", "nvidia/cuda:13.0.1-runtime-ubuntu24.04"])
def test_a_base_is_a_build_argument_and_gets_a_python_if_it_has_none(base, tmp_path):
    bare = tmp_path / "bin"
    bare.mkdir()
    for name in ("sh", "rm"):
        (bare / name).symlink_to(f"/bin/{name}")
    (bare / "apt-get").write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/asked\n')
    (bare / "apt-get").chmod(0o755)
    has_python = base.startswith("python")
    if has_python:
        (bare / "python3").symlink_to("/bin/true")
    kitchen = Kitchen(ROOT, tmp_path / "image", str(bare), BASE=base)
    kitchen.follow(RECIPE.partition("FROM python AS build")[0])
    assert kitchen.bases == [base]
    asked = (tmp_path / "asked").read_text().split() if (tmp_path / "asked").exists() else []
    assert asked == [] if has_python else {"python3", "python3-venv"} < set(asked)


def test_the_recipe_pins_needs_no_shell_and_fetches_nothing_later():
    assert all("latest" not in base for base in of_kind("FROM")) and of_kind("ADD") == []
    for command in (*of_kind("ENTRYPOINT"), *of_kind("CMD"), of_kind("HEALTHCHECK")[0].partition("CMD ")[2]):
        assert command.startswith("[")
    assert "curl" not in RECIPE and "/healthz" in of_kind("HEALTHCHECK")[0]
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    [wanted] = re.findall(r'"\.\[([\w,]+)\]"', RECIPE)
    assert set(wanted.split(",")) == {"serve", "page"} and set(wanted.split(",")) <= extras.keys()


def test_what_the_image_needs_is_in_the_context_and_nothing_else():
    patterns = patterns_of(ROOT / ".dockerignore")
    needed = {
        f"notebooks/{name.removeprefix('synth/notebooks/')}" for name in expected_files() if "/notebooks/" in name
    }
    needed |= {name for name in expected_files() if "/notebooks/" not in name}
    needed |= {"pyproject.toml", "requirements.txt", "README.md", "LICENSE"}
    assert len(needed) > 200 and not [name for name in needed if is_ignored(name, patterns)]
    for name in (
        ".git/config", "generated_images/a/images/b.png", "keys.txt", ".env", "compose.yaml", "tests/conftest.py",
        "synth/__pycache__/jobs.cpython-312.pyc", "training/unet.safetensors", "synth.egg-info/PKG-INFO", "runs/x",
        "notebooks/.ipynb_checkpoints/x.ipynb", "mlflow.db", "docs/hero.png",
    ):  # fmt: skip
        assert is_ignored(name, patterns), name


@pytest.mark.parametrize(("pattern", "path", "ignored"), [
    ("*", "a/b", True), ("a", "a/b/c", True), ("a", "b/a", False), ("**/a", "b/c/a", True), ("**/a", "a", True),
    ("*.txt", "x/y.txt", False), ("**/*.txt", "x/y.txt", True), ("a/*/c", "a/b/c", True), ("a?", "ab", True),
    ("a/**", "a/b/c", True),
])  # fmt: skip
def test_ignoring_is_as_in_docker(pattern, path, ignored):
    assert is_ignored(path, [pattern]) == ignored
    assert not is_ignored(path, [pattern, f"!{path}"])


def test_compose_gives_away_nothing():
    services = COMPOSE["services"]
    assert services.keys() == {"service", "page"}
    for service in services.values():
        assert service["image"] == services["service"]["image"] and service["read_only"] is True
        assert service["cap_drop"] == ["ALL"] and "no-new-privileges:true" in service["security_opt"]
        assert service["tmpfs"] == ["/tmp"] and "privileged" not in service and "network_mode" not in service
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ()))
    service, page = services["service"], services["page"]
    assert "ports" not in service and service["volumes"] == ["studies:/data"] and service["secrets"] == ["keys"]
    assert COMPOSE["networks"]["inside"]["internal"] and service["networks"] == ["inside"]
    assert page["depends_on"]["service"]["condition"] == "service_healthy" and "inside" in page["networks"]
    assert page["environment"]["SYNTH_KEY"].startswith("${SYNTH_KEY:?")  # from outside, and without it nothing starts
    assert COMPOSE["secrets"]["keys"].keys() == {"file"}
    assert is_ignored(COMPOSE["secrets"]["keys"]["file"], patterns_of(ROOT / ".dockerignore"))
    assert re.search(r"--url, ?['\"]?http://service:8000", str(page["command"]).replace("'", ""))
    assert "/_stcore/health" in page["healthcheck"]["test"][-1]


def test_the_documentation_says_what_was_not_done_and_its_gpu_file_fits():
    text = (ROOT / "docs" / "docker.md").read_text()
    assert "the image itself was not built" in text.lower()
    [block] = [found for found in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)]
    override = yaml.safe_load(block)
    built = override["services"]["service"]["build"]["args"]
    declared = {rest.partition("=")[0] for rest in of_kind("ARG")}
    assert built.keys() <= declared and override["services"].keys() <= COMPOSE["services"].keys()
    [device] = override["services"]["service"]["deploy"]["resources"]["reservations"]["devices"]
    assert device["capabilities"] == ["gpu"]
