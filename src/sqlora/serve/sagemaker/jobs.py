"""CreateTrainingJob, DescribeTrainingJob, ListTrainingJobs, StopTrainingJob."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from sqlora.errors import ConflictError, NotFoundError, SqloraError
from sqlora.platform.customization import Customization, CustomizationRequest
from sqlora.platform.jobs import Job
from sqlora.platform.names import new_id, slug, stamp
from sqlora.platform.service_quotas import ServiceQuotas
from sqlora.serve.aws.arns import Arns
from sqlora.serve.aws.call import AwsError, Call
from sqlora.serve.aws.paging import page
from sqlora.serve.place import Place
from sqlora.serve.sagemaker.describe import description, modified_at, summary
from sqlora.serve.sagemaker.recipe import RECIPE_NAME, local_recipe
from sqlora.serve.sagemaker.recipe_file import read_recipe
from sqlora.serve.sagemaker.training_request import TrainingRequest, read_request
from sqlora.train.nova import MODELS, NovaRecipe, longest_record, merged, parse_recipe
from sqlora.train.recipe import Recipe

FAILED_RECIPE = Recipe(name=RECIPE_NAME)  # of a job that fails for its recipe and never trains
KEPT_NAME = 50  # characters of the job's name in its model's; an id follows
CREATING_THREADS = 4


class TrainingJobs:
    """SageMaker's training jobs: `Customizations` of the kind "sagemaker", by their names."""

    def __init__(self, place: Place) -> None:
        self._place, self._state = place, place.backend.state
        self._quotas = ServiceQuotas(place.backend.state)
        # Reading a recipe may be a request to this very server (--aws): were handlers' threads all waiting for such,
        # none would be left to answer them.
        self._threads = ThreadPoolExecutor(CREATING_THREADS, thread_name_prefix="training-job")

    def find(self, name: str) -> Customization:
        """By name; NotFoundError also for the job of another API."""
        found = self._place.customizations.get(name)
        if found.kind != "sagemaker" or found.job.name != name:  # `get` would take an id as well
            raise NotFoundError(f"no training job {name!r}")
        return found

    async def create(self, call: Call) -> dict[str, Any]:
        """CreateTrainingJob. What is wrong with the call is refused; what is wrong with its recipe fails the job."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._create, call)

    def _create(self, call: Call) -> dict[str, Any]:
        asked, arns = read_request(call.params), Arns(call.region, call.account)
        recipe, problem = self._recipe(asked)
        with self._state.transaction():
            self._require_quota(asked)
            try:
                job = self._place.customizations.submit(_request(call, asked, recipe))
            except ConflictError:
                raise AwsError(
                    "ResourceInUse",
                    "Training job names must be unique within an AWS account and region, and a training job with this "
                    f"name already exists ({arns.training_job(asked.name)})",
                ) from None
            if problem is not None:
                self._fail(job, problem)
        return {"TrainingJobArn": arns.training_job(asked.name)}

    def describe(self, call: Call) -> dict[str, Any]:
        """DescribeTrainingJob; an unknown name is a ValidationException, as the service answers."""
        try:
            found = self.find(call.params["TrainingJobName"])
        except NotFoundError:
            raise AwsError("ValidationException", "Requested resource not found.") from None
        return description(found, Arns(call.region, call.account), self._state)

    def stop(self, call: Call) -> dict[str, Any]:
        """StopTrainingJob; the job is Stopping until its worker has written its checkpoint."""
        name = call.params["TrainingJobName"]
        try:
            found = self.find(name)
            self._place.customizations.stop(found.id)
        except NotFoundError:
            raise AwsError("ResourceNotFound", f"Could not find training job {name}.") from None
        except ConflictError:
            status = self.find(name).status
            raise AwsError(
                "ValidationException", f"The request was rejected because the training job is in status {status}."
            ) from None
        return {}

    def list(self, call: Call) -> dict[str, Any]:
        """ListTrainingJobs. No job here has a warm pool or a training plan, so filters by those match nothing."""
        params, arns = call.params, Arns(call.region, call.account)
        key = _KEYS[params.get("SortBy", "CreationTime")]
        found, token = page(
            [job for job in self._place.customizations.list("sagemaker") if _matches(job, params)],
            lambda job: (key(job), job.created_at, job.id),
            params.get("MaxResults", 10),
            params.get("NextToken"),
            descending=params.get("SortOrder", "Ascending") == "Descending",
        )
        return {"TrainingJobSummaries": [summary(job, arns) for job in found], "NextToken": token}

    def _recipe(self, asked: TrainingRequest) -> tuple[Recipe, str | None]:
        """The local recipe, or why the job must fail. The container is what reads a recipe, not the call."""
        try:
            values, origin = dict[str, Any](), "HyperParameters"
            if asked.recipe_uri is not None:
                values, origin = read_recipe(self._place.objects, asked.recipe_uri, asked.recipe_path)
            recipe = parse_recipe(merged(values, asked.values), origin)
            if problem := _misfit(recipe, asked):
                return FAILED_RECIPE, f"{origin}: {problem}"
            return local_recipe(recipe), None
        except SqloraError as error:
            return FAILED_RECIPE, error.message

    def _require_quota(self, asked: TrainingRequest) -> None:
        limit = self._quotas.limit(asked.instance_type)
        if limit is None:
            return
        used = sum(
            job.request["ResourceConfig"]["InstanceCount"]
            for job in self._place.customizations.records.list("sagemaker", unfinished=True)
            if job.request["ResourceConfig"]["InstanceType"] == asked.instance_type
        )
        if used + asked.instances > limit:
            raise AwsError(
                "ResourceLimitExceeded",
                f"The account-level service limit '{asked.instance_type} for training job usage' is {limit:g} "
                f"Instances, with current utilization of {used} Instances and a request delta of {asked.instances} "
                "Instances. Please use AWS Service Quotas to request an increase for this quota.",
            )

    def _fail(self, job: Job, problem: str) -> None:
        """In the transaction that made the job, so that it was never one to be worked."""
        self._state.jobs.fail(job.id, problem)
        self._place.customizations.records.settle(job.id, "Failed", problem)


def _request(call: Call, asked: TrainingRequest, recipe: Recipe) -> CustomizationRequest:
    return CustomizationRequest(
        kind="sagemaker",
        region=call.region,
        job_name=asked.name,
        # Only to be imported from, under a name of the customer's choice, which this must never take.
        model_name=f"{slug(asked.name[:KEPT_NAME])}-{new_id()}",
        training=(asked.training,),
        validation=(asked.validation,),
        output=asked.output,
        recipe=recipe,
        request=call.params,
        tags=asked.tags,
        max_runtime_seconds=asked.max_runtime_seconds,
    )


def _misfit(recipe: NovaRecipe, asked: TrainingRequest) -> str | None:
    """What of the recipe does not go with the job's instances."""
    model = next(model for model in MODELS.values() if model.path == recipe.run.model_name_or_path)
    kind, count = asked.instance_type, model.instances.get(asked.instance_type)
    if count is None:
        return f"{model.path} trains on {', '.join(model.instances)}, not on {kind}"
    if count != asked.instances:
        return f"{model.path} trains on {count} of {kind}, and the job has InstanceCount {asked.instances}"
    if recipe.run.replicas != asked.instances:
        return f"run.replicas = {recipe.run.replicas}: the job has InstanceCount {asked.instances}"
    longest = longest_record(kind)
    if recipe.training_config.max_length > longest:
        return (
            f"training_config.max_length = {recipe.training_config.max_length}: "
            f"the most on {kind} is {longest}"
        )
    return None


_KEYS: dict[str, Callable[[Customization], str]] = {
    "Name": lambda job: job.job.name,
    "CreationTime": lambda job: job.created_at,
    "Status": lambda job: job.status,
}


def _matches(job: Customization, params: dict[str, Any]) -> bool:
    if "WarmPoolStatusEquals" in params or "TrainingPlanArnEquals" in params:
        return False
    if params.get("StatusEquals", job.status) != job.status:
        return False
    if params.get("NameContains", "").lower() not in job.job.name.lower():
        return False
    times = {"CreationTime": job.created_at, "LastModifiedTime": modified_at(job)}
    return all(
        (f"{name}After" not in params or at > stamp(params[f"{name}After"]))
        and (f"{name}Before" not in params or at < stamp(params[f"{name}Before"]))
        for name, at in times.items()
    )
