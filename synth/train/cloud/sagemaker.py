"""`synth train sagemaker`: the same training as here, on machines of AWS."""

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from synth.errors import InputError
from synth.train.cloud.account import NOTHING, connect, explained
from synth.train.cloud.costs import estimate
from synth.train.cloud.jobs import CloudJob
from synth.train.cloud.launching import Launch
from synth.train.cloud.results import fetch
from synth.train.cloud.watching import check_end, known, watch


def train_on_sagemaker(
    job: CloudJob,
    run: Path,
    *,
    confirm: Callable[[str], bool],
    say: Callable[[str], None] = print,
    seconds: float = 10.0,
) -> bool:
    """Train a job to its end, saying what happens, and fetch what it made into `run`.

    confirm: is told what it may cost, before anything is uploaded or started; False from it ends the matter, and is
    returned. A training of the same job that still runs is followed, and one that was completed is fetched, instead of
    starting another.
    InputError and TrainError name what is wrong and whether anything was created.
    """
    if run.exists():
        raise InputError("out", str(run), "choose a folder that does not exist yet")
    session = connect(job.settings)
    sagemaker = session.client("sagemaker")
    with explained(NOTHING):
        name, status = known(sagemaker, job.name) or ("", "")
    if not name:
        with TemporaryDirectory(prefix="synth-") as folder:
            launch = Launch(job, session, folder)
            if not confirm(str(estimate(job.settings))):
                return False
            say(f"{launch.upload()} files of data uploaded to s3://{job.settings.bucket}/synth/data")
            name = launch.start()
    if status == "Completed":
        say(f"{name} is completed already, and is fetched; another train.seed starts another training")
    else:
        say(f"{name} runs; Ctrl-C leaves it running, and the same command follows it again")
    description = watch(name, sagemaker, session.client("logs"), say=say, seconds=seconds)
    check_end(description, job.checkpoints)
    fetch(session.client("s3"), description, job, run)
    return True
