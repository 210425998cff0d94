"""Taking a thing of AWS's away for good: asked for, then looked at until it is gone."""

from __future__ import annotations

from collections.abc import Callable

from sqlora.backends.aws.errors import aws_errors, is_missing
from sqlora.backends.aws.site import Site
from sqlora.errors import ConflictError
from sqlora.platform.ledger import Resource


def remove(
    site: Site,
    row: Resource,
    *,
    find: Callable[[], str | None],
    look: Callable[[str], object],
    delete: Callable[[str], object],
) -> None:
    """deleting → deleted; goes on with one that another process left half-way.

    ``find`` looks up the ARN of a thing whose creation nobody heard the answer of; ``look`` and ``delete`` call AWS
    with it. One that is in use or in the making is asked for again for `Polling.in_use`, then it is a ConflictError.
    """
    site.require_here(row)
    with site.alone(row) as row:
        if row.status == "deleted":
            return
        row = site.ledger.deleting(row.id)
        arn = row.arn or find()
        if arn is not None:
            deletion = _Deletion(site, row, arn, look, delete)
            site.polling.until(deletion, f"the deletion of the {row.kind} {row.name!r}", site.polling.longest)
        site.forget(row)


class _Deletion:
    """Called until it says True: gone."""

    def __init__(
        self, site: Site, row: Resource, arn: str, look: Callable[[str], object], delete: Callable[[str], object]
    ) -> None:
        self._doing = f"delete the {row.kind} {row.name!r}"
        self._polling, self._arn, self._look, self._delete = site.polling, arn, look, delete
        self._began = site.polling.clock()
        self._asked = False

    def __call__(self) -> bool | None:
        try:
            with aws_errors(self._doing, "sqlora destroy says what is left"):
                return self._step()
        except ConflictError:
            if self._polling.clock() - self._began > self._polling.in_use:
                raise
            return None

    def _step(self) -> bool | None:
        try:
            if not self._asked:
                self._delete(self._arn)
                self._asked = True
            self._look(self._arn)
        except Exception as error:
            if is_missing(error):
                return True
            raise
        return None
