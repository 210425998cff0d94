"""The bucket is there, ours, in the right region and, where we made it, protected."""

from __future__ import annotations

from sqlora.backends.aws.buckets import own_bucket, protections, region_of
from sqlora.backends.aws.needs import bucket_name, scope_of
from sqlora.backends.aws.prerequisites.result import Result
from sqlora.backends.aws.site import Site


def bucket(site: Site) -> Result:
    """See above."""
    fix = f"sqlora doctor --backend {site.backend} --fix"
    name = bucket_name(site)
    if name is None:
        return Result("bucket", "fail", "there is none: [aws] bucket is not set, and sqlora has made none", fix)
    where = region_of(site.account, name)
    if where is None:
        return Result("bucket", "fail", f"there is no bucket {name}", fix)
    here = site.account.region
    if where != here:
        return Result(
            "bucket", "fail", f"{name} is in {where}, and the jobs are to run in {here}",
            "another [aws] bucket in sqlora.toml, or none: doctor --fix makes one",
        )  # fmt: skip
    if missing := unprotected(site):
        return Result("bucket", "fail", f"{name} lacks: {', '.join(missing)}", fix)
    whose = "made by sqlora, closed, encrypted, TLS only" if own_bucket(site.account, site.state) else "yours"
    return Result("bucket", "pass", f"{name} in {where}, {whose}")


def unprotected(site: Site) -> list[str]:
    """What our bucket lacks; nothing for one that is not ours, whose settings are its owner's."""
    row = own_bucket(site.account, site.state)
    if row is None:
        return []
    scope = scope_of(site, row.name)
    missing = [each.name for each in protections(site, row, scope) if not each.is_in_place()]
    return missing or (["the end of its making"] if row.status == "planned" else [])
