"""SageMaker as far as containers go: the job's entry point as a process, between folders laid out as in /opt/ml.

Channels are fetched from S3 by their prefix, checkpoints go there and back, the model folder becomes model.tar.gz, and
what the process prints is in CloudWatch's logs. There is no image: the entry point runs in this machine's Python.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlora.platform.objects import locate
from sqlora.platform.state import State
from sqlora.serve.auth.authenticate import Authenticate
from sqlora.serve.aws.api import AwsApi
from sqlora.serve.aws.call import AwsError, Call
from sqlora.serve.emulator import aws_emulator
from tests.unit.serve.aws.running import running
from tests.wire.clients import boto

GROUP = "/aws/sagemaker/TrainingJobs"
# Threads that wait for each other at every layer make a model of this size thirty times slower on a busy machine.
ONE_THREAD = {"OMP_NUM_THREADS": "1"}


@dataclass
class Job:
    """One job, its parameters, and its process once it runs."""

    params: dict[str, Any]
    arn: str
    root: Path
    status: str = "InProgress"
    secondary: str = "Starting"
    reason: str | None = None
    process: subprocess.Popen[str] | None = None
    stopping: bool = False
    began: datetime = field(default_factory=lambda: datetime.now(UTC))


class ContainerHost:
    """The handlers of three operations. ``url`` is where S3 and the logs are: the same server.

    ``command`` is run instead of a job's own entry point.
    """

    def __init__(self, folder: Path, command: Sequence[str] | None = None) -> None:
        self.folder, self.url, self.command = folder, "", command
        self.jobs: dict[str, Job] = {}
        self.threads: list[threading.Thread] = []

    def handlers(self) -> dict[tuple[str, str], Any]:
        return {
            ("sagemaker", "CreateTrainingJob"): self.create,
            ("sagemaker", "DescribeTrainingJob"): self.describe,
            ("sagemaker", "StopTrainingJob"): self.stop,
        }

    def create(self, call: Call) -> dict[str, Any]:
        name = call.params["TrainingJobName"]
        if name in self.jobs:
            raise AwsError("ResourceInUse", f"{name} is there already")
        arn = f"arn:aws:sagemaker:{call.region}:{call.account}:training-job/{name}"
        # Every container sees the same /opt/ml, so another attempt of a job has the folder of the first.
        job = self.jobs[name] = Job(call.params, arn, self.folder / re.sub(r"-\d$", "", name))
        thread = threading.Thread(target=self._run, args=(job,), name=name)
        self.threads.append(thread)
        thread.start()
        return {"TrainingJobArn": arn}

    def describe(self, call: Call) -> dict[str, Any]:
        job = self.jobs.get(call.params["TrainingJobName"])
        if job is None:
            raise AwsError("ValidationException", "Requested resource not found.")
        ended = job.status in ("Completed", "Failed", "Stopped")
        return {
            "TrainingJobName": job.params["TrainingJobName"],
            "TrainingJobArn": job.arn,
            "ModelArtifacts": {"S3ModelArtifacts": self._artifacts(job)},
            "TrainingJobStatus": job.status,
            "SecondaryStatus": job.secondary,
            "AlgorithmSpecification": job.params["AlgorithmSpecification"],
            "ResourceConfig": job.params["ResourceConfig"],
            "StoppingCondition": job.params["StoppingCondition"],
            "CreationTime": job.began,
            "FailureReason": job.reason,
            "TrainingEndTime": datetime.now(UTC) if ended else None,
            "BillableTimeInSeconds": 600 if ended else None,
        }

    def stop(self, call: Call) -> dict[str, Any]:
        job = self.jobs[call.params["TrainingJobName"]]
        job.stopping = True
        if job.process is not None:
            job.process.send_signal(signal.SIGTERM)
        return {}

    # the job ----------------------------------------------------------------------------------------------------------

    def _run(self, job: Job) -> None:
        try:
            self._fetch(job)
            code = self._execute(job)
            self._keep(job, code)
        except Exception as error:
            job.reason, job.secondary, job.status = repr(error), "Failed", "Failed"
            raise

    def _fetch(self, job: Job) -> None:
        job.secondary = "Downloading"
        shutil.rmtree(job.root, ignore_errors=True)
        for each in job.params["InputDataConfig"]:
            source = each["DataSource"]["S3DataSource"]
            assert source["S3DataType"] == "S3Prefix"
            self._download(source["S3Uri"], job.root / "input" / "data" / each["ChannelName"])
        self._download(job.params["CheckpointConfig"]["S3Uri"] + "/", job.root / "checkpoints")

    def _download(self, uri: str, folder: Path) -> None:
        s3, (bucket, key) = self._s3(), locate(uri)
        folder.mkdir(parents=True, exist_ok=True)
        for found in s3.list_objects_v2(Bucket=bucket, Prefix=key).get("Contents", []):
            inside = found["Key"][key.rfind("/") + 1 :] if not key.endswith("/") else found["Key"][len(key) :]
            (folder / inside).parent.mkdir(parents=True, exist_ok=True)
            s3.download_file(bucket, found["Key"], str(folder / inside))

    def _execute(self, job: Job) -> int:
        job.secondary = "Training"
        algorithm = job.params["AlgorithmSpecification"]
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        asked = job.params.get("Environment", {})
        environ = {**os.environ, **ONE_THREAD, **asked, "SQLORA_ML_ROOT": str(job.root), "PATH": path}
        job.process = subprocess.Popen(
            [*(self.command or (*algorithm["ContainerEntrypoint"], *algorithm["ContainerArguments"]))],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environ, cwd=job.root,
        )  # fmt: skip
        if job.stopping:
            job.process.send_signal(signal.SIGTERM)
        logs, stream = boto(self.url, "logs"), f"{job.params['TrainingJobName']}/algo-1-{int(time.time())}"
        logs.create_log_stream(logGroupName=GROUP, logStreamName=stream)
        with job.process as process:
            assert process.stdout is not None
            for line in process.stdout:
                event = {"timestamp": int(time.time() * 1000), "message": line.rstrip("\n") or " "}
                logs.put_log_events(logGroupName=GROUP, logStreamName=stream, logEvents=[event])
        return process.returncode

    def _keep(self, job: Job, code: int) -> None:
        job.secondary = "Uploading"
        bucket, key = locate(job.params["CheckpointConfig"]["S3Uri"])
        for file in (job.root / "checkpoints").rglob("*"):
            if file.is_file():
                self._s3().upload_file(str(file), bucket, f"{key}/{file.relative_to(job.root / 'checkpoints')}")
        if code == 0 and (job.root / "model").is_dir():
            with tarfile.open(job.root / "model.tar.gz", "w:gz") as archive:
                archive.add(job.root / "model", ".")
            bucket, key = locate(self._artifacts(job))
            self._s3().upload_file(str(job.root / "model.tar.gz"), bucket, key)
        failure = job.root / "output" / "failure"
        if failure.exists():
            job.reason = f"AlgorithmError: {failure.read_text()}"
        elif code not in (0, -signal.SIGTERM):
            job.reason = f"AlgorithmError: exit code {code}"
        job.secondary = "Stopped" if job.stopping else "Failed" if job.reason else "Completed"
        job.status = job.secondary

    def _artifacts(self, job: Job) -> str:
        return f"{job.params['OutputDataConfig']['S3OutputPath']}/{job.params['TrainingJobName']}/output/model.tar.gz"

    def _s3(self) -> Any:
        return boto(self.url, "s3", s3={"addressing_style": "path"})


@contextmanager
def container_host(folder: Path, command: Sequence[str] | None = None) -> Iterator[ContainerHost]:
    """It, with S3, STS, IAM and logs beside it."""
    host = ContainerHost(folder / "containers", command)
    with (
        State(folder / "host.db") as state,
        running(AwsApi(host.handlers(), Authenticate(state.keys, True), aws_emulator())) as host.url,
    ):
        logs = boto(host.url, "logs")
        if not logs.describe_log_groups(logGroupNamePrefix=GROUP)["logGroups"]:
            logs.create_log_group(logGroupName=GROUP)
        try:
            yield host
        finally:
            for job in host.jobs.values():
                if job.process is not None and job.process.poll() is None:
                    job.process.kill()
            for thread in host.threads:
                thread.join(60)
