"""What a training leaves in its bucket, fetched into a run folder like that of a training here."""

import json
import shutil
import struct
import tarfile
import tempfile
from pathlib import Path
from typing import Any

from synth.errors import TrainError
from synth.models.weights import digest, read_header, read_json, training_facts
from synth.train import run_folder
from synth.train.cloud.account import explained
from synth.train.cloud.jobs import CloudJob

FETCH_AGAIN = "run the same command again to fetch it"


def fetch(s3: Any, description: dict[str, Any], job: CloudJob, run: Path) -> None:
    """Put the model of a completed job into `run`/model, its checkpoint, log and samples into `run`, a new folder.

    An archive may hold plain files and folders only, all beneath itself; anything else is a TrainError. `run` appears
    whole or not at all.
    """
    home = description["OutputDataConfig"]["S3OutputPath"].rstrip("/")
    run.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".synth-", dir=run.parent) as name, explained(FETCH_AGAIN):
        folder = Path(name)
        _download(s3, f"{home}/{description['TrainingJobName']}/output/output.tar.gz", folder / "output")
        _download(s3, description["ModelArtifacts"]["S3ModelArtifacts"], folder / "model")
        log = next((folder / "output").rglob("log.jsonl"), None)
        if log is None or not any((folder / "model").iterdir()):
            raise TrainError(f"{description['TrainingJobName']} left no model in {home}; look at its log in CloudWatch")
        (folder / "model").rename(log.parent / "model")
        _bring_home(log.parent, job)
        log.parent.rename(run)


def _bring_home(run: Path, job: CloudJob) -> None:
    """Name this machine's folders where the container named its own."""
    base = job.params.train.base
    facts, result = (read_json(run / name) for name in (run_folder.FACTS, "result.json"))
    best = run / "checkpoints" / result["checkpoint"]
    if job.channels[1:]:
        _rebase(best, str(Path(base).expanduser().resolve()))
    facts |= {"data_folder": str(job.data.resolve()), "params": facts["params"] | {"base": base}}
    result |= {"checkpoint_digest": digest(best)}
    for name, changed in ((run_folder.FACTS, facts), ("result.json", result)):
        (run / name).write_text(json.dumps(changed, indent=1), encoding="utf-8")
    job.params.write(run / "params.yaml")


def _rebase(checkpoint: Path, base: str) -> None:
    """Tell a checkpoint where its base lies; its weights, which may be more than the memory holds, are only copied."""
    header, facts = read_header(checkpoint), training_facts(checkpoint)
    if "start" not in facts:  # a CLIP's, which is not rendered
        return
    facts["start"]["base"]["name"] = base
    header["__metadata__"]["facts"] = json.dumps(facts)
    text = json.dumps(header, separators=(",", ":")).encode()
    text = text.ljust(-(-len(text) // 8) * 8)
    changed = checkpoint.with_suffix(".part")
    with checkpoint.open("rb") as old, changed.open("wb") as new:
        old.seek(8 + struct.unpack("<Q", old.read(8))[0])
        new.write(struct.pack("<Q", len(text)) + text)
        shutil.copyfileobj(old, new)
    changed.replace(checkpoint)


def _download(s3: Any, address: str, folder: Path) -> None:
    bucket, _, key = address.removeprefix("s3://").partition("/")
    archive = folder.with_suffix(".tar.gz")
    try:
        s3.download_file(bucket, key, str(archive))
    except s3.exceptions.ClientError as error:
        if error.response["Error"]["Code"] != "404":
            raise
        raise TrainError(f"{address} is not there; another train.seed starts another training") from error
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
        raise TrainError(f"{archive.name} cannot be unpacked ({error}); {FETCH_AGAIN}") from error


def _checked(member: tarfile.TarInfo, archive: Path) -> tarfile.TarInfo:
    path = Path(member.name)
    if path.is_absolute() or ".." in path.parts or not (member.isfile() or member.isdir()):
        raise TrainError(f"{archive.name} holds {member.name!r}, which no model has; nothing was unpacked")
    return member
