"""Follows a Dockerfile step by step where there is no Docker engine, in a folder that stands for the image's root.

What stands in for the rest: this machine's Python for the base image, the packages of this test environment for the
package index (pip works for real, but offline, and finds them installed), and rewritten paths for a root of one's own.
Instructions that are not known here are refused, so that nothing is passed over in silence.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import dataclass, field, replace
from pathlib import Path

HOSTS = ("bin", "dev", "etc", "lib", "lib64", "proc", "sbin", "sys", "usr")  # what a base image brings along
OFFLINE = {"PIP_NO_INDEX": "1", "PIP_NO_BUILD_ISOLATION": "0", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}  # 0: not isolated
PATHS = re.compile(rf"(?<![\w:/.'-])/(?![/\s]|(?:{'|'.join(HOSTS)})\b)")
NAMES = re.compile(r"\$(?:\{(\w+)\}|(\w+))")


def instructions(text: str) -> list[tuple[str, str]]:
    """The instructions of a Dockerfile, (name, the rest), with their continuation lines joined."""
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    found = [part.split(None, 1) for part in re.sub(r"\\\n\s*", "", "\n".join(lines)).splitlines()]
    return [(name.upper(), rest.strip()) for name, rest in found]


def is_ignored(path: str, patterns: list[str]) -> bool:
    """Whether a .dockerignore keeps a path out of the build: the last pattern that it, or a folder above it, fits."""
    out, parts = False, path.split("/")
    parents = ["/".join(parts[:depth]) for depth in range(1, len(parts) + 1)]
    for pattern in patterns:
        if any(_expression(pattern.removeprefix("!")).fullmatch(parent) for parent in parents):
            out = not pattern.startswith("!")
    return out


def patterns_of(file: Path) -> list[str]:
    """The patterns of a .dockerignore, without its comments."""
    return [line.strip().rstrip("/") for line in file.read_text().splitlines() if line.strip() and line[0] != "#"]


def _expression(pattern: str) -> re.Pattern[str]:
    signs = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    parts = re.split(r"(\*\*/|\*\*|\*|\?)", pattern.strip("/"))
    return re.compile("".join(signs.get(part) or re.escape(part) for part in parts))


@dataclass(frozen=True)
class Image:
    """What a stage has made so far. root: the folder that stands for "/"; the rest as `docker inspect` has it."""

    root: Path
    env: dict[str, str] = field(default_factory=dict)
    workdir: str = "/"
    user: str = ""
    labels: dict[str, str] = field(default_factory=dict)
    ports: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()
    health: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] = ()
    cmd: tuple[str, ...] = ()

    def inside(self, text: str) -> str:
        """A text in which the paths of the image are those of its folder."""
        return PATHS.sub(lambda _: f"{self.root}/", text)

    def path(self, path: str) -> Path:
        """Where a path of the image lies, from its working directory on."""
        return self.root / os.path.normpath(f"{self.workdir}/{path}" if path[0] != "/" else path).lstrip("/")

    def words(self, *words: str) -> list[str]:
        """A command of the image, to be run here."""
        return [self.inside(word) for word in words]


class Kitchen:
    """Follows the instructions of a Dockerfile; every stage has the same root, as it would have in Docker.

    context: the folder that is built from; base: a PATH with a python3; args: what --build-arg gives.
    """

    def __init__(self, context: Path, folder: Path, base: str = "", **args: str) -> None:
        self.context, self.root, self.given = context, folder / "root", args
        self.base = base or f"{Path(sys._base_executable).parent}:/usr/bin:/bin"
        self.ignored = patterns_of(context / ".dockerignore")
        self.stages: dict[str, Image] = {}  # those that are finished lie in folders of their own
        self.bases: list[str] = []
        self.globals: dict[str, str] = {}
        self.args: dict[str, str] = {}
        self.image, self.name = None, ""
        self.aside = folder / "stages"

    def follow(self, text: str) -> Image:
        """The image that a Dockerfile makes."""
        for name, rest in instructions(text):
            getattr(self, f"_{name.lower()}")(rest)
        return self.image

    def _from(self, rest: str) -> None:
        base, _, name = self._filled(rest, self.globals).partition(" AS ")
        if self.image is not None:
            shutil.move(self.root, self.aside / self.name)
            self.stages[self.name] = self.image
        self.args, self.name = {}, name or "last"
        if base in self.stages:
            shutil.copytree(self.aside / base, self.root, symlinks=True)
            self.image = self.stages[base]
            return
        self.bases.append(base)
        for path, mode in ((self.aside, 0o755), (self.root, 0o755), (self.root / "tmp", 0o1777)):
            path.mkdir(parents=True, exist_ok=True)
            path.chmod(mode)
        self.image = Image(self.root, {"PATH": self.base})

    def _arg(self, rest: str) -> None:
        name, _, default = rest.partition("=")
        value = self.given.get(name, default or self.globals.get(name, ""))
        (self.globals if self.image is None else self.args)[name] = value

    def _run(self, rest: str) -> None:
        how = {"cwd": self.image.path("."), "env": self.image.env | self.args | OFFLINE}
        done = subprocess.run(["/bin/sh", "-c", self.image.inside(rest)], capture_output=True, text=True, **how)
        assert done.returncode == 0, f"RUN {rest}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
        for packages in self.root.glob("*/*/lib/python3*/site-packages"):
            (packages / "index.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
            for old in packages.glob("setuptools*"):  # which some Pythons put there, and pip would replace
                shutil.rmtree(old)

    def _copy(self, rest: str) -> None:
        words = self._filled(rest).split()
        stage = words.pop(0).removeprefix("--from=") if words[0].startswith("--") else None
        *sources, target = words
        place = self.image.path(target)
        for source in sources:
            found = (self.aside / stage if stage else self.context) / source.lstrip("/")
            if found.is_dir():
                ignore = None if stage else self._ignoring
                shutil.copytree(found, place, symlinks=True, ignore=ignore, dirs_exist_ok=True)
            else:
                assert stage or not is_ignored(source, self.ignored), f"{source} is kept out by .dockerignore"
                place.mkdir(parents=True, exist_ok=True)
                shutil.copy2(found, place / found.name)

    def _ignoring(self, folder: str, names: list[str]) -> list[str]:
        inside = Path(folder).relative_to(self.context).as_posix()
        return [name for name in names if is_ignored(f"{inside}/{name}", self.ignored)]

    def _env(self, rest: str) -> None:
        pairs = (word.split("=", 1) for word in shlex.split(self._filled(self.image.inside(rest))))
        self.image = replace(self.image, env=self.image.env | {name: value for name, value in pairs})

    def _label(self, rest: str) -> None:
        pairs = dict(word.split("=", 1) for word in shlex.split(self._filled(rest)))
        self.image = replace(self.image, labels=self.image.labels | pairs)

    def _workdir(self, rest: str) -> None:
        self.image = replace(self.image, workdir=self._filled(rest))
        self.image.path(".").mkdir(parents=True, exist_ok=True)

    def _user(self, rest: str) -> None:
        self.image = replace(self.image, user=self._filled(rest))

    def _volume(self, rest: str) -> None:
        self.image = replace(self.image, volumes=(*self.image.volumes, *self._filled(rest).split()))

    def _expose(self, rest: str) -> None:
        self.image = replace(self.image, ports=(*self.image.ports, *self._filled(rest).split()))

    def _healthcheck(self, rest: str) -> None:
        self.image = replace(self.image, health=tuple(json.loads(rest.partition("CMD ")[2])))

    def _entrypoint(self, rest: str) -> None:
        self.image = replace(self.image, entrypoint=tuple(json.loads(rest)), cmd=())

    def _cmd(self, rest: str) -> None:
        self.image = replace(self.image, cmd=tuple(json.loads(rest)))

    def _filled(self, text: str, values: dict[str, str] | None = None) -> str:
        """A text with the values of its variables, which have to be known."""
        known = self.image.env | self.args if values is None else values
        return NAMES.sub(lambda found: known[found[1] or found[2]], text)
