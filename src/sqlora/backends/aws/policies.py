"""Who may do what: every IAM document of sqlora's, as data.

The doctor simulates them, ``--fix`` puts them in place, `sqlora.backends.aws.template` writes them down.

A `Scope` says what they are about. Its fields may be a template's placeholders instead of values, since documents are
only ever made by putting them into text. Sources: "Create a service role for model customization" in Bedrock's user
guide, "SageMaker AI roles" and "Cross-service confused deputy prevention" in SageMaker's developer guide.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlora.backends.aws.storage import PREFIX
from sqlora.train.nova import IMAGE_ACCOUNTS, IMAGE_NAME

Document = dict[str, Any]
Statement = dict[str, Any]
Purpose = Literal["customization", "import", "training"]

CONTAINER_ACCOUNT = "763104351884"  # AWS's deep learning containers, in which open models are trained
LOG_GROUP = "/aws/sagemaker/TrainingJobs"
METRICS = "/aws/sagemaker/TrainingJobs"

SERVICES: dict[Purpose, str] = {
    "customization": "bedrock.amazonaws.com",
    "import": "bedrock.amazonaws.com",
    "training": "sagemaker.amazonaws.com",
}
_JOBS: dict[Purpose, str] = {
    "customization": "bedrock:{region}:{account}:model-customization-job/*",
    "import": "bedrock:{region}:{account}:model-import-job/*",
    "training": "sagemaker:{region}:{account}:training-job/*",
}


_REGISTRY = re.compile(
    r"(?P<account>[0-9]{12})\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.amazonaws\.com(\.cn)?/(?P<name>[^:@]+)([:@].*)?"
)


@dataclass(frozen=True)
class Scope:
    """What the documents are about: ``partition`` "aws", the twelve digits of ``account``, the project's ``bucket``.

    ``kms_key``: the ARN of the key that encrypts what is uploaded and trained, if there is one of the user's own;
    ``image``: the address of the user's own image for training open models, if there is one.
    """

    partition: str
    region: str
    account: str
    bucket: str
    kms_key: str | None = None
    image: str | None = None

    def arn(self, rest: str) -> str:
        """An ARN of this partition; ``rest`` begins with the service and may name region and account in braces."""
        return f"arn:{self.partition}:{rest.replace('{region}', self.region).replace('{account}', self.account)}"

    @property
    def bucket_arn(self) -> str:
        """The bucket itself."""
        return self.arn(f"s3:::{self.bucket}")

    @property
    def data(self) -> str:
        """What sqlora keeps in the bucket; a bucket of the user's may hold other things."""
        return f"{self.bucket_arn}/{PREFIX}/*"

    @property
    def escrow(self) -> str:
        """Amazon's own buckets in which SageMaker keeps this account's Nova weights until Bedrock takes them over."""
        return self.arn("s3:::customer-escrow-{account}*")


# ------------------------------------------------------------------------------------------------------- the services


def trust(purpose: Purpose, scope: Scope) -> Document:
    """Who may assume the role: one service, on behalf of this account's jobs in this region and of nobody else's."""
    return _document(
        {
            "Sid": "Assume",
            "Effect": "Allow",
            "Principal": {"Service": SERVICES[purpose]},
            "Action": "sts:AssumeRole",
            "Condition": {
                "StringEquals": {"aws:SourceAccount": scope.account},
                "ArnLike": {"aws:SourceArn": scope.arn(_JOBS[purpose])},
            },
        }
    )


