from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sqlora.backends import bedrock
from sqlora.backends.aws.base import AwsBackend
from sqlora.backends.base import TrainingRequest
from sqlora.backends.bedrock import BedrockBackend, check_recipe, hyperparameters
from sqlora.engines.base import Completion, Sampling
from sqlora.errors import AccountError, BusyError, ConfigError, ConflictError, NotFoundError, ServiceError
from sqlora.platform.customization_training import Training
from sqlora.platform.jobs import Job
from sqlora.platform.names import new_id
from sqlora.prompting import record
from sqlora.train.recipe import Recipe, load_recipe
from tests.conformance.cloud import cloud_backend
from tests.conformance.desk import train_at_once
from tests.conformance.trouble import Trouble
from tests.conformance.workplace import SYSTEM, add_dataset
from tests.wire.live import Live, live

QUESTION = record(SYSTEM, "how many regions?")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Training, "run", train_at_once)
        with live(tmp_path_factory.mktemp("bedrock") / "server", aws=True) as running:
            yield running


@pytest.fixture
def backend(server: Live, tmp_path: Path) -> Iterator[AwsBackend]:
    with cloud_backend(BedrockBackend, tmp_path, server) as opened:
        yield opened


@pytest.fixture
def name() -> str:
    """A model's name that no other test has at the server."""
    return f"retail-{new_id()}"


def request(backend: AwsBackend, name: str | None, **recipe: Any) -> TrainingRequest:
    dataset = add_dataset(backend.project.folder, held_out=2)
    return TrainingRequest(dataset.id, load_recipe("nova", recipe), model_name=name)


def trained(backend: AwsBackend, name: str) -> Job:
    return backend.wait(backend.submit_training(request(backend, name)).id)


def bedrock_client(backend: AwsBackend) -> Any:
    return backend.account.client("bedrock")


# the recipe -----------------------------------------------------------------------------------------------------------


def test_a_recipe_in_the_services_words() -> None:
    assert hyperparameters(load_recipe("nova")) == {
        "epochCount": "2",
        "learningRate": "0.00001",
        "learningRateWarmupSteps": "10",
    }


def test_what_the_service_cannot_be_told_is_refused() -> None:
    check_recipe(load_recipe("nova", {"epochs": 5, "learning_rate": 1e-4, "warmup_steps": 0}))
    with pytest.raises(ConfigError) as caught:
        check_recipe(load_recipe("nova", {"epochs": 2.5, "rank": 8, "minutes": 7}))
    assert "rank = 8" in caught.value.message
    assert "minutes = 7.0" in caught.value.message
    assert "epochs = 2.5" in caught.value.message


@pytest.mark.parametrize("recipe", [{"epochs": 6}, {"learning_rate": 1e-3}, {"warmup_steps": 101}, {"rank": 8}])
def test_a_recipe_out_of_range_costs_nothing(backend: AwsBackend, name: str, recipe: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(recipe))):
        backend.submit_training(request(backend, name, **recipe))
    assert backend.resources() == []


def test_requests_that_train_the_same_have_one_fingerprint(backend: AwsBackend, name: str) -> None:
    asked = request(backend, name)
    assert backend.fingerprint(asked) == backend.fingerprint(replace(asked, model_name="x", seed=7))
    assert backend.fingerprint(asked) != backend.fingerprint(request(backend, name, epochs=3))
    assert backend.fingerprint(asked) != backend.fingerprint(replace(asked, base_model="amazon.nova-lite-v1:0:128k"))


# the job --------------------------------------------------------------------------------------------------------------


def test_the_job_as_the_service_has_it(backend: AwsBackend, name: str) -> None:
    job = trained(backend, name)
    found = bedrock_client(backend).get_model_customization_job(jobIdentifier=job.arn)
    objects = {row.name: row.arn for row in backend.resources() if row.kind == "object"}
    assert found["trainingDataConfig"]["s3Uri"] == objects[f"datasets/{job.dataset_id}/train.jsonl"]
    [validator] = found["validationDataConfig"]["validators"]
    assert validator["s3Uri"] == objects[f"datasets/{job.dataset_id}/validation.jsonl"]
    assert found["outputDataConfig"]["s3Uri"] == objects[f"jobs/{job.name}/"]
    assert found["hyperParameters"] == hyperparameters(load_recipe("nova"))
    assert found["outputModelName"] == name
    tags = bedrock_client(backend).list_tags_for_resource(resourceARN=found["outputModelArn"])["tags"]
    assert {tag["key"]: tag["value"] for tag in tags} == {
        "sqlora:id": job.model_id,
        "sqlora:project": "larkspur-markets",
    }
    assert backend.model(name).arn == found["outputModelArn"]
    assert backend.model(name).train_loss == 0.5


