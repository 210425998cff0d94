"""Whatever fails, and wherever a process dies: what is in the account is in the ledger, once, and can be taken away.

The account is the real server over HTTP, and is looked at by boto3 with nothing in between. Its training is cut short.
"""

from __future__ import annotations

import itertools
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

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
from tests.conformance.trouble import FAULTS, Died, MortalState, Trouble
from tests.conformance.workplace import SYSTEM, add_dataset
from tests.wire.clients import boto
from tests.wire.live import Live, live

SERVICES = ("s3", "sts", "bedrock", "bedrock-runtime")
HASTE = Polling(first=0.001, most=0.01, patience=1.0, longest=10.0, in_use=0.2)
QUESTION = record(SYSTEM, "how many regions?")
MODELS = ("retail", "stock-waits")  # the second one's job goes on until it is stopped

EXAMPLES = int(os.environ.get("SQLORA_FAULT_EXAMPLES", "6"))  # each is a second or two; more of them now and then

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


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Training, "run", train_at_once)
        patched.setattr(account, "ATTEMPTS", 2)
        patched.setattr("botocore.endpoint.time", SimpleNamespace(sleep=lambda seconds: None, time=time.time))
        with live(tmp_path_factory.mktemp("faults") / "server", aws=True) as running:
            s3 = boto(running.url, "s3", s3={"addressing_style": "path"})
            s3.create_bucket(Bucket=BUCKET)
            yield running


class Desk:
    """One project at the server, and the process that works on it; when that dies, the next one is begun."""

    def __init__(self, server: Live, folder: Path, make: type[AwsBackend] = BedrockBackend) -> None:
        self.number = next(_numbers)
        self.trouble = Trouble()
        self._server, self._make = server, make
        self.folder = folder / f"project-{self.number}"
        self.folder.mkdir()
        self.project: Project = cloud_project(self.folder, server.url, make.name)
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
        """As the command does: what has been begun is gone on with. One that waits is only submitted."""
        request = self.request(name)
        job = self.backend.matching_job(request) or self.backend.submit_training(request)
        return job if "waits" in name else self.backend.wait(job.id)

    def deploy(self, name: str) -> object:
        return self.backend.create_deployment(self.model_name(name))

    def ask(self, name: str) -> Completion:
        *_, last = self.backend.converse(self.model_name(name), QUESTION)
        assert isinstance(last, Completion)
        return last

    def destroy(self) -> None:
        for resource in self.backend.resources():
            self.backend.remove(resource)

    # what there is --------------------------------------------------------------------------------------------

    def there(self) -> list[tuple[str, str]]:
        """(kind, id of the ledger's row) of all that is this project's in the account, as its tags say."""
        bedrock = boto(self._server.url, "bedrock")
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
        bedrock = boto(self._server.url, "bedrock")
        jobs = bedrock.list_model_customization_jobs(nameContains=f"p{self.number}-")["modelCustomizationJobSummaries"]
        return Counter(job["customModelName"] for job in jobs)

    def objects(self) -> list[str]:
        """The keys in the bucket that a row of this project, alive or not, has written."""
        s3 = boto(self._server.url, "s3", s3={"addressing_style": "path"})
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


def tag(bedrock: Any, arn: str) -> str:
    tags = bedrock.list_tags_for_resource(resourceARN=arn)["tags"]
    return str(next(each["value"] for each in tags if each["key"] == "sqlora:id"))


@st.composite
def plans(draw: st.DrawFn) -> dict[int, str]:
    """Up to three faults, each of which may last for several operations: boto3 tries twice."""
    plan: dict[int, str] = {}
    for _ in range(draw(st.integers(0, 3))):
        first, fault = draw(st.integers(0, 30)), draw(st.sampled_from(FAULTS))
        for number in range(first, first + draw(st.integers(1, 3))):
            plan[number] = fault
    return plan


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(plans(), min_size=1, max_size=6), st.lists(plans(), min_size=1, max_size=4))
def test_tried_again_and_again_it_is_done_once(
    server: Live,
    tmp_path_factory: pytest.TempPathFactory,
    making: list[dict[int, str]],
    taking: list[dict[int, str]],
) -> None:
    desk = Desk(server, tmp_path_factory.mktemp("once"))
    try:

        def make() -> None:
            desk.train("retail")
            desk.deploy("retail")
            desk.ask("retail")

        for plan in making:
            desk.attempt(make, plan)
            desk.check()
        make()
        desk.check()
        assert desk.made()[desk.model_name("retail")] == 1
        assert [kind for kind, _ in desk.there()] == ["model", "deployment"]
        assert desk.ask("retail").text.startswith(desk.model_name("retail"))
        for plan in taking:
            desk.attempt(desk.destroy, plan)
            desk.check()
        desk.destroy()
        assert (desk.there(), desk.objects(), desk.backend.resources()) == ([], [], [])
    finally:
        desk.close()


class Life(RuleBasedStateMachine):
    """Any commands in any order, each with its troubles; at the end all is taken away, and nothing is left."""

    server: Live
    folder: Path
    make: type[AwsBackend] = BedrockBackend

    @initialize()
    def begin(self) -> None:
        self.desk = Desk(self.server, self.folder, self.make)

    @rule(name=st.sampled_from(MODELS), plan=plans())
    def train(self, name: str, plan: dict[int, str]) -> None:
        self.desk.attempt(lambda: self.desk.train(name), plan)

    @rule(name=st.sampled_from(MODELS), plan=plans())
    def stop(self, name: str, plan: dict[int, str]) -> None:
        def stop() -> None:
            job = self.desk.backend.matching_job(self.desk.request(name))
            if job is not None:
                self.desk.backend.stop(job.id)
                self.desk.backend.wait(job.id)

        self.desk.attempt(stop, plan)

    @rule(plan=plans())
    def deploy(self, plan: dict[int, str]) -> None:
        self.desk.attempt(lambda: self.desk.deploy("retail"), plan)

    @rule(plan=plans())
    def ask(self, plan: dict[int, str]) -> None:
        self.desk.attempt(lambda: self.desk.ask("retail"), plan)

    @rule(plan=plans())
    def remove_deployment(self, plan: dict[int, str]) -> None:
        self.desk.attempt(lambda: self.desk.backend.delete_deployment(self.desk.model_name("retail")), plan)

    @rule(plan=plans())
    def remove_model(self, plan: dict[int, str]) -> None:
        self.desk.attempt(lambda: self.desk.backend.delete_model(self.desk.model_name("retail")), plan)

    @rule(plan=plans())
    def forget_jobs(self, plan: dict[int, str]) -> None:
        def forget() -> None:
            for job in self.desk.backend.jobs():
                if job.ended:
                    self.desk.backend.delete_job(job.id)

        self.desk.attempt(forget, plan)

    @rule(plan=plans())
    def destroy(self, plan: dict[int, str]) -> None:
        self.desk.attempt(self.desk.destroy, plan)

    @invariant()
    def nothing_twice_and_nothing_orphaned(self) -> None:
        if hasattr(self, "desk"):
            self.desk.check()

    def teardown(self) -> None:
        if hasattr(self, "desk"):
            try:
                self.desk.destroy()
                assert (self.desk.there(), self.desk.objects(), self.desk.backend.resources()) == ([], [], [])
            finally:
                self.desk.close()


def test_any_life_leaves_nothing_behind(server: Live, tmp_path: Path) -> None:
    machine = type("BedrockLife", (Life,), {"server": server, "folder": tmp_path})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=EXAMPLES, stateful_step_count=10, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
