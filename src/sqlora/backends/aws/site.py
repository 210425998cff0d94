"""A project's place in an AWS account: its state, the account, and the ledger's rows of one backend there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from sqlora.backends.aws.account import Account
from sqlora.backends.aws.polling import Polling
from sqlora.errors import AccountError, BusyError
from sqlora.platform.ledger import Ledger, Resource, ResourceKind
from sqlora.platform.names import slug
from sqlora.platform.state import State
from sqlora.project import Project
from sqlora.settings import AwsSection

PROJECT_TAG, ID_TAG = "sqlora:project", "sqlora:id"


@dataclass(frozen=True)
class Site:
    """What everything of one AWS backend works with. ``backend`` is its name in the ledger."""

    project: Project
    state: State
    account: Account
    backend: str
    polling: Polling = field(default_factory=Polling)

    @property
    def settings(self) -> AwsSection:
        """``[aws]``."""
        return self.project.aws

    @property
    def ledger(self) -> Ledger:
        """All backends' rows."""
        return self.state.ledger

    def plan(
        self,
        kind: ResourceKind,
        name: str,
        *,
        parent_id: str | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> Resource:
        """A row of this backend, account and region; see `Ledger.plan`."""
        account, region = self.account.id, self.account.region
        return self.ledger.plan(
            self.backend, kind, name, account=account, region=region, parent_id=parent_id, details=details
        )

    def find(self, kind: ResourceKind, id: str) -> Resource | None:
        """The backend's own, by id, name or ARN; None for another's."""
        found = self.ledger.find(kind, id)
        return found if found is not None and found.backend == self.backend else None

    def rows(self, kind: ResourceKind | None = None, parent_id: str | None = None) -> list[Resource]:
        """The backend's own that are not deleted, newest first."""
        return self.ledger.list(kind=kind, backend=self.backend, parent_id=parent_id)

    def require_here(self, row: Resource) -> None:
        """AccountError when the row's thing lies in another account or region than the one we speak to.

        There it would look as if it were gone, and be forgotten while it still costs money.
        """
        here = (self.account.id, self.account.region)
        if (row.account, row.region) != here:
            raise AccountError(
                f"{row.kind} {row.name!r} was made in account {row.account}, {row.region}; "
                f"these are the credentials and region of {here[0]}, {here[1]}",
                "the other AWS_PROFILE, or [aws] profile and region in sqlora.toml",
            )

    @contextmanager
    def alone(self, row: Resource) -> Iterator[Resource]:
        """The row as it stands now, and while it lasts no other process makes or deletes the row's thing.

        BusyError at once when one does. The lock ends with the process that has it, however that ends.
        """
        file = self._lock_file(row)
        file.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(file, timeout=0)
        try:
            lock.acquire()
        except Timeout as error:
            raise BusyError(
                f"another process is at the {row.kind} {row.name!r}", "try again when it is done"
            ) from error
        try:
            yield self.ledger.get(row.id)
        finally:
            lock.release()

    def forget(self, row: Resource) -> None:
        """The row's thing is gone, and nobody needs to be alone with it any more."""
        self.ledger.deleted(row.id)
        self._lock_file(row).unlink(missing_ok=True)

    def _lock_file(self, row: Resource) -> Path:
        return self.project.state / "locks" / f"{row.id}.lock"

    def tags(self, row: Resource) -> dict[str, str]:
        """What the row's thing is tagged with: who made it, and which row it is."""
        return {PROJECT_TAG: slug(self.project.name), ID_TAG: row.id}

    def bedrock_tags(self, row: Resource) -> list[dict[str, str]]:
        """The tags as Bedrock takes them; the other services write Key and Value."""
        return [{"key": key, "value": value} for key, value in self.tags(row).items()]

    def is_ours(self, arn: str, row: Resource) -> bool:
        """Whether the thing of Bedrock's at ``arn`` is the row's, by its tag; botocore's errors come out."""
        found = self.account.client("bedrock").list_tags_for_resource(resourceARN=arn)
        return any(tag["key"] == ID_TAG and tag["value"] == row.id for tag in found.get("tags", []))
