"""The prerequisites as a template, for who may not make them or wants them in code: CloudFormation or Terraform.

The policies are those of `sqlora.backends.aws.policies`, with the template's own placeholders for account, partition
and bucket. Both are JSON, which either tool reads as it is (Terraform by the extension .tf.json).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from botocore import xform_name  # BlockPublicAcls → block_public_acls

from sqlora.backends.aws.buckets import ABORT_DAYS, PUBLIC_ACCESS, SLUG_LETTERS
from sqlora.backends.aws.policies import Document, Purpose, Scope, caller, permissions, tls_only, trust
from sqlora.backends.aws.roles import WORK, setting
from sqlora.errors import ConfigError
from sqlora.platform.names import slug
from sqlora.settings import AwsSection

FORMATS = {"cloudformation": "sqlora.template.json", "terraform": "sqlora.tf.json"}  # and the usual file name
TERRAFORM_PROVIDER = {"source": "hashicorp/aws", "version": ">= 5.0"}
_CALLER = "What whoever runs the {} backend of sqlora has to be allowed, to be attached to them"
_TITLES: dict[Purpose, str] = {"customization": "CustomizationRole", "import": "ImportRole", "training": "TrainingRole"}


@dataclass(frozen=True)
class Wanted:
    """What a template is to have. ``own_bucket``: it makes the bucket; else that of ``[aws]`` is there already."""

    project: str
    backend: str
    settings: AwsSection
    purposes: Sequence[Purpose]
    own_bucket: bool = True

    @property
    def tag(self) -> str:
        """The project as its tag has it."""
        return slug(self.project)

    def bucket(self, placeholder: str) -> str:
        """The bucket's name, or the template's placeholder for that of the bucket it makes."""
        return placeholder if self.own_bucket else self.settings.bucket or ""


def template(format: str, wanted: Wanted) -> dict[str, Any]:
    """The template in one of `FORMATS`. ConfigError for a bucket that is there already and has no name."""
    if not wanted.own_bucket and not wanted.settings.bucket:
        raise ConfigError("[aws] bucket is not set: which bucket is there already?", 'bucket = "…" in sqlora.toml')
    return cloudformation(wanted) if format == "cloudformation" else terraform(wanted)


# ------------------------------------------------------------------------------------------------- CloudFormation


def cloudformation(wanted: Wanted) -> dict[str, Any]:
    """A template for the region of ``[aws]``; its outputs are the keys of ``[aws]`` to set."""
    region, bucket = wanted.settings.region, wanted.bucket("${Bucket}")
    scope = Scope(
        "${AWS::Partition}", region, "${AWS::AccountId}", bucket, wanted.settings.kms_key, wanted.settings.image
    )
    roles = {purpose: f"${{{_TITLES[purpose]}.Arn}}" for purpose in wanted.purposes}
    resources: dict[str, Any] = {
        **(_cloudformation_bucket(wanted, scope) if wanted.own_bucket else {}),
        **{_TITLES[purpose]: _cloudformation_role(wanted.tag, purpose, scope) for purpose in roles},
        "CallerPolicy": {
            "Type": "AWS::IAM::ManagedPolicy",
            "Properties": {
                "Description": _CALLER.format(wanted.backend),
                "PolicyDocument": _substituted(caller(wanted.backend, scope, roles)),
            },
        },
    }
    outputs = {"bucket": _substituted(bucket)} | {setting(each): _substituted(arn) for each, arn in roles.items()}
    return {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": f"sqlora {wanted.backend} for the project {wanted.tag}: deploy it in {region}, then write the "
        "outputs into [aws] of sqlora.toml",
        "Resources": resources,
        "Outputs": {
            "".join(word.title() for word in key.split("_")): {"Description": f"[aws] {key}", "Value": value}
            for key, value in outputs.items()
        },
    }


def _cloudformation_bucket(wanted: Wanted, scope: Scope) -> dict[str, Any]:
    named, key = wanted.settings.bucket, wanted.settings.kms_key
    rule: dict[str, Any] = {"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
    if key:
        by_key = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}
        rule = {"ServerSideEncryptionByDefault": by_key, "BucketKeyEnabled": True}
    bucket = {
        "Type": "AWS::S3::Bucket",
        # CloudFormation cannot delete a bucket that is not empty, and the data is the user's.
        "DeletionPolicy": "Retain",
        "UpdateReplacePolicy": "Retain",
        "Properties": {
            **({"BucketName": named} if named else {}),
            "PublicAccessBlockConfiguration": PUBLIC_ACCESS,
            "OwnershipControls": {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]},
            "BucketEncryption": {"ServerSideEncryptionConfiguration": [rule]},
            "LifecycleConfiguration": {
                "Rules": [
                    {
                        "Id": "sqlora-unfinished-uploads",
                        "Status": "Enabled",
                        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": ABORT_DAYS},
                    }
                ]
            },
            "Tags": _tags(wanted.tag),
        },
    }
    policy = {"Bucket": {"Ref": "Bucket"}, "PolicyDocument": _substituted(tls_only(scope))}
    return {"Bucket": bucket, "BucketPolicy": {"Type": "AWS::S3::BucketPolicy", "Properties": policy}}


def _cloudformation_role(project: str, purpose: Purpose, scope: Scope) -> dict[str, Any]:
    policy = {"PolicyName": "sqlora", "PolicyDocument": _substituted(permissions(purpose, scope))}
    return {
        "Type": "AWS::IAM::Role",
        "Properties": {
            "Description": f"sqlora: {WORK[purpose]} of the project {project}",
            "AssumeRolePolicyDocument": _substituted(trust(purpose, scope)),
            "Policies": [policy],
            "Tags": _tags(project),
        },
    }


def _substituted(value: Any) -> Any:
    """The document with Fn::Sub around each text that has a placeholder."""
    if isinstance(value, dict):
        return {key: _substituted(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_substituted(each) for each in value]
    if not isinstance(value, str) or "${" not in value:
        return value
    whole = value[2:-1]  # a text that is nothing but one placeholder is a reference
    if value == f"${{{whole}}}" and "${" not in whole:
        name, _, attribute = whole.partition(".")
        return {"Fn::GetAtt": [name, attribute]} if attribute else {"Ref": name}
    return {"Fn::Sub": value}


def _tags(project: str) -> list[dict[str, str]]:
    return [{"Key": "sqlora:project", "Value": project}]


# ------------------------------------------------------------------------------------------------------ Terraform


def terraform(wanted: Wanted) -> dict[str, Any]:
    """A configuration for the region of ``[aws]``; its outputs are the keys of ``[aws]`` to set."""
    region, bucket = wanted.settings.region, wanted.bucket("${aws_s3_bucket.sqlora.bucket}")
    scope = Scope(
        "${data.aws_partition.current.partition}",
        region,
        "${data.aws_caller_identity.current.account_id}",
        bucket,
        wanted.settings.kms_key,
        wanted.settings.image,
    )
    roles = {purpose: f"${{aws_iam_role.{purpose}.arn}}" for purpose in wanted.purposes}
    tags = {"sqlora:project": wanted.tag}
    resource: dict[str, Any] = {
        **(_terraform_bucket(wanted, scope, tags) if wanted.own_bucket else {}),
        "aws_iam_role": {
            purpose: {
                "name_prefix": f"sqlora-{purpose}-",
                "description": f"sqlora: {WORK[purpose]} of the project {wanted.tag}",
                "assume_role_policy": _text(trust(purpose, scope)),
                "tags": tags,
            }
            for purpose in roles
        },
        "aws_iam_role_policy": {
            purpose: {
                "name": "sqlora",
                "role": f"${{aws_iam_role.{purpose}.id}}",
                "policy": _text(permissions(purpose, scope)),
            }
            for purpose in roles
        },
        "aws_iam_policy": {
            "caller": {
                "name_prefix": "sqlora-caller-",
                "description": _CALLER.format(wanted.backend),
                "policy": _text(caller(wanted.backend, scope, roles)),
                "tags": tags,
            }
        },
    }
    outputs = {"bucket": bucket} | {setting(purpose): arn for purpose, arn in roles.items()}
    return {
        "terraform": {"required_providers": {"aws": TERRAFORM_PROVIDER}},
        "provider": {"aws": {"region": region}},
        "data": {"aws_caller_identity": {"current": {}}, "aws_partition": {"current": {}}},
        "resource": resource,
        "output": {key: {"description": f"[aws] {key}", "value": value} for key, value in outputs.items()},
    }


def _terraform_bucket(wanted: Wanted, scope: Scope, tags: dict[str, str]) -> dict[str, Any]:
    bucket, key = "${aws_s3_bucket.sqlora.id}", wanted.settings.kms_key
    start = f"sqlora-{wanted.tag[:SLUG_LETTERS].strip('-')}-"
    named = {"bucket": wanted.settings.bucket} if wanted.settings.bucket else {"bucket_prefix": start}
    encryption: dict[str, Any] = {"apply_server_side_encryption_by_default": {"sse_algorithm": "AES256"}}
    if key:
        by_key = {"sse_algorithm": "aws:kms", "kms_master_key_id": key}
        encryption = {"apply_server_side_encryption_by_default": by_key, "bucket_key_enabled": True}
    unfinished = {
        "id": "sqlora-unfinished-uploads",
        "status": "Enabled",
        "filter": {},
        "abort_incomplete_multipart_upload": {"days_after_initiation": ABORT_DAYS},
    }
    return {
        "aws_s3_bucket": {"sqlora": {**named, "tags": tags}},
        "aws_s3_bucket_public_access_block": {
            "sqlora": {"bucket": bucket} | {xform_name(name): value for name, value in PUBLIC_ACCESS.items()}
        },
        "aws_s3_bucket_ownership_controls": {
            "sqlora": {"bucket": bucket, "rule": {"object_ownership": "BucketOwnerEnforced"}}
        },
        "aws_s3_bucket_server_side_encryption_configuration": {
            "sqlora": {"bucket": bucket, "rule": encryption}
        },
        "aws_s3_bucket_lifecycle_configuration": {"sqlora": {"bucket": bucket, "rule": [unfinished]}},
        "aws_s3_bucket_policy": {"sqlora": {"bucket": bucket, "policy": _text(tls_only(scope))}},
    }


def _text(document: Document) -> str:
    """A policy as text, in which Terraform puts the values of the placeholders."""
    return json.dumps(document)
