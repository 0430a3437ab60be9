"""Following a training job: its states and its log as they come, and how it ended."""

import time
from collections.abc import Callable, Iterator
from typing import Any

from synth.errors import TrainError
from synth.train.cloud.account import explained

LOGS = "/aws/sagemaker/TrainingJobs"
ENDS = ("Completed", "Failed", "Stopped")
GO_ON = "run the same command again: it goes on from the last checkpoint"
# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DescribeTrainingJob.html lists the secondary states.
REASONS = {
    "MaxRuntimeExceeded": f"was not done in sagemaker.hours ({{hours:g}}); raise that, and {GO_ON}",
    "MaxWaitTimeExceeded": (
        "waited too long for spare capacity; try another instance type, region or hour, or sagemaker.spot: false,"
        f" and {GO_ON}"
    ),
    "Interrupted": f"lost its spot instances; {GO_ON}, or use sagemaker.spot: false",
    "Stopped": f"was stopped by somebody; {GO_ON}",
}


def known(sagemaker: Any, job: str) -> tuple[str, str] | None:
    """Name and status of a training of this job that has not ended, or else of the newest that was completed."""
    for status in ("InProgress", "Completed"):
        how = {"NameContains": job, "StatusEquals": status, "SortBy": "CreationTime", "SortOrder": "Descending"}
        found = sagemaker.list_training_jobs(**how)["TrainingJobSummaries"]
        if found:
            return found[0]["TrainingJobName"], status
    return None


def watch(
    name: str, sagemaker: Any, logs: Any, *, say: Callable[[str], None] = print, seconds: float = 10.0
) -> dict[str, Any]:
    """Say what a training does until it has ended, looking every `seconds`; its last description.

    Ctrl-C raises a KeyboardInterrupt that tells how to stop the training, which goes on.
    """
    states, lines = States(), Log(logs, name)
    try:
        with explained("the training goes on; the same command follows it again"):
            while True:
                description = sagemaker.describe_training_job(TrainingJobName=name)
                for line in (*states.new(description), *lines.new()):
                    say(line)
                if description["TrainingJobStatus"] in ENDS:
                    return description
                time.sleep(seconds)
    except KeyboardInterrupt:
        stop = f"aws sagemaker stop-training-job --training-job-name {name}"
        raise KeyboardInterrupt(
            f"the training goes on at AWS; the same command follows it again, `{stop}` ends it"
        ) from None


def check_end(description: dict[str, Any], checkpoints: str) -> None:
    """TrainError unless the training was completed; it says why not, and what to do."""
    if description["TrainingJobStatus"] == "Completed":
        return
    name, state = description["TrainingJobName"], description.get("SecondaryStatus", "Stopped")
    if description["TrainingJobStatus"] == "Failed" and state not in REASONS:
        reason = " ".join(description.get("FailureReason", "no reason given").split()).rstrip(".")
        raise TrainError(f"{name} failed ({reason}); put that right and {GO_ON}, if there is one in {checkpoints}")
    hours = description["StoppingCondition"]["MaxRuntimeInSeconds"] / 3600
    raise TrainError(f"{name} {REASONS.get(state, REASONS['Stopped']).format(hours=hours)}, in {checkpoints}")


class States:
    """What a training went through; a state's message changes while it lasts."""

    def __init__(self) -> None:
        self._said: set[tuple[str, str, str]] = set()

    def new(self, description: dict[str, Any]) -> Iterator[str]:
        """A line for each state, or message of one, that was not there the last time."""
        for state in description.get("SecondaryStatusTransitions", ()):
            text = state["Status"], state.get("StatusMessage", "").strip()
            key = (*text, str(state.get("StartTime")))
            if key not in self._said:
                self._said.add(key)
                yield ": ".join(filter(None, text))


class Log:
    """What a training's containers print, from CloudWatch."""

    def __init__(self, logs: Any, name: str) -> None:
        self.logs, self.name = logs, name
        self._tokens: dict[str, str] = {}

    def new(self) -> Iterator[str]:
        """The lines that came since the last time; those of several containers begin with the container's name."""
        try:
            found = self.logs.describe_log_streams(logGroupName=LOGS, logStreamNamePrefix=f"{self.name}/")["logStreams"]
        except self.logs.exceptions.ResourceNotFoundException:
            return  # nothing was printed yet
        for stream in found:
            host = stream["logStreamName"].removeprefix(f"{self.name}/").rpartition("-")[0]  # algo-1 of algo-1-179521
            for line in self._new_of(stream["logStreamName"]):
                yield line if len(found) == 1 else f"{host}  {line}"

    def _new_of(self, stream: str) -> Iterator[str]:
        while True:
            token = self._tokens.get(stream)
            how = {"nextToken": token} if token else {}
            page = self.logs.get_log_events(logGroupName=LOGS, logStreamName=stream, startFromHead=True, **how)
            for event in page["events"]:
                yield event["message"].rstrip().split("\r")[-1]  # of a progress bar, what it ended as
            self._tokens[stream] = page["nextForwardToken"]
            if page["nextForwardToken"] == token:
                return
