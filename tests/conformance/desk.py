"""A project at the server, worked on by processes that die, and what a user does there; the server trains at once."""

from __future__ import annotations

import itertools
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sqlora.backends.aws import account
from sqlora.backends.aws.base import AwsBackend
from sqlora.backends.aws.polling import Polling
from sqlora.backends.base import TrainingRequest
from sqlora.backends.bedrock import BedrockBackend
from sqlora.engines.base import Completion
from sqlora.errors import SqloraError
from sqlora.platform.customization_training import Closing, Training
from sqlora.platform.jobs import Job
from sqlora.project import Project
from sqlora.prompting import record
from sqlora.train.recipe import load_recipe
from tests.conformance.cloud import BUCKET, account_of, cloud_project
from tests.conformance.echo import echo_adapter
from tests.conformance.trouble import Died, MortalState, Trouble
from tests.conformance.workplace import SYSTEM, add_dataset
from tests.wire.clients import boto
from tests.wire.live import Live, live

SERVICES = ("s3", "sts", "bedrock", "bedrock-runtime")
HASTE = Polling(first=0.001, most=0.01, patience=1.0, longest=10.0, in_use=0.2)
QUESTION = record(SYSTEM, "how many regions?")
MODELS = ("retail", "stock-waits")  # the second one's job goes on until it is stopped

_numbers = itertools.count()


def train_at_once(self: Training, id: str) -> Job:
    """In place of a worker: the adapter is there; with a name in -waits, never."""
    state, job = self._state, self._state.jobs.get(id)
    while "-waits" in job.model_name and not state.jobs.get(id).ended:
        if self._closing.wait(0.002):
            raise Closing
    if not state.jobs.get(id).ended:
        folder = echo_adapter(self._paths.model(job.reserved_model_id), job.model_name, system=SYSTEM)
        state.jobs.complete(id, folder=f"models/{folder.name}", train_loss=0.5, validation_loss=0.75)
    return state.jobs.get(id)