def permissions(purpose: Purpose, scope: Scope) -> Document:
    """What the role of a purpose may do."""
    if purpose == "import":
        weights = _read("Weights", scope.escrow, f"{scope.escrow}/*")
        return _document(*weights, *_key(scope, SERVICES[purpose], model=True))
    # The name of a bucket can be taken by somebody else once it is free: ours has to be in our account.
    ours = {"Condition": {"StringEquals": {"aws:ResourceAccount": scope.account}}}
    # SageMaker keeps the checkpoints there in step with those of the instance, so it deletes some.
    keeping = ["s3:AbortMultipartUpload", "s3:DeleteObject"] if purpose == "training" else []
    results = _allow("WriteResults", ["s3:PutObject", *keeping], [scope.data])
    data = [{**each, **ours} for each in (*_read("Data", scope.bucket_arn, scope.data), results)]
    if purpose == "customization":
        return _document(*data, *_key(scope, SERVICES[purpose], model=True))
    return _document(*data, *_training(scope), *_key(scope, SERVICES[purpose]))


def _read(sid: str, bucket: str, objects: str) -> list[Statement]:
    return [_allow(f"List{sid}", ["s3:ListBucket"], [bucket]), _allow(f"Read{sid}", ["s3:GetObject"], [objects])]


def _training(scope: Scope) -> list[Statement]:
    """Beyond the data, a SageMaker job fetches its container, and writes logs, metrics and Nova's weights."""
    group = scope.arn(f"logs:{{region}}:{{account}}:log-group:{LOG_GROUP}")
    fetch = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
    return [
        _allow("KeepWeights", ["s3:GetObject", "s3:PutObject"], [f"{scope.escrow}/*"]),
        _allow("WriteLogs", ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:DescribeLogStreams",
                             "logs:PutLogEvents"], [group, f"{group}:*"]),
        {**_allow("WriteMetrics", ["cloudwatch:PutMetricData"], ["*"]),
         "Condition": {"StringEquals": {"cloudwatch:namespace": METRICS}}},
        _allow("SignInToImages", ["ecr:GetAuthorizationToken"], ["*"]),
        _allow("FetchImages", fetch, list(_repositories(scope))),
    ]  # fmt: skip


def _repositories(scope: Scope) -> Iterator[str]:
    """AWS's containers for open models, Nova's image, and the user's own image where that is in a registry of ECR."""
    yield scope.arn(f"ecr:{{region}}:{CONTAINER_ACCOUNT}:repository/*")
    if nova := IMAGE_ACCOUNTS.get(scope.region):
        yield scope.arn(f"ecr:{{region}}:{nova}:repository/{IMAGE_NAME.partition(':')[0]}")
    if own := _REGISTRY.fullmatch(scope.image or ""):
        yield scope.arn(f"ecr:{own['region']}:{own['account']}:repository/{own['name']}")


def _key(scope: Scope, service: str, model: bool = False) -> list[Statement]:
    """The user's key for S3's objects and, ``model``, for the custom model that Bedrock stores."""
    if scope.kms_key is None:
        return []
    via = [f"s3.{scope.region}.amazonaws.com", service.replace(".", f".{scope.region}.", 1)]
    use = _allow("UseKey", ["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey"], [scope.kms_key])
    found = [{**use, "Condition": {"StringEquals": {"kms:ViaService": via}}}]
    if model:
        condition = {"StringEquals": {"kms:ViaService": via[1]}}
        found.append({**_allow("LendKey", ["kms:CreateGrant"], [scope.kms_key]), "Condition": condition})
    return found


# ------------------------------------------------------------------------------------------------------- the caller


