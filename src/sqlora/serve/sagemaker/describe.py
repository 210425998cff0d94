"""A training job as DescribeTrainingJob and ListTrainingJobs show it.

| phase of `Customizations` | SecondaryStatus |
|---|---|
| it waits for the jobs before it | Starting |
| validation, data | Downloading |
| training | Training |
| upload | Uploading |
| done | Completed, Failed, Stopped, or MaxRuntimeExceeded |
"""

from __future__ import annotations

import math
from datetime import datetime
from typing import Any

from sqlora.errors import NotFoundError
from sqlora.platform.customization import Customization
from sqlora.platform.state import State
from sqlora.serve.aws.arns import Arns
from sqlora.serve.sagemaker.artifacts import model_artifacts
from sqlora.serve.sagemaker.training_request import DEFAULT_RUNTIME

LONGEST_REASON = 1024  # characters of a FailureReason
STATUSES = (("validation", "Downloading"), ("training", "Training"), ("upload", "Uploading"))
MESSAGES = {
    "Starting": "Starting the training job",
    "Downloading": "Downloading the input data",
    "Training": "Training in progress",
    "Uploading": "Uploading the manifest",
    "Stopping": "Stopping the training job",
    "Stopped": "Training job stopped",
    "MaxRuntimeExceeded": "Training job runtime exceeded the maximum",
    "Completed": "Training job completed",
    "Failed": "Training job failed",
}
# What the call said and is answered with as it came; Tags and SessionChainingConfig are not in the answer's shape.
ECHOED = (
    "HyperParameters", "AlgorithmSpecification", "RoleArn", "InputDataConfig", "ResourceConfig", "VpcConfig",
    "CheckpointConfig", "DebugHookConfig", "DebugRuleConfigurations", "TensorBoardOutputConfig", "ExperimentConfig",
    "ProfilerConfig", "ProfilerRuleConfigurations", "Environment", "RetryStrategy", "RemoteDebugConfig",
    "InfraCheckConfig",
)  # fmt: skip
SWITCHES = ("EnableNetworkIsolation", "EnableInterContainerTrafficEncryption", "EnableManagedSpotTraining")


def summary(found: Customization, arns: Arns) -> dict[str, Any]:
    """An item of ListTrainingJobs."""
    return {
        "TrainingJobName": found.job.name,
        "TrainingJobArn": arns.training_job(found.job.name),
        "CreationTime": found.created_at,
        "TrainingEndTime": found.ended_at,
        "LastModifiedTime": modified_at(found),
        "TrainingJobStatus": found.status,
        "SecondaryStatus": transitions(found)[-1]["Status"],
    }


def description(found: Customization, arns: Arns, state: State) -> dict[str, Any]:
    """All of DescribeTrainingJob's answer."""
    request = found.request
    began, ended = found.steps["validation"].created_at, found.ended_at
    seconds = _seconds(began, ended) if began and ended else None
    limits = {"MaxRuntimeInSeconds": DEFAULT_RUNTIME} | request.get("StoppingCondition", {})
    return {
        **{name: request[name] for name in ECHOED if name in request},
        **{name: request.get(name, False) for name in SWITCHES},
        **summary(found, arns),
        "ModelArtifacts": {"S3ModelArtifacts": model_artifacts(request)},
        "OutputDataConfig": {"CompressionType": "GZIP"} | request["OutputDataConfig"],
        "StoppingCondition": limits,
        "TrainingStartTime": began,
        "TrainingTimeInSeconds": seconds,
        "BillableTimeInSeconds": seconds,
        "SecondaryStatusTransitions": transitions(found),
        "FailureReason": failure_reason(found),
        "FinalMetricDataList": metrics(found, state) or None,
        "ProgressInfo": progress(found),
    }


def modified_at(found: Customization) -> str:
    """When anything about the job changed last; a worker's progress counts."""
    return max(found.updated_at, found.job.updated_at)


def transitions(found: Customization) -> list[dict[str, Any]]:
    """Every status that the job has been through, with its times; the last is the present one."""
    starts = [("Starting", found.created_at)]
    for step, status in STATUSES:
        if began := found.steps[step].created_at:
            starts.append((status, began))
    if asked := found.details.get("stop_requested"):
        starts.append(("Stopping", max(asked, starts[-1][1])))
    if found.status in ("Completed", "Failed", "Stopped"):
        last = "MaxRuntimeExceeded" if found.status == "Stopped" and found.timed_out else found.status
        starts.append((last, found.ended_at or modified_at(found)))
    ends = [at for _, at in starts[1:]] + [found.ended_at]
    return [
        {"Status": status, "StartTime": at, "EndTime": end, "StatusMessage": MESSAGES[status]}
        for (status, at), end in zip(starts, ends, strict=True)
    ]


def failure_reason(found: Customization) -> str | None:
    """Whose fault it was, and what; None unless the job has failed."""
    if found.failure_message is None:
        return None
    began = {name for name, step in found.steps.items() if step.created_at}
    whose = "AlgorithmError" if "training" in began and "upload" not in began else "ClientError"
    text = f"{whose}: {' '.join(found.failure_message.split())}"
    return text if len(text) <= LONGEST_REASON else text[: LONGEST_REASON - 1] + "…"


def metrics(found: Customization, state: State) -> list[dict[str, Any]]:
    """The losses, in nats a token, once the model is made and while it is there."""
    if found.model_id is None:
        return []
    try:
        model = state.models.get(found.model_id)
    except NotFoundError:  # removed on the command line
        return []
    losses = {"training_loss": model.train_loss, "validation_loss": model.validation_loss}
    return [
        {"MetricName": name, "Value": loss, "Timestamp": model.created_at}
        for name, loss in losses.items()
        if loss is not None and math.isfinite(loss)
    ]


def progress(found: Customization) -> dict[str, Any] | None:
    """How far the training is; None before its first step."""
    known, epochs = found.job.progress, found.details["recipe"]["epochs"]
    if not known.get("step"):
        return None
    return {
        "TotalStepCountPerEpoch": math.ceil(known["steps"] / epochs),
        "CurrentStep": known["step"],
        "CurrentEpoch": int(known.get("epoch", 0)),
        "MaxEpoch": math.ceil(epochs),
    }


def _seconds(began: str, ended: str) -> int:
    """Billed from the download on, a second at least."""
    elapsed = (datetime.fromisoformat(ended) - datetime.fromisoformat(began)).total_seconds()
    return max(1, math.ceil(elapsed))