def test_the_name_is_the_projects_and_the_backends(backend: AwsBackend) -> None:
    names = [backend.submit_training(request(backend, None)).model_name for _ in range(2)]
    assert names == ["larkspur-markets-bedrock", "larkspur-markets-bedrock-2"]
    for row in backend.resources():
        backend.remove(row)


def test_names_of_local_models_and_jobs_are_taken(backend: AwsBackend, name: str) -> None:
    backend.state.models.create(name, base_model="smollm2-135m")
    with pytest.raises(ConflictError, match="local"):
        backend.submit_training(request(backend, name))


def test_a_name_that_somebody_else_has_in_the_account_is_not_taken_over(
    backend: AwsBackend, server: Live, tmp_path_factory: pytest.TempPathFactory, name: str
) -> None:
    trained(backend, name)
    with cloud_backend(BedrockBackend, tmp_path_factory.mktemp("other"), server) as other:
        with pytest.raises(ConflictError, match=name):
            other.submit_training(replace(request(other, name), job_name="another"))
        assert [row.kind for row in other.resources()] == ["object", "object"]  # the data is there, for another name
        assert other.jobs() == []


def test_a_lost_answer_is_asked_for_again_and_made_once(backend: AwsBackend, name: str) -> None:
    trouble = Trouble()
    trouble.attach(bedrock_client(backend))
    trouble.arm(dict.fromkeys(range(20), "lost"))  # boto3's own tries are lost too
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("botocore.endpoint.time.sleep", lambda seconds: None)
        with pytest.raises(ServiceError):
            backend.submit_training(request(backend, name))
    trouble.arm({})
    [planned] = backend.jobs()
    assert (planned.status, planned.arn) == ("InProgress", None)
    assert backend.matching_job(request(backend, name)) == planned
    assert backend.wait(planned.id).status == "Completed"
    jobs = bedrock_client(backend).list_model_customization_jobs(nameContains=planned.name)
    assert len(jobs["modelCustomizationJobSummaries"]) == 1


def test_a_job_that_is_only_planned_is_stopped_without_being_made(backend: AwsBackend, name: str) -> None:
    trouble = Trouble()
    trouble.attach(bedrock_client(backend))
    trouble.arm({0: "expired"})
    with pytest.raises(ServiceError, match="expired"):
        backend.submit_training(request(backend, name))
    [planned] = backend.jobs()
    assert backend.job(planned.id).status == "InProgress"  # asking does not submit it
    assert backend.stop(planned.id).status == "Stopped"
    assert backend.wait(planned.id).status == "Stopped"
    with pytest.raises(NotFoundError):
        bedrock_client_job(backend, planned.name)
    with pytest.raises(ConflictError, match="cannot go on"):
        backend.resume(planned.id)
    assert backend.matching_job(request(backend, name)) is None


def bedrock_client_job(backend: AwsBackend, name: str) -> Any:
    from sqlora.backends.aws.errors import aws_errors

    with aws_errors("look"):
        return bedrock_client(backend).get_model_customization_job(jobIdentifier=name)


def test_what_is_refused_for_good_leaves_its_names_free(backend: AwsBackend, name: str) -> None:
    trouble = Trouble()
    trouble.attach(bedrock_client(backend))
    trouble.arm({1: "denied"})  # 0 is the look by name
    with pytest.raises(AccountError):
        backend.submit_training(request(backend, name))
    assert backend.jobs() == []
    assert trained(backend, name).status == "Completed"


def test_only_one_process_submits(backend: AwsBackend, name: str) -> None:
    job = backend.submit_training(request(backend, f"{name}-waits"))
    row = backend.state.ledger.get(job.id)
    with backend.site.alone(row), pytest.raises(BusyError, match=job.name), backend.site.alone(row):
        pass
    backend.stop(job.id)
    assert backend.wait(job.id).status == "Stopped"


