"""A training on SageMaker as a value: what travels, where it lies in the bucket, and the name that finds it again.

Nothing here touches the network. All names come from content: the same command uploads nothing twice, goes on from the
checkpoints of a training that ended early, and finds one that still runs.
"""

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from synth.errors import InputError
from synth.presets import HUB_ID, PRESETS
from synth.train.data.prepared import FACTS, LEFT_OUT, PICTURES, RECORDS, PreparedSet
from synth.train.params import Params, SageMaker
from synth.train.texts import Texts

PREPARED = (FACTS, RECORDS, PICTURES, LEFT_OUT)
ROLE = re.compile(r"arn:aws[a-z-]*:iam::\d{12}:role/[\w+=,.@/-]+")
BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
INSTANCE = re.compile(r"ml\.[a-z0-9-]+\.[a-z0-9-]+")
GIGABYTE = 10**9


@dataclass(frozen=True)
class Channel:
    """Files that the container finds in /opt/ml/input/data/<name>.

    digest: of their content, hexadecimal. files: by their path in that folder.
    """

    name: str
    digest: str
    files: dict[str, Path]

    @property
    def prefix(self) -> str:
        """Where they lie in the bucket."""
        return f"synth/data/{self.digest}"

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(path.stat().st_size for path in self.files.values())


@dataclass(frozen=True)
class CloudJob:
    """One training. name: the same for the same kind, data, base and training parameters."""

    kind: str
    params: Params
    channels: tuple[Channel, ...]
    name: str

    @classmethod
    def plan(cls, kind: str, data: Path, params: Params) -> Self:
        """The job that trains a `kind` on prepared data; InputError for whatever is known to be wrong by now.

        data: a folder that `synth train data` prepared, or, for gpt2, a file of texts.
        """
        params = params.but("train", kind=kind)
        _check(params.sagemaker)
        channels = (_data_channel(params, data), *_base_channels(params.train.base))
        _check_volume(params.sagemaker, channels)
        train = params.as_dict()["train"] | ({"base": ""} if channels[1:] else {})  # a folder's name says nothing
        content = json.dumps([train, *(channel.digest for channel in channels)], sort_keys=True)
        return cls(kind, params, channels, f"synth-{kind}-{_digest(content.encode())[:12]}")

    @property
    def settings(self) -> SageMaker:
        """Where and on what it runs."""
        return self.params.sagemaker

    @property
    def packed(self) -> Params:
        """The parameters that travel. MLflow is rarely within the container's reach: the result is registered here."""
        return self.params.but("track", uri="off")

    @property
    def data(self) -> Path:
        """The folder of prepared data, or the file of texts."""
        first = next(iter(self.channels[0].files.values()))
        return first if self.texts else first.parent

    @property
    def texts(self) -> str:
        """Name of the file of texts in the channel train; empty where that holds prepared data."""
        names = list(self.channels[0].files)
        return "" if FACTS in names else names[0]

    @property
    def home(self) -> str:
        """S3 address of its checkpoints and results."""
        return f"s3://{self.settings.bucket}/synth/runs/{self.name}"

    @property
    def checkpoints(self) -> str:
        """S3 address of its checkpoints."""
        return f"{self.home}/checkpoints"


def _check(settings: SageMaker) -> None:
    for name, pattern, remedy in (
        ("role", ROLE, "give the ARN of a SageMaker execution role, such as arn:aws:iam::123456789012:role/SageMaker"),
        ("bucket", BUCKET, "give the name of a bucket that exists, without s3://"),
        ("instance_type", INSTANCE, "give a type for training, such as ml.g5.xlarge"),
    ):
        value = getattr(settings, name)
        if not pattern.fullmatch(value):
            raise InputError(f"sagemaker.{name}", value, remedy)


def _check_volume(settings: SageMaker, channels: tuple[Channel, ...]) -> None:
    needed = sum(channel.size for channel in channels) / GIGABYTE
    if needed > settings.volume:
        remedy = f"use more than {needed:.0f} (GB): the data alone is that large, and checkpoints need room too"
        raise InputError("sagemaker.volume", settings.volume, remedy)


def _data_channel(params: Params, data: Path) -> Channel:
    if params.train.kind != "gpt2" or data.is_dir():
        return Channel("train", PreparedSet.open(data).digest, {name: data / name for name in PREPARED})
    texts = Texts.read(data, column=params.data.caption, validation=params.data.validation)
    return Channel("train", _digest((_file_digest(data) + texts.digest).encode()), {data.name: data})


def _base_channels(base: str) -> list[Channel]:
    """A channel for a model in a folder, which the container can't reach by its path; none for one that it can."""
    folder = Path(base).expanduser()
    if base in PRESETS or (HUB_ID.fullmatch(base) and not folder.is_dir() and not base.startswith((".", "~"))):
        return []
    if not folder.is_dir():
        raise InputError("train.base", base, "give a preset, a hub id (org/name) or a folder that exists")
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    files = {path.relative_to(folder).as_posix(): path for path in paths}
    content = json.dumps({name: _file_digest(path) for name, path in files.items()})
    return [Channel("base", _digest(content.encode()), files)]


def _file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
