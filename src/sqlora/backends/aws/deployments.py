"""On-demand deployments of custom models in Bedrock: rows of the ledger that read as `Deployment`s."""

from __future__ import annotations

from typing import Any

from sqlora.backends.aws.errors import aws_errors, is_missing
from sqlora.backends.aws.models import Models
from sqlora.backends.aws.removal import remove
from sqlora.backends.aws.site import Site
from sqlora.backends.base import BASE
from sqlora.errors import ConflictError, FinalError, NotFoundError
from sqlora.platform.deployments import Deployment
from sqlora.platform.ledger import Resource
from sqlora.platform.names import check_name


class Deployments:
    """The deployments of one backend. Idle, they cost nothing: what is billed is tokens, and the model's storage."""

    def __init__(self, site: Site, models: Models) -> None:
        self._site, self._models = site, models

    @property
    def _bedrock(self) -> Any:
        return self._site.account.client("bedrock")

    def row(self, id: str) -> Resource:
        """By id, name or ARN; NotFoundError."""
        found = self._site.find("deployment", id)
        if found is None:
            raise NotFoundError(f"no deployment {id!r} on {self._site.backend}", "sqlora deployments list")
        return found

    def list(self) -> list[Deployment]:
        """Newest first, as last seen."""
        return [self.of(row) for row in self._site.rows("deployment")]

    def of(self, row: Resource) -> Deployment:
        """The row as a `Deployment`."""
        return Deployment(
            id=row.id,
            name=row.name,
            model_id=row.parent_id or "",
            status=row.details.get("status", "Creating"),
            created_at=row.created_at,
            updated_at=row.updated_at,
            failure_message=row.details.get("failure_message"),
            backend=row.backend,
            arn=row.arn,
        )

    # making one -----------------------------------------------------------------------------------------------

    def create(self, model: str, name: str | None = None) -> Deployment:
        """See `Backend.create_deployment`; goes on with one that another process left half-way."""
        made_of = self._models.require_active(model)
        self._site.require_here(made_of)
        chosen = check_name("deployment", name or self._site.project.deploy.name or made_of.name)
        row = self._site.ledger.find("deployment", chosen) or self._plan(chosen, made_of)
        self._require_same(row, made_of)
        with self._site.alone(row) as row:
            self._require_same(row, made_of)
            if row.arn is None:
                row = self._submit(row, made_of)
        return self.of(self._until_active(row))

    def _plan(self, name: str, model: Resource) -> Resource:
        if name in (BASE, self._site.settings.model, self._site.project.train.base_model):
            raise ConflictError(f"the name {name!r} means the untuned base model", "another --name")
        _ = self._site.account.id  # before the transaction, see Jobs.plan
        with self._site.state.transaction():
            if any(deployment.name == name for deployment in self._site.state.deployments.list()):
                raise ConflictError(
                    f"a deployment named {name!r} exists already (local)", f"sqlora deployments rm {name}, or --name"
                )
            return self._site.plan("deployment", name, parent_id=model.id)

    def _require_same(self, row: Resource, model: Resource) -> None:
        going = row.status in ("deleting", "deleted")
        if row.parent_id != model.id or going:
            why = "is being deleted" if going else f"does not serve {model.name!r}"
            raise ConflictError(
                f"deployment {row.name!r} ({row.backend}) {why}", f"sqlora deployments rm {row.name}, or another --name"
            )

    def _submit(self, row: Resource, model: Resource) -> Resource:
        """planned → created, without making it twice: what an earlier try has made is found by its name and tag."""
        arn = self.find_arn(row)
        if arn is None:
            try:
                with aws_errors(f"create the deployment {row.name!r}"):
                    arn = self._bedrock.create_custom_model_deployment(
                        modelDeploymentName=row.name,
                        modelArn=model.arn,
                        tags=self._site.bedrock_tags(row),
                        clientRequestToken=row.token,
                    )["customModelDeploymentArn"]
            except FinalError:
                arn = self.find_arn(row)  # an earlier try, or one of boto3's own, may have come through after all
                if arn is None:
                    self._site.forget(row)
                    raise
        return self._site.ledger.created(row.id, arn, {"status": "Creating"})

    def _until_active(self, row: Resource) -> Resource:
        def look() -> Resource | None:
            seen = self.refresh(row)
            return seen if seen.details["status"] != "Creating" else None

        if row.details.get("status") != "Active":
            row = self._site.polling.until(look, f"deployment {row.name!r}: its creation", self._site.polling.longest)
        if row.details["status"] != "Active":
            raise ConflictError(
                f"deployment {row.name!r} is {row.details['status']}: {row.details.get('failure_message')}",
                f"sqlora deployments rm {row.name}, then sqlora deploy",
            )
        return row

    # seeing and removing one ----------------------------------------------------------------------------------

    def refresh(self, row: Resource) -> Resource:
        """As AWS says now. NotFoundError when somebody else has deleted it."""
        if row.arn is None:
            return row
        self._site.require_here(row)
        with aws_errors(f"look at the deployment {row.name!r}", f"sqlora deployments rm {row.name}, if it was deleted"):
            found = self._bedrock.get_custom_model_deployment(customModelDeploymentIdentifier=row.arn)
        seen = {"status": found["status"], "failure_message": found.get("failureMessage")}
        changed = {key: value for key, value in seen.items() if row.details.get(key) != value}
        return self._site.ledger.note(row.id, changed) if changed else row

    def delete(self, id: str) -> None:
        """Take it away; the model stays."""
        self.remove(self.row(id))

    def remove(self, row: Resource) -> None:
        """Delete it, whatever the row's status, and see it gone."""
        remove(
            self._site,
            row,
            find=lambda: self.find_arn(row),
            look=lambda arn: self._bedrock.get_custom_model_deployment(customModelDeploymentIdentifier=arn),
            delete=lambda arn: self._bedrock.delete_custom_model_deployment(customModelDeploymentIdentifier=arn),
        )

    def find_arn(self, row: Resource) -> str | None:
        """The ARN of the row's deployment in the account, by its name and tag; None when it was never made."""
        self._site.require_here(row)
        with aws_errors(f"look for the deployment {row.name!r}"):
            try:
                found = self._bedrock.get_custom_model_deployment(customModelDeploymentIdentifier=row.name)
                arn: str = found["customModelDeploymentArn"]
                return arn if self._site.is_ours(arn, row) else None
            except Exception as error:
                if is_missing(error):
                    return None
                raise
