"""The code that travels to the container: this very package, what it needs, and params.yaml, in one archive."""

import gzip
import io
import re
import tarfile
from importlib import metadata
from pathlib import Path

import yaml

import synth
from synth.train.params import Params

# The container's image brings torch, built for its GPU; notebooks and reports stay at home.
LEFT_OUT = {
    "torch", "bleach", "dynamicprompts", "ipykernel", "jinja2", "jupyter", "jupyter-client", "matplotlib", "nbclient",
    "nbconvert", "nbformat", "papermill", "seaborn", "traitlets",
}  # fmt: skip


def pack_source(params: Params, archive: Path) -> None:
    """Write a .tar.gz with synth/, requirements.txt and params.yaml; the same content gives the same bytes."""
    package = Path(synth.__file__).parent
    sources = sorted(path for path in package.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    texts = {
        "requirements.txt": "".join(f"{line}\n" for line in requirements()),
        "params.yaml": yaml.safe_dump(params.as_dict(), sort_keys=False, allow_unicode=True),
        # There it is not installed, but lies in the working folder; importlib.metadata finds its version by this.
        f"synth-{synth.__version__}.dist-info/METADATA": f"Name: synth\nVersion: {synth.__version__}\n",
    }
    with (
        archive.open("wb") as raw,
        gzip.GzipFile("", "wb", 1, raw, mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w") as tar,
    ):
        for name, text in texts.items():
            _add(tar, name, text.encode())
        for path in sources:
            _add(tar, f"synth/{path.relative_to(package).as_posix()}", path.read_bytes())


def requirements() -> list[str]:
    """What the container installs: Synth's dependencies for training, in the versions that are installed here."""
    always = [line for line in metadata.requires("synth") or [] if "extra ==" not in line]
    names = {re.match(r"[\w.-]+", line)[0] for line in always} - LEFT_OUT
    return [f"{name}=={metadata.version(name).split('+')[0]}" for name in sorted(names)]


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(data)
    tar.addfile(member, io.BytesIO(data))
