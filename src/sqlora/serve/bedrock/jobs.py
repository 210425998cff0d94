"""Model customization jobs: CreateModelCustomizationJob and its kin, over `sqlora.platform.customization`."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from sqlora.backends.base import BASE
from sqlora.errors import ConfigError, DownloadError, NotFoundError
from sqlora.platform.customization import Customization, CustomizationRequest, Step
from sqlora.platform.hyperparameters import recipe_of
from sqlora.serve.aws.call import AwsError, Call
from sqlora.serve.bedrock.find import arns_of, base_model_id, find_job, losses, message, present
from sqlora.serve.bedrock.once import once, refuse_members, tags_of
from sqlora.serve.bedrock.paging import created_between, moment, page
from sqlora.serve.place import Place

FINE_TUNING = "FINE_TUNING"
CREATING_THREADS = 4
_REFUSED = {
    "customModelKmsKeyId": "this machine has no KMS, and the adapter is not encrypted.",
    "customizationConfig": "only supervised fine-tuning is, customizationType FINE_TUNING.",
}
# What Get shows as it was asked for.
_ECHOED = ("clientRequestToken", "roleArn", "hyperParameters", "trainingDataConfig", "outputDataConfig", "vpcConfig")


class JobHandlers:
    """The handlers, one method an operation."""

    def __init__(self, place: Place) -> None:
        self._place, self._customizations = place, place.customizations
        self._state = place.backend.state
        # Looking for the bucket may be a request to this very server (--aws): were handlers' threads all waiting for
        # such, none would be left to answer them.
        self._threads = ThreadPoolExecutor(CREATING_THREADS, thread_name_prefix="customization-job")

    async def create(self, call: Call) -> dict[str, Any]:
        """The call is checked here; what its files hold, when the job runs, so that they fail the job."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._create, call)

    def _create(self, call: Call) -> dict[str, Any]:
        request = self._request(call)
        id = once(self._state, call, lambda: self._customizations.submit(request).id)
        return {"jobArn": arns_of(call).job(id)}

    def _request(self, call: Call) -> CustomizationRequest:
        params = call.params
        kind = params.get("customizationType", FINE_TUNING)
        if kind != FINE_TUNING:
            raise AwsError("ValidationException", f"customizationType {kind} is not supported; only {FINE_TUNING} is.")
        refuse_members(params, _REFUSED)
        base_model_id(params["baseModelIdentifier"], (BASE, self._place.backend.project.train.base_model))
        training = params["trainingDataConfig"].get("s3Uri")
        if training is None:
            raise AwsError(
                "ValidationException", "trainingDataConfig needs an s3Uri; invocation logs are not supported."
            )
        validators = params.get("validationDataConfig", {}).get("validators", [])
        output = params["outputDataConfig"]["s3Uri"]
        request = CustomizationRequest(
            kind="bedrock",
            region=call.region,
            job_name=params["jobName"],
            model_name=params["customModelName"],
            training=(training,),
            validation=tuple(validator["s3Uri"] for validator in validators),
            output=output,
            recipe=recipe_of(params.get("hyperParameters", {})),
            request=params,
            tags=tags_of(params, "jobTags"),
            model_tags=tags_of(params, "customModelTags"),
        )
        self._require_writable(output)
        return request

    def _require_writable(self, uri: str) -> None:
        try:
            self._place.objects.writable(uri)
        except (NotFoundError, ConfigError) as error:
            raise AwsError("ValidationException", f"outputDataConfig: {error.message}") from error
        except DownloadError:
            pass  # a store that is away for a moment fails the job, if it is still away then

    def get(self, call: Call) -> dict[str, Any]:
        """A job by name or ARN."""
        found = find_job(self._customizations, call)
        arns = arns_of(call)
        return present(
            {
                "jobArn": arns.job(found.id),
                "jobName": found.job.name,
                "outputModelName": found.job.model_name,
                "outputModelArn": arns.model(found.model_id) if found.model_id else None,
                "status": found.status,
                "statusDetails": _status_details(found),
                "failureMessage": message(found.failure_message),
                "creationTime": moment(found.created_at),
                "lastModifiedTime": _modified(found),
                "endTime": moment(found.ended_at) if found.ended_at else None,
                "baseModelArn": self._base_arn(call, found),
                "customizationType": FINE_TUNING,
                "validationDataConfig": found.request.get("validationDataConfig", {"validators": []}),
                **{member: found.request.get(member) for member in _ECHOED},
                **self._metrics(found),
            }
        )

    def _base_arn(self, call: Call, found: Customization) -> str:
        own_names = (BASE, found.job.base_model)
        return arns_of(call).foundation_model(base_model_id(found.request["baseModelIdentifier"], own_names))

    def _metrics(self, found: Customization) -> dict[str, Any]:
        try:
            model = self._state.models.get(found.model_id or "")
        except NotFoundError:  # not made yet, or deleted
            return {}
        return losses(model.train_loss, model.validation_loss)

    def list(self, call: Call) -> dict[str, Any]:
        """Those that came through this API; jobs of the command line have no roles and buckets to show."""
        params = call.params
        found = [
            job
            for job in self._customizations.list("bedrock")
            if params.get("statusEquals") in (None, job.status)
            and params.get("nameContains", "") in job.job.name
            and created_between(job.created_at, params.get("creationTimeAfter"), params.get("creationTimeBefore"))
        ]
        rows, token = page(found, params, lambda job: (job.created_at, job.id))
        return present(
            {"modelCustomizationJobSummaries": [self._summary(call, job) for job in rows], "nextToken": token}
        )

    def _summary(self, call: Call, found: Customization) -> dict[str, Any]:
        arns = arns_of(call)
        return present(
            {
                "jobArn": arns.job(found.id),
                "baseModelArn": self._base_arn(call, found),
                "jobName": found.job.name,
                "status": found.status,
                "statusDetails": _status_details(found),
                "lastModifiedTime": _modified(found),
                "creationTime": moment(found.created_at),
                "endTime": moment(found.ended_at) if found.ended_at else None,
                "customModelArn": arns.model(found.model_id) if found.model_id else None,
                "customModelName": found.job.model_name,
                "customizationType": FINE_TUNING,
            }
        )

    def stop(self, call: Call) -> dict[str, Any]:
        """Stop a job for good; ConflictException when it has ended."""
        self._customizations.stop(find_job(self._customizations, call).id)
        return {}


def _status_details(found: Customization) -> dict[str, Any]:
    steps = found.steps
    return {
        "validationDetails": _step(steps["validation"]),
        "dataProcessingDetails": _step(steps["data"]),
        "trainingDetails": _step(steps["training"]),
    }


def _step(step: Step) -> dict[str, Any]:
    return present(
        {
            "status": step.status,
            "creationTime": moment(step.created_at) if step.created_at else None,
            "lastModifiedTime": moment(step.updated_at) if step.updated_at else None,
        }
    )


def _modified(found: Customization) -> Any:
    return moment(max(found.updated_at, found.job.updated_at))
