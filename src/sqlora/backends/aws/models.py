"""Custom models in Bedrock: rows of the ledger that read as `CustomModel`s."""

from __future__ import annotations

from typing import Any

from sqlora.backends.aws.errors import aws_errors, is_missing
from sqlora.backends.aws.removal import remove
from sqlora.backends.aws.site import Site
from sqlora.errors import ConflictError, NotFoundError
from sqlora.platform.ledger import Resource
from sqlora.platform.models import CustomModel


class Models:
    """The custom models of one backend. One that is only planned, by a job that has not ended, is not there yet."""

    def __init__(self, site: Site) -> None:
        self._site = site

    @property
    def _bedrock(self) -> Any:
        return self._site.account.client("bedrock")

    def row(self, id: str) -> Resource:
        """By id, name or ARN; NotFoundError."""
        found = self._site.find("model", id)
        if found is None or not _is_there(found):
            raise NotFoundError(f"no custom model {id!r} on {self._site.backend}", "sqlora models list")
        return found

    def require_active(self, id: str) -> Resource:
        """The same; ConflictError for one that is being deleted, or not made yet."""
        row = self.row(id)
        model = self.of(row)
        if row.status != "created" or model.status != "Active":
            how = "being deleted" if row.status == "deleting" else model.status
            raise ConflictError(f"custom model {row.name!r} is {how}", f"sqlora models show {row.name}")
        return row

    def list(self) -> list[CustomModel]:
        """Newest first, as last seen."""
        return [self.of(row) for row in self._site.rows("model") if _is_there(row)]

    def of(self, row: Resource) -> CustomModel:
        """The row as a `CustomModel`; its losses are those of the job's metric files, if there were any."""
        details = row.details
        return CustomModel(
            id=row.id,
            name=row.name,
            job_id=row.parent_id,
            base_model=details.get("base_model", self._site.settings.model),
            folder="",
            created_at=details.get("created_at") or row.created_at,
            train_loss=details.get("train_loss"),
            validation_loss=details.get("validation_loss"),
            origin=details.get("origin", "trained"),
            status=details.get("status", "Active"),
            failure_message=details.get("failure_message"),
            backend=row.backend,
            arn=row.arn,
        )

    def delete(self, id: str) -> None:
        """ConflictError while a deployment serves it, be it this project's or one that somebody else made."""
        row = self.row(id)
        if users := self._site.rows("deployment", parent_id=row.id):
            names = ", ".join(user.name for user in users)
            raise ConflictError(
                f"custom model {row.name!r} is deployed as {names}", f"sqlora deployments rm {users[0].name}"
            )
        self.remove(row)

    def remove(self, row: Resource) -> None:
        """Delete it, whatever the row's status, and see it gone."""
        remove(
            self._site,
            row,
            find=lambda: self.find_arn(row),
            look=lambda arn: self._bedrock.get_custom_model(modelIdentifier=arn),
            delete=lambda arn: self._bedrock.delete_custom_model(modelIdentifier=arn),
        )

    def find_arn(self, row: Resource) -> str | None:
        """The ARN of the row's model in the account, by its name and tag; None when it was never made."""
        with aws_errors(f"look for the custom model {row.name!r}"):
            try:
                arn: str = self._bedrock.get_custom_model(modelIdentifier=row.name)["modelArn"]
                return arn if self._site.is_ours(arn, row) else None
            except Exception as error:
                if is_missing(error):
                    return None
                raise


def _is_there(row: Resource) -> bool:
    return row.status != "planned" or "status" in row.details  # one that is being imported says so