@contextmanager
def hasty_server(folder: Path) -> Iterator[Live]:
    """A live server, with a bucket, that trains at once; boto3 tries twice, and doesn't wait in between."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Training, "run", train_at_once)
        patched.setattr(account, "ATTEMPTS", 2)
        patched.setattr("botocore.endpoint.time", SimpleNamespace(sleep=lambda seconds: None, time=time.time))
        with live(folder / "server", aws=True) as running:
            s3 = boto(running.url, "s3", s3={"addressing_style": "path"})
            s3.create_bucket(Bucket=BUCKET)
            yield running


class Desk:
    """One project at the server, and the process that works on it; when that dies, the next one is begun."""

    def __init__(
        self,
        url: str,
        folder: Path,
        make: type[AwsBackend] = BedrockBackend,
        *,
        number: int | None = None,
        trouble: Trouble | None = None,
    ) -> None:
        self.number = next(_numbers) if number is None else number
        self.trouble = trouble or Trouble()
        self._url, self._make = url, make
        self.folder = folder / f"project-{self.number}"
        self.folder.mkdir(exist_ok=True)
        self.project: Project = cloud_project(self.folder, url, make.name)
        self.dataset = add_dataset(self.folder).id
        self._begin()

    def _begin(self) -> None:
        self.trouble.arm({})
        self.state = MortalState(self.project.paths.database, self.trouble)
        self.account = account_of(self.project)
        for service in SERVICES:
            self.trouble.attach(self.account.client(service))
        self.backend = self._make(self.project, self.state, self.account, polling=HASTE)

    def close(self) -> None:
        self.account.close()
        self.state.close()

    def attempt(self, work: Callable[[], object], plan: Mapping[int, str]) -> bool:
        """Do it with that trouble; whether it was done. Only errors meant for a user may come out."""
        self.trouble.arm(plan)
        try:
            work()
        except Died:
            self.close()
            self._begin()
            return False
        except SqloraError:
            return False
        finally:
            self.trouble.arm({})
        return True

    # what a user does -----------------------------------------------------------------------------------------

    def model_name(self, name: str) -> str:
        return f"p{self.number}-{name}"

    def request(self, name: str) -> TrainingRequest:
        epochs = 1 + MODELS.index(name)
        return TrainingRequest(self.dataset, load_recipe("nova", {"epochs": epochs}), model_name=self.model_name(name))

    def train(self, name: str) -> Job:
        """As the command does: what has been begun is gone on with. One that waits is only submitted, and so is the
        other behind it: the server trains one job at a time."""
        request = self.request(name)
        job = self.backend.matching_job(request) or self.backend.submit_training(request)
        waits = any("waits" in other.model_name and not other.ended for other in self.backend.jobs())
        return job if waits else self.backend.wait(job.id)

    def deploy(self, name: str) -> object:
        return self.backend.create_deployment(self.model_name(name))

    def ask(self, name: str) -> Completion:
        *_, last = self.backend.converse(self.model_name(name), QUESTION)
        assert isinstance(last, Completion)
        return last

    def make(self) -> None:
        """All that a user does to get an answer."""
        self.train("retail")
        self.deploy("retail")
        self.ask("retail")

    def destroy(self) -> None:
        for resource in self.backend.resources():
            self.backend.remove(resource)

    # what there is --------------------------------------------------------------------------------------------

    def there(self) -> list[tuple[str, str]]:
        """(kind, id of the ledger's row) of all that is this project's in the account, as its tags say."""
        bedrock = eyes(self._url, "bedrock")
        start = f"p{self.number}-"
        jobs = bedrock.list_model_customization_jobs(nameContains=start)["modelCustomizationJobSummaries"]
        models = bedrock.list_custom_models(nameContains=start)["modelSummaries"]
        deployments = bedrock.list_custom_model_deployments(nameContains=start)["modelDeploymentSummaries"]
        running = [job for job in jobs if job["status"] in ("InProgress", "Stopping")]
        arns = [
            *(("job", job["jobArn"]) for job in running),
            # The job of one that is Creating has not ended, and the tags come with its end.
            *(("model", model["modelArn"]) for model in models if model["modelStatus"] != "Creating"),
            *(("deployment", deployment["customModelDeploymentArn"]) for deployment in deployments),
        ]
        return [(kind, tag(bedrock, arn)) for kind, arn in arns]

    def made(self) -> Counter[str]:
        """How many jobs there are and ever were, by name."""
        bedrock = eyes(self._url, "bedrock")
        jobs = bedrock.list_model_customization_jobs(nameContains=f"p{self.number}-")["modelCustomizationJobSummaries"]
        return Counter(job["customModelName"] for job in jobs)

    def objects(self) -> list[str]:
        """The keys in the bucket that a row of this project, alive or not, has written."""
        s3 = eyes(self._url, "s3")
        rows = {row.id for row in self.state.ledger.list(kind="object", deleted=True)}
        found = s3.list_objects_v2(Bucket=BUCKET).get("Contents", [])
        return [each["Key"] for each in found if rows & set(each["Key"].split("/"))]

    def check(self) -> None:
        there = self.there()
        twice = [each for each, count in Counter(there).items() if count > 1]
        assert not twice, f"made twice: {twice}"
        known = {(row.kind, row.id) for row in self.state.ledger.list()}
        orphans = [each for each in there if each not in known]
        assert not orphans, f"not in the ledger: {orphans}"
        objects = {row.id for row in self.state.ledger.list(kind="object")}
        forgotten = [key for key in self.objects() if not objects & set(key.split("/"))]
        assert not forgotten, f"not in the ledger: {forgotten}"


@cache
def eyes(url: str, service: str) -> Any:
    """A client that nothing happens to, to look with; a connection that the server has closed meanwhile is no fault."""
    style = {"s3": {"addressing_style": "path"}} if service == "s3" else {}
    return boto(url, service, retries={"total_max_attempts": 3}, **style)


def tag(bedrock: Any, arn: str) -> str:
    tags = bedrock.list_tags_for_resource(resourceARN=arn)["tags"]
    return str(next(each["value"] for each in tags if each["key"] == "sqlora:id"))