def test_a_failed_job_shows_the_line_at_fault(backend: AwsBackend, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bedrock, "check_dataset", lambda dataset: None)
    asked = request(backend, name)
    file = backend.project.paths.dataset(asked.dataset_id) / "train.jsonl"
    lines = file.read_text().splitlines()
    lines[4] = lines[4].replace("question 4?", "who is User: 4?")
    file.write_text("\n".join(lines) + "\n")
    job = backend.wait(backend.submit_training(asked).id)
    assert job.status == "Failed"
    said, ours = (job.failure_message or "").splitlines()
    assert "'User:'" in said
    assert ours.startswith(f"{file} line 5: ")
    assert "who is User: 4?" in ours
    with pytest.raises(NotFoundError):
        backend.model(name)
    assert trained_again_is_allowed(backend, name)


def trained_again_is_allowed(backend: AwsBackend, name: str) -> bool:
    asked = request(backend, name, epochs=3)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(bedrock, "check_dataset", lambda dataset: None)
        return backend.submit_training(asked).model_name == name


def test_a_job_is_watched_by_whoever_asks(backend: AwsBackend, server: Live, name: str) -> None:
    job = backend.submit_training(request(backend, f"{name}-waits"))
    seen: list[Job] = []
    watching = threading.Thread(target=lambda: backend.wait(job.id, seen.append))
    watching.start()
    with cloud_backend(BedrockBackend, backend.project.folder, server) as second:  # another command of the project
        assert second.stop(job.id).status in ("Stopping", "Stopped")
        assert second.wait(job.id).status == "Stopped"
    watching.join(30)
    assert not watching.is_alive()
    assert seen[-1].status == "Stopped"
    assert {"phase", "step", "steps", "loss", "validation_loss", "message", "seconds_left"} <= set(seen[-1].progress)


def test_an_ended_job_is_forgotten_and_its_model_stays(backend: AwsBackend, name: str) -> None:
    job = trained(backend, name)
    assert backend.matching_job(request(backend, name)) == job
    assert backend.delete_job(job.id) == job
    with pytest.raises(NotFoundError):
        backend.job(job.id)
    assert backend.model(name).job_id == job.id


def test_another_account_is_told(backend: AwsBackend, name: str) -> None:
    trained(backend, name)
    backend.create_deployment(name)
    backend.account.__dict__["_identity"] = {"Account": "999999999999", "Arn": "arn:aws:iam::999999999999:user/x"}
    for row in backend.resources():
        with pytest.raises(AccountError, match="999999999999"):
            backend.remove(row)
    with pytest.raises(AccountError, match="123456789012"):
        list(backend.converse(name, QUESTION))
    assert {row.status for row in backend.resources()} == {"created"}


# deployments and answers ----------------------------------------------------------------------------------------------


def test_a_deployment_that_fails_says_why(backend: AwsBackend, server: Live, name: str) -> None:
    job = trained(backend, name)
    theirs = server.backend.state.models.get(name)
    (server.backend.paths.path / theirs.folder / "adapter_model.safetensors").write_text("unfit")
    with pytest.raises(ConflictError, match=r"is Failed: .*does not fit"):
        backend.create_deployment(name)
    assert backend.deployment(name).status == "Failed"
    with pytest.raises(ConflictError, match="Failed"):
        list(backend.converse(name, QUESTION))
    backend.delete_deployment(name)
    assert backend.deployments() == []
    assert job.model_id == backend.model(name).id


def test_a_deployment_that_somebody_deleted(backend: AwsBackend, name: str) -> None:
    trained(backend, name)
    made = backend.create_deployment(name)
    bedrock_client(backend).delete_custom_model_deployment(customModelDeploymentIdentifier=made.arn)
    with pytest.raises(NotFoundError) as caught:
        backend.deployment(name)
    assert caught.value.next_step is not None
    assert f"sqlora deployments rm {name}" in caught.value.next_step
    backend.delete_deployment(name)
    assert backend.deployments() == []


def test_a_half_made_deployment_is_gone_on_with(backend: AwsBackend, name: str) -> None:
    model = backend.model(trained(backend, name).model_id or "")
    row = backend.site.plan("deployment", name, parent_id=model.id)
    lost = bedrock_client(backend).create_custom_model_deployment(
        modelDeploymentName=name,
        modelArn=model.arn,
        tags=backend.site.bedrock_tags(row),
        clientRequestToken=row.token,
    )
    made = backend.create_deployment(name)
    assert (made.id, made.arn, made.status) == (row.id, lost["customModelDeploymentArn"], "Active")


