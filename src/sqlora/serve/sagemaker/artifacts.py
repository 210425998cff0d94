"""What a training job leaves in the customer's bucket: a manifest that says where its checkpoint lies; no weights.

On AWS that is a bucket of Amazon's, the escrow, which a customer cannot read. Here it is no bucket at all: the URI
names an escrow model of the state, CreateCustomModel (`sqlora.serve.bedrock.models`) looks that up, and the weights
stay in the project's folder.

CompressionType NONE: ``<S3OutputPath>/<job>/output/output/manifest.json``; GZIP: the same file within
``<S3OutputPath>/<job>/output/output.tar.gz``. Both are as in AWS's notebook and in nova-forge-sdk, which reads either.
"""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from collections.abc import Mapping
from typing import Any

from sqlora.platform.customization import Artifacts, Customization
from sqlora.platform.jobs import Job
from sqlora.platform.objects import Objects, under

MANIFEST = "manifest.json"


def upload(objects: Objects, account: str) -> Artifacts:
    """The upload of SageMaker's jobs, for `Customizations.artifacts`; putting the same again changes nothing."""

    def put(job: Job, customization: Customization) -> None:
        manifest = json.dumps({"checkpoint_s3_bucket": escrow_uri(account, job)}, indent=2).encode() + b"\n"
        folder = output_folder(customization.request)
        if compressed(customization.request):
            objects.put(under(folder, "output.tar.gz"), _tar_gz(MANIFEST, manifest))
        else:
            objects.put(under(folder, "output", MANIFEST), manifest)

    return put


def escrow_uri(account: str, job: Job) -> str:
    """``s3://customer-escrow-<account>-sqlora/<job>/<model id>/step_<n>`` of a job that is Completed."""
    return f"s3://customer-escrow-{account}-sqlora/{job.name}/{job.model_id}/step_{job.progress.get('step', 0)}"


def output_folder(request: Mapping[str, Any]) -> str:
    """The URI that a job's results are put under."""
    return under(request["OutputDataConfig"]["S3OutputPath"], request["TrainingJobName"], "output")


def compressed(request: Mapping[str, Any]) -> bool:
    """Whether the results come as an archive, the service's default."""
    return bool(request["OutputDataConfig"].get("CompressionType", "GZIP") == "GZIP")


def model_artifacts(request: Mapping[str, Any]) -> str:
    """What DescribeTrainingJob gives as ``S3ModelArtifacts``; for Nova nothing is put there, on AWS neither."""
    return under(output_folder(request), "model.tar.gz" if compressed(request) else "model")


def _tar_gz(name: str, content: bytes) -> bytes:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as opened:
        member = tarfile.TarInfo(name)
        member.size = len(content)
        opened.addfile(member, io.BytesIO(content))
    return gzip.compress(archive.getvalue(), mtime=0)
