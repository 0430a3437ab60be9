"""What a training leaves in its bucket, fetched into a run folder like that of a training here."""

import tarfile
import tempfile
from pathlib import Path
from typing import Any

from synth.errors import TrainError
from synth.train.cloud.account import explained
from synth.train.params import Params

AGAIN = "run the same command again to fetch it"


def fetch(s3: Any, description: dict[str, Any], params: Params, run: Path) -> None:
    """Put the model of a completed job into `run`/model, its log and samples and `params` into `run`, a new folder.

    An archive may hold plain files and folders only, all beneath itself; anything else is a TrainError. `run` appears
    whole or not at all.
    """
    home = description["OutputDataConfig"]["S3OutputPath"].rstrip("/")
    run.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".synth-", dir=run.parent) as name, explained(AGAIN):
        folder = Path(name)
        _download(s3, f"{home}/{description['TrainingJobName']}/output/output.tar.gz", folder / "output")
        _download(s3, description["ModelArtifacts"]["S3ModelArtifacts"], folder / "model")
        log = next((folder / "output").rglob("log.jsonl"), None)
        if log is None or not any((folder / "model").iterdir()):
            raise TrainError(f"{description['TrainingJobName']} left no model in {home}; look at its log in CloudWatch")
        (folder / "model").rename(log.parent / "model")
        params.write(log.parent / "params.yaml")  # the container's names folders that it alone has
        log.parent.rename(run)


def _download(s3: Any, address: str, folder: Path) -> None:
    bucket, _, key = address.removeprefix("s3://").partition("/")
    archive = folder.with_suffix(".tar.gz")
    s3.download_file(bucket, key, str(archive))
    unpack(archive, folder)
    archive.unlink()


def unpack(archive: Path, folder: Path) -> None:
    """Unpack a .tar.gz into a new folder; TrainError, and nothing unpacked, for one that is broken or unsafe."""
    try:
        with tarfile.open(archive, "r:gz") as tar:
            members = [_checked(member, archive) for member in tar]
            folder.mkdir()
            tar.extractall(folder, members, filter="data")
    except (tarfile.TarError, EOFError, OSError) as error:
        raise TrainError(f"{archive.name} cannot be unpacked ({error}); {AGAIN}") from error


def _checked(member: tarfile.TarInfo, archive: Path) -> tarfile.TarInfo:
    path = Path(member.name)
    if path.is_absolute() or ".." in path.parts or not (member.isfile() or member.isdir()):
        raise TrainError(f"{archive.name} holds {member.name!r}, which no model has; nothing was unpacked")
    return member