def test_a_model_in_use_elsewhere_is_not_waited_for_long(backend: AwsBackend, name: str) -> None:
    trained(backend, name)
    theirs = bedrock_client(backend).create_custom_model_deployment(
        modelDeploymentName=f"{name}-theirs", modelArn=backend.model(name).arn
    )
    with pytest.raises(ConflictError, match="deployed as"):
        backend.delete_model(name)
    bedrock_client(backend).delete_custom_model_deployment(
        customModelDeploymentIdentifier=theirs["customModelDeploymentArn"]
    )
    backend.delete_model(name)  # the deletion that was begun goes on
    assert backend.models() == []


def test_usage_is_on_the_books_before_the_completion_comes_out(backend: AwsBackend) -> None:
    for piece in backend.converse("base", QUESTION, caller="ada"):
        if isinstance(piece, Completion):
            [row] = backend.state.usage.list()
            assert (row.deployment, row.caller, row.backend) == ("base", "ada", "bedrock")
            assert (row.input_tokens, row.output_tokens) == (piece.input_tokens, piece.output_tokens)
            assert row.request_id
            assert 0 < (row.first_token_seconds or 0) <= row.seconds


def test_an_abandoned_answer_is_on_the_books_too(backend: AwsBackend) -> None:
    answer = backend.converse("base", QUESTION)
    next(answer)
    next(answer)
    answer.close()  # type: ignore[attr-defined]
    [row] = backend.state.usage.list()
    assert row.output_tokens == 2
    assert row.input_tokens > 10


def test_an_answer_that_breaks_in_the_middle(backend: AwsBackend) -> None:
    with pytest.raises(ServiceError, match="cannot ask 'base'"):
        list(backend.converse("base", record(SYSTEM, "please break")))
    [row] = backend.state.usage.list()
    assert row.output_tokens == 4


def test_a_batch_is_asked_in_parallel_and_booked_one_by_one(backend: AwsBackend) -> None:
    questions = [record(SYSTEM, f"question {number}?") for number in range(20)]
    texts = [completion.text for completion in backend.converse_batch("base", questions, Sampling(max_tokens=64))]
    assert texts == [f"base: question {number}?" for number in range(20)]
    assert len({row.request_id for row in backend.state.usage.list()}) == 20


def test_a_batch_ends_with_its_first_error(backend: AwsBackend) -> None:
    with pytest.raises(ServiceError):
        backend.converse_batch("base", [record(SYSTEM, "please break"), *[QUESTION] * 3])


def test_sampling_arrives(backend: AwsBackend) -> None:
    [short] = backend.converse_batch("base", [QUESTION], Sampling(max_tokens=6, top_k=1, temperature=0.5, top_p=0.9))
    assert (short.text, short.stop_reason) == ("base: ", "max_tokens")
    [stopped] = backend.converse_batch("base", [QUESTION], Sampling(stop=("many",)))
    assert (stopped.text, stopped.stop_reason) == ("base: how ", "stop_sequence")


def test_the_system_text_is_that_of_the_models_data(backend: AwsBackend, name: str) -> None:
    trained(backend, name)
    backend.create_deployment(name)
    assert backend.system(name) == backend.system() == SYSTEM
    bare = record("", "how many?")
    [ours] = backend.converse_batch(name, [bare])
    [given] = backend.converse_batch(name, [record(SYSTEM, "how many?")])
    assert (ours.text, ours.input_tokens) == (given.text, given.input_tokens)


def test_removing_a_running_job_leaves_no_model(backend: AwsBackend, name: str) -> None:
    job = backend.submit_training(request(backend, f"{name}-waits"))
    model = next(row for row in backend.resources() if row.kind == "model")
    backend.remove(model)  # the model first: whoever would make it is stopped
    assert bedrock_client_job(backend, job.name)["status"] == "Stopped"
    for row in backend.resources():
        backend.remove(row)
    assert backend.resources() == []


def test_a_recipe_of_another_kind_says_what_to_write() -> None:
    with pytest.raises(ConfigError) as caught:
        check_recipe(Recipe(name="standard"))
    assert 'recipe = "nova"' in (caught.value.next_step or "")
