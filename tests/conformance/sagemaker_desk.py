"""A `Desk` whose project trains on SageMaker."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from sqlora.backends.sagemaker import SageMakerBackend
from sqlora.project import load_project
from tests.conformance.desk import Desk
from tests.conformance.trouble import Trouble
from tests.conformance.workplace import add_dataset
from tests.wire.clients import boto

# Of the 48xlarge an account may have one at a time, and other projects train beside this one.
INSTANCE = {"aws.instance": "ml.g5.12xlarge"}


class SageMakerDesk(Desk):
    """The same user."""

    def __init__(self, url: str, folder: Path, *, number: int | None = None, trouble: Trouble | None = None) -> None:
        super().__init__(url, folder, SageMakerBackend, number=number, trouble=trouble)

    def _begin(self) -> None:
        self.project = load_project(self.folder, INSTANCE, {})
        self.dataset = add_dataset(self.folder, held_out=2).id
        super()._begin()
        for service in ("sagemaker", "logs"):
            self.trouble.attach(self.account.client(service))

    def there(self) -> list[tuple[str, str]]:
        """See `Desk`; a training job that runs, too."""
        sagemaker = boto(self._url, "sagemaker")
        running = [
            job["TrainingJobArn"]
            for job in sagemaker.list_training_jobs(NameContains=f"p{self.number}-", MaxResults=100)["TrainingJobSummaries"]
            if job["TrainingJobStatus"] in ("InProgress", "Stopping")
        ]
        tags = [sagemaker.list_tags(ResourceArn=arn)["Tags"] for arn in running]
        ids = [next(tag["Value"] for tag in each if tag["Key"] == "sqlora:id") for each in tags]
        return [*(("job", id) for id in ids), *super().there()]

    def made(self) -> Counter[str]:
        """How many training jobs there ever were, by the row that they are of."""
        sagemaker = boto(self._url, "sagemaker")
        found = sagemaker.list_training_jobs(NameContains=f"p{self.number}-", MaxResults=100)["TrainingJobSummaries"]
        return Counter(job["TrainingJobName"].split("-")[1] for job in found)

