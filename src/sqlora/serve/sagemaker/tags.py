"""AddTags, ListTags and DeleteTags of training jobs."""

from __future__ import annotations

import re
from typing import Any

from sqlora.errors import ConfigError, NotFoundError
from sqlora.serve.aws.call import AwsError, Call
from sqlora.serve.aws.paging import page
from sqlora.serve.place import Place
from sqlora.serve.sagemaker.jobs import TrainingJobs
from sqlora.serve.sagemaker.training_request import tags_of

MOST = 50  # SageMaker's limit on one resource
_ARN = re.compile(r"arn:aws[a-z-]*:sagemaker:[a-z0-9-]*:(?P<account>\d{12}):training-job/(?P<name>[a-zA-Z0-9-]{1,63})")


class JobTags:
    """The tags of one training job, by its ARN; of any region, as everywhere here."""

    def __init__(self, place: Place, jobs: TrainingJobs) -> None:
        self._jobs, self._state = jobs, place.backend.state

    def add(self, call: Call) -> dict[str, Any]:
        """AddTags; a key that is there gets the new value."""
        problems: list[str] = []
        tags = tags_of(call.params["Tags"], problems)
        if problems:
            raise ConfigError("; ".join(problems))
        with self._state.transaction():
            resource = self._resource(call)
            if len({*self._state.tags.of(resource), *tags}) > MOST:
                raise AwsError("ValidationException", f"A resource can have at most {MOST} tags.")
            self._state.tags.put(resource, tags)
            return {"Tags": _listed(self._state.tags.of(resource))}

    def list(self, call: Call) -> dict[str, Any]:
        """ListTags."""
        tags, params = self._state.tags.of(self._resource(call)), call.params
        keys, token = page(tags, lambda key: (key,), params.get("MaxResults", MOST), params.get("NextToken"))
        return {"Tags": _listed({key: tags[key] for key in keys}), "NextToken": token}

    def delete(self, call: Call) -> dict[str, Any]:
        """DeleteTags; a key that is not there is no error."""
        self._state.tags.remove(self._resource(call), call.params["TagKeys"])
        return {}

    def _resource(self, call: Call) -> str:
        arn = call.params["ResourceArn"]
        parts = _ARN.fullmatch(arn)
        if parts is None:
            raise AwsError(
                "ValidationException", f"{arn} is not the ARN of a training job; nothing else has tags here."
            )
        try:
            if parts["account"] != call.account:
                raise NotFoundError(f"no training job {arn}")
            return f"job/{self._jobs.find(parts['name']).id}"
        except NotFoundError:
            raise AwsError("ValidationException", f"Resource {arn} does not exist.") from None


def _listed(tags: dict[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]