def caller(backend: str, scope: Scope, roles: dict[Purpose, str]) -> Document:
    """What whoever runs sqlora has to be allowed, prerequisites apart. ``roles``: ARN by purpose, to be passed on."""
    models = scope.arn("bedrock:{region}:{account}:custom-model/*")
    deployments = scope.arn("bedrock:{region}:{account}:custom-model-deployment/*")
    jobs = scope.arn("bedrock:{region}:{account}:model-customization-job/*")
    nova = scope.arn("bedrock:{region}::foundation-model/amazon.nova-*")
    start = _customization_calls(jobs, models, nova) if backend == "bedrock" else _training_calls(scope, models)
    return _document(
        *start,
        _allow("LookAtModels", ["bedrock:GetFoundationModel", "bedrock:GetFoundationModelAvailability"], ["*"]),
        _allow("UseModels", ["bedrock:GetCustomModel", "bedrock:DeleteCustomModel",
                             "bedrock:CreateCustomModelDeployment"], [models]),
        _allow("UseDeployments", ["bedrock:GetCustomModelDeployment", "bedrock:DeleteCustomModelDeployment"],
               [deployments]),
        _allow("Ask", ["bedrock:InvokeModel", "bedrock:InvokeModelWithResponseStream"], [deployments, nova]),
        _allow("Tag", ["bedrock:TagResource", "bedrock:ListTagsForResource"], [models, deployments]),
        *_storage_calls(scope),
        *(_pass(purpose, arn) for purpose, arn in roles.items()),
    )  # fmt: skip


def _customization_calls(jobs: str, models: str, nova: str) -> list[Statement]:
    return [
        _allow("Customize", ["bedrock:CreateModelCustomizationJob"], [nova, jobs, models]),
        _allow("WatchJobs", ["bedrock:GetModelCustomizationJob", "bedrock:StopModelCustomizationJob",
                             "bedrock:TagResource", "bedrock:ListTagsForResource"], [jobs]),
    ]  # fmt: skip


def _training_calls(scope: Scope, models: str) -> list[Statement]:
    group = scope.arn(f"logs:{{region}}:{{account}}:log-group:{LOG_GROUP}:*")
    jobs = scope.arn("sagemaker:{region}:{account}:training-job/*")
    return [
        _allow("Train", ["sagemaker:CreateTrainingJob", "sagemaker:DescribeTrainingJob", "sagemaker:StopTrainingJob",
                         "sagemaker:AddTags"], [jobs]),
        _allow("ReadLogs", ["logs:DescribeLogStreams", "logs:GetLogEvents"], [group]),
        _allow("Import", ["bedrock:CreateCustomModel"], [models]),
        _allow("LookAtQuotas", ["servicequotas:GetServiceQuota", "servicequotas:GetAWSDefaultServiceQuota",
                                "servicequotas:ListAWSDefaultServiceQuotas",
                                "servicequotas:ListRequestedServiceQuotaChangeHistoryByQuota"], ["*"]),
    ]  # fmt: skip


def _storage_calls(scope: Scope) -> list[Statement]:
    inside = ["s3:GetObject", "s3:PutObject", "s3:PutObjectTagging", "s3:DeleteObject", "s3:AbortMultipartUpload"]
    found = [
        _allow("KeepData", inside, [scope.data]),
        _allow("LookAtBucket", ["s3:ListBucket", "s3:ListBucketMultipartUploads"], [scope.bucket_arn]),
    ]
    if scope.kms_key is not None:
        use = _allow("UseKey", ["kms:Decrypt", "kms:GenerateDataKey"], [scope.kms_key])
        found.append({**use, "Condition": {"StringEquals": {"kms:ViaService": f"s3.{scope.region}.amazonaws.com"}}})
    return found


def _pass(purpose: Purpose, arn: str) -> Statement:
    condition = {"StringEquals": {"iam:PassedToService": SERVICES[purpose]}}
    return {**_allow(f"Pass{purpose.title()}Role", ["iam:PassRole"], [arn]), "Condition": condition}


# ------------------------------------------------------------------------------------------------------- the bucket


def tls_only(scope: Scope) -> Document:
    """The bucket's policy: nobody, however powerful, reads or writes it unencrypted."""
    return _document(
        {
            "Sid": "TlsOnly",
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:*",
            "Resource": [scope.bucket_arn, f"{scope.bucket_arn}/*"],
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        }
    )


def _document(*statements: Statement) -> Document:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def _allow(sid: str, actions: Sequence[str], resources: Sequence[str]) -> Statement:
    return {"Sid": sid, "Effect": "Allow", "Action": list(actions), "Resource": list(resources)}
