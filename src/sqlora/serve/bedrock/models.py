"""Custom models: those that jobs have made, those imported from a SageMaker job's escrow or from a bucket."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from sqlora.errors import ConflictError, NotFoundError
from sqlora.platform.models import CustomModel
from sqlora.serve.aws.arns import BASE_MODEL_ID, Arns
from sqlora.serve.aws.call import AwsError, Call
from sqlora.serve.bedrock.activation import Activation, Source
from sqlora.serve.bedrock.find import (
    ShownModel,
    arns_of,
    base_model_id,
    find_model,
    losses,
    message,
    present,
    shown,
)
from sqlora.serve.bedrock.once import once, put_tags, refuse_members, tags_of
from sqlora.serve.bedrock.paging import created_between, moment, page
from sqlora.serve.place import Place
from sqlora.train.nova import without_context

_REFUSED = {"modelKmsKeyArn": "this machine has no KMS, and the adapter is not encrypted."}

# Where SageMaker jobs leave their weights: s3://customer-escrow-{account}-…/{job name}/{id}/step_N. No such bucket
# exists; the job's row is what the URI stands for.
_ESCROW = re.compile(r"s3://customer-escrow-(?P<account>[0-9]{12})[^/]*/(?P<rest>.+?)/?")
_ID = re.compile(r"[a-z0-9]{12}")


class ModelHandlers:
    """The handlers, one method an operation."""

    def __init__(self, place: Place, activation: Activation) -> None:
        self._place, self._activation = place, activation
        self._state, self._customizations = place.backend.state, place.customizations

    def create(self, call: Call) -> dict[str, Any]:
        """Creating, then Active once the adapter was fetched and checked, or Failed."""
        params = call.params
        uri = params.get("modelSourceConfig", {}).get("s3DataSource", {}).get("s3Uri")
        if params.get("customModelDataSource") or uri is None:
            raise AwsError(
                "ValidationException",
                "modelSourceConfig.s3DataSource.s3Uri is required; model packages are not supported.",
            )
        refuse_members(params, _REFUSED)
        tags = tags_of(params, "modelTags")

        def create() -> str:
            source, base_model = self._source(uri)
            model = self._activation.create_import(params["modelName"], base_model, source)
            put_tags(self._state, f"model/{model.id}", tags)
            return model.id

        id = once(self._state, call, create)
        self._activation.resume()
        return {"modelArn": arns_of(call).model(id, imported=True)}

    def _source(self, uri: str) -> tuple[Source, str]:
        """Where the adapter is and the base model it is for."""
        if escrow := _ESCROW.fullmatch(uri):
            model = self._in_escrow(uri, escrow["account"], escrow["rest"].split("/"))
            return Source(model_id=model.id), model.base_model
        return Source(uri=uri), self._place.backend.project.train.base_model

    def _in_escrow(self, uri: str, account: str, path: list[str]) -> CustomModel:
        """The SageMaker job's model; the path names the job, and the job or its model by id."""
        for id in (part for part in path if _ID.fullmatch(part)):
            for model in self._state.models.list(origin="escrow"):
                job = self._job_name(model)
                if id in (model.id, model.job_id) and job in path and account == self._place.account:
                    return model
        raise AwsError("ValidationException", f"modelSourceConfig: {uri} holds no checkpoint of a training job.")

    def _job_name(self, model: CustomModel) -> str | None:
        try:
            return self._state.jobs.get(model.job_id or "").name
        except NotFoundError:
            return None

    def get(self, call: Call) -> dict[str, Any]:
        """A model by name or ARN."""
        found = shown(self._customizations, find_model(self._state, call, "modelIdentifier"))
        arns, model = arns_of(call), found.model
        return present(
            {
                "modelArn": found.arn(arns),
                "modelName": model.name,
                "baseModelArn": _base_arn(arns, found),
                "customizationType": _customization_type(model),
                "creationTime": moment(model.created_at),
                "modelStatus": found.status,
                "failureMessage": message(model.failure_message),
                **_job_members(arns, found),
                **losses(model.train_loss, model.validation_loss),
            }
        )

    def list(self, call: Call) -> dict[str, Any]:
        """The account's models. All are its own: with isOwned false there is none."""
        params, arns = call.params, arns_of(call)
        bases = [params[name] for name in ("baseModelArnEquals", "foundationModelArnEquals") if name in params]
        found = [
            model
            for model in self._visible()
            if params.get("nameContains", "") in model.model.name
            and params.get("modelStatus") in (None, model.status)
            and params.get("isOwned", True)
            and all(_same_model(_base_arn(arns, model), base) for base in bases)
            and created_between(
                model.model.created_at, params.get("creationTimeAfter"), params.get("creationTimeBefore")
            )
        ]
        rows, token = page(found, params, lambda row: (row.model.created_at, row.model.id))
        return present({"modelSummaries": [_summary(call, row) for row in rows], "nextToken": token})

    def _visible(self) -> Iterator[ShownModel]:
        jobs = {job.id: job for job in self._customizations.list("bedrock")}
        models = (model for model in self._state.models.list() if model.origin != "escrow")
        return (ShownModel(model, jobs.get(model.job_id or "")) for model in models)

    def delete(self, call: Call) -> dict[str, Any]:
        """ConflictException while it is deployed, or being made."""
        found = shown(self._customizations, find_model(self._state, call, "modelIdentifier"))
        if found.status == "Creating":
            raise ConflictError(f"custom model {found.model.name!r} is being created")
        self._place.backend.delete_model(found.model.id)
        return {}


def _job_members(arns: Arns, found: ShownModel) -> dict[str, Any]:
    job = found.job
    if job is None or job.kind != "bedrock":
        return {}
    return {
        "jobName": job.job.name,
        "jobArn": arns.job(job.id),
        "validationDataConfig": job.request.get("validationDataConfig", {"validators": []}),
        **{name: job.request.get(name) for name in ("hyperParameters", "trainingDataConfig", "outputDataConfig")},
    }


def _summary(call: Call, found: ShownModel) -> dict[str, Any]:
    arns, model = arns_of(call), found.model
    return {
        "modelArn": found.arn(arns),
        "modelName": model.name,
        "creationTime": moment(model.created_at),
        "baseModelArn": _base_arn(arns, found),
        "baseModelName": _base_name(found),
        "customizationType": _customization_type(model),
        "ownerAccountId": call.account,
        "modelStatus": found.status,
    }


def _base_id(found: ShownModel) -> str:
    if found.job is None or found.job.kind != "bedrock":
        return BASE_MODEL_ID
    return base_model_id(found.job.request["baseModelIdentifier"], (found.job.job.base_model, "base"))


def _base_arn(arns: Arns, found: ShownModel) -> str:
    return arns.foundation_model(_base_id(found))


def _base_name(found: ShownModel) -> str:
    return _base_id(found).split(":")[0]


def _customization_type(model: CustomModel) -> str:
    return "IMPORTED" if model.origin == "imported" else "FINE_TUNING"


def _same_model(arn: str, other: str) -> bool:
    """Whether two ARNs name the same model: in any region, with or without the context size."""
    return without_context(arn.rsplit("/", 1)[-1]) == without_context(other.rsplit("/", 1)[-1])
