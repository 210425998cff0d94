"""The calls of AWS's two text-to-SQL notebooks, in their order and with their parameters, up to a real answer.

Path A customises a model on Bedrock, path B trains it on SageMaker and imports it. The calls are those of
aws-samples/amazon-nova-samples (AWS.md 1; commit f94e6d18), made with boto3 where the notebooks go through SageMaker's
SDK. What differs: the rows are the caller's, the pauses are shorter, and each evaluation asks a few questions.

    python -m tests.wire.notebooks http://127.0.0.1:8080        # against `sqlora serve --aws`
"""

from __future__ import annotations

import json
import sys
import time
import uuid
from collections.abc import Sequence
from typing import Any

import boto3
import yaml
from botocore.exceptions import ClientError

from tests.wire.notebook_calls import (
    Notebook,
    Outcome,
    Row,
    access,
    clean_up,
    default_bucket,
    deploy,
    evaluate,
    execution_role,
    expect,
    record,
    split,
    trust,
    upload_records,
)

BASE_ARN = "arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-micro-v1:0:128k"
IMAGE = "708977205387.dkr.ecr.us-east-1.amazonaws.com/nova-fine-tune-repo:SM-TJ-SFT-latest"
QUOTA = "L-6BC98A55"  # ml.g5.48xlarge for training job usage
# nova_micro_1_0_g5_g6_48x_gpu_lora_sft of sagemaker-hyperpod-recipes, as the SDK resolves it with run.replicas = 1
RECIPE: dict[str, Any] = {
    "run": {
        "name": "my-lora-run",
        "model_type": "amazon.nova-micro-v1:0:128k",
        "model_name_or_path": "nova-micro/prod",
        "replicas": 1,
        "data_s3_path": "",
        "output_s3_path": "",
        "mlflow_tracking_uri": "",
        "mlflow_experiment_name": "my-lora-experiment",
        "mlflow_run_name": "my-lora-run",
    },
    "training_config": {
        "max_length": 8192,
        "global_batch_size": 64,
        "trainer": {"max_epochs": 2},
        "model": {
            "hidden_dropout": 0.0,
            "attention_dropout": 0.0,
            "ffn_dropout": 0.0,
            "optim": {
                "lr": 1e-5,
                "name": "distributed_fused_adam",
                "adam_w_mode": True,
                "eps": 1e-6,
                "weight_decay": 0.0,
                "betas": [0.9, 0.999],
                "sched": {"warmup_steps": 10, "constant_steps": 0, "min_lr": 1e-6},
            },
            "peft": {
                "peft_scheme": "lora",
                "lora_tuning": {"adapter_dropout": 0.01, "alpha": 128, "loraplus_lr_ratio": 16.0},
            },
        },
    },
}


# path A ---------------------------------------------------------------------------------------------------------------


def path_a(session: Any, endpoint: str | None, rows: Sequence[Row], pause: float = 1.0) -> Outcome:
    """Bedrock's notebook: upload, role, customisation job, deployment, answers, clean-up."""
    notebook, outcome = Notebook(session, endpoint, pause), Outcome()
    s3, bedrock = notebook.client("s3"), notebook.client("bedrock")
    execution_role(notebook)
    bucket = default_bucket(notebook)
    training, tests = split([_record_a(row) for row in rows])
    prefix = f"bedrock-nova-finetuning/{notebook.timestamp}"
    train_key, test_key = f"{prefix}/train/train_dataset.jsonl", f"{prefix}/validation/test_dataset.jsonl"
    train_uri = upload_records(s3, bucket, train_key, training)
    test_uri = upload_records(s3, bucket, test_key, tests)
    for key in (train_key, test_key):
        assert s3.head_object(Bucket=bucket, Key=key)["ContentLength"] > 0
    job_arn = bedrock.create_model_customization_job(
        jobName=f"nova-micro-sql-{notebook.timestamp}",
        customModelName=f"nova-micro-sql-custom-{notebook.timestamp}",
        roleArn=_customisation_role(notebook, bucket),
        baseModelIdentifier=BASE_ARN,
        trainingDataConfig={"s3Uri": train_uri},
        validationDataConfig={"validators": [{"s3Uri": test_uri}]},
        outputDataConfig={"s3Uri": f"s3://{bucket}/{prefix}/output/"},
        hyperParameters={"epochCount": "1", "batchSize": "1", "learningRate": "0.00001"},
        customizationType="FINE_TUNING",
    )["jobArn"]
    notebook.poll(
        lambda: bedrock.get_model_customization_job(jobIdentifier=job_arn)["status"], "Completed", ("Failed", "Stopped")
    )
    outcome.model_arn = bedrock.get_model_customization_job(jobIdentifier=job_arn)["outputModelArn"]
    deploy(notebook, outcome, f"finetuned text to sql model: {outcome.model_arn}")
    evaluate(notebook, outcome, tests)
    clean_up(notebook, outcome)
    iam = notebook.client("iam")
    iam.delete_role_policy(RoleName="BedrockNovaCustomModelRole", PolicyName="BedrockNovaS3Access")
    iam.delete_role(RoleName="BedrockNovaCustomModelRole")
    return outcome


def _record_a(row: Row) -> dict[str, Any]:
    system = (
        "You are a powerful text-to-SQL model. Your job is to answer questions about a database. You are given a "
        "question and context regarding one or more tables.\n\nYou must output the SQL query that answers the question."
    )
    user = f"### Input:\n{row.question}\n\n### Context:\n{row.context}\n\n### Response:\n"
    return record(system, user, row.answer)


def _customisation_role(notebook: Notebook, bucket: str) -> str:
    iam, name = notebook.client("iam"), "BedrockNovaCustomModelRole"
    try:
        return str(iam.get_role(RoleName=name)["Role"]["Arn"])
    except iam.exceptions.NoSuchEntityException:
        pass
    arn = iam.create_role(
        RoleName=name,
        AssumeRolePolicyDocument=trust("bedrock.amazonaws.com"),
        Description="Role for Bedrock custom model fine-tuning",
    )["Role"]["Arn"]
    iam.put_role_policy(
        RoleName=name,
        PolicyName="BedrockNovaS3Access",
        PolicyDocument=access(bucket, ["s3:GetObject", "s3:PutObject", "s3:ListBucket"]),
    )
    time.sleep(notebook.pause)
    return str(arn)


# path B ---------------------------------------------------------------------------------------------------------------


def path_b(session: Any, endpoint: str | None, rows: Sequence[Row], pause: float = 1.0) -> Outcome:
    """SageMaker's notebook: upload, training job by recipe, manifest, import, deployment, answers, clean-up."""
    notebook, outcome = Notebook(session, endpoint, pause), Outcome()
    s3, bedrock = notebook.client("s3"), notebook.client("bedrock")
    role, bucket = execution_role(notebook), default_bucket(notebook)
    training, tests = split([_record_b(row) for row in rows])
    # The notebook gives upload_data a whole URI as the key's prefix, so the keys begin with s3:// themselves.
    prefix, compact = f"s3://{bucket}/datasets/nova-sql-context", (",", ":")
    train_uri = upload_records(s3, bucket, f"{prefix}/train_dataset.jsonl", training, compact)
    test_uri = upload_records(s3, bucket, f"{prefix}/test_dataset.jsonl", tests, compact)
    quotas = notebook.client("service-quotas")
    assert quotas.get_service_quota(ServiceCode="sagemaker", QuotaCode=QUOTA)["Quota"]["Value"] >= 1
    output = f"s3://{bucket}/train-nova-micro-sql-peft-sft"
    _train(notebook, role, bucket, output, train_uri, test_uri)
    manifest_key = f"train-nova-micro-sql-peft-sft/{_trained(notebook)}/output/output/manifest.json"
    manifest = json.loads(s3.get_object(Bucket=bucket, Key=manifest_key)["Body"].read().decode("utf-8"))
    outcome.model_arn = bedrock.create_custom_model(
        modelName=f"nova-micro-peft-lora-{notebook.timestamp}",
        roleArn=_import_role(notebook, bucket),
        modelSourceConfig={"s3DataSource": {"s3Uri": manifest["checkpoint_s3_bucket"]}},
        clientRequestToken=str(uuid.uuid4()),
    )["modelArn"]
    notebook.poll(
        lambda: bedrock.get_custom_model(modelIdentifier=outcome.model_arn)["modelStatus"], "Active", ("Failed",)
    )
    deploy(notebook, outcome, f"on-demand inferencing deployment for model: {outcome.model_arn}")
    evaluate(notebook, outcome, tests)
    clean_up(notebook, outcome)
    iam = notebook.client("iam")
    for policy in iam.list_attached_role_policies(RoleName="BedrockNovaImportRole")["AttachedPolicies"]:
        iam.detach_role_policy(RoleName="BedrockNovaImportRole", PolicyArn=policy["PolicyArn"])
        iam.delete_policy(PolicyArn=policy["PolicyArn"])
    iam.delete_role(RoleName="BedrockNovaImportRole")
    return outcome


def _record_b(row: Row) -> dict[str, Any]:
    system = (
        "You are a powerful text-to-SQL model. Your job is to answer questions about a database. "
        f"You can use the following table schema for context: {row.context}"
    )
    user = f"Return the SQL query that answers the following question: {row.question}"
    return {"schemaVersion": "bedrock-conversation-2024", **record(system, user, row.answer)}


def _train(notebook: Notebook, role: str, bucket: str, output: str, train_uri: str, test_uri: str) -> None:
    """What ``ModelTrainer.from_recipe(…).train([train, val], wait=False)`` sends."""
    name = f"train-nova-micro-sql-peft-sft-{notebook.timestamp.replace('-', '')}"
    recipe_key = f"{name}/input/recipe/recipe.yaml"
    notebook.client("s3").put_object(Bucket=bucket, Key=recipe_key, Body=yaml.safe_dump(RECIPE).encode())
    notebook.client("sagemaker").create_training_job(
        TrainingJobName=name,
        RoleArn=role,
        AlgorithmSpecification={"TrainingImage": IMAGE, "TrainingInputMode": "File"},
        HyperParameters={
            "base_model": "nova-micro/prod",
            "sagemaker_recipe_local_path": "/opt/ml/input/data/recipe/recipe.yaml",
        },
        InputDataConfig=[
            _channel("train", "Converse", train_uri),
            _channel("val", "Converse", test_uri),
            _channel("recipe", "S3Prefix", f"s3://{bucket}/{recipe_key}"),
        ],
        OutputDataConfig={"S3OutputPath": output, "CompressionType": "NONE"},
        ResourceConfig={"InstanceType": "ml.g5.48xlarge", "InstanceCount": 1, "VolumeSizeInGB": 30},
        StoppingCondition={"MaxRuntimeInSeconds": 432000},
    )


def _channel(name: str, kind: str, uri: str) -> dict[str, Any]:
    source = {"S3DataType": kind, "S3Uri": uri, "S3DataDistributionType": "FullyReplicated"}
    return {"ChannelName": name, "DataSource": {"S3DataSource": source}}


def _trained(notebook: Notebook) -> str:
    """The name of the newest training job, once it is completed."""
    sagemaker = notebook.client("sagemaker")
    newest = sagemaker.list_training_jobs(SortBy="CreationTime", SortOrder="Descending", MaxResults=1)
    name = newest["TrainingJobSummaries"][0]["TrainingJobName"]
    notebook.poll(
        lambda: sagemaker.describe_training_job(TrainingJobName=name)["TrainingJobStatus"],
        "Completed",
        ("Failed", "Stopped"),
    )
    return str(name)


def _import_role(notebook: Notebook, bucket: str) -> str:
    iam, account = notebook.client("iam"), notebook.client("sts").get_caller_identity()["Account"]
    name, policy_name = "BedrockNovaImportRole", "BedrockNovaS3Access"
    arn = f"arn:aws:bedrock:us-east-1:{account}:model-import-job/*"
    condition = {"StringEquals": {"aws:SourceAccount": account}, "ArnEquals": {"aws:SourceArn": arn}}
    trusted = trust("bedrock.amazonaws.com", condition)
    try:
        role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=trusted)["Role"]["Arn"]
    except ClientError as error:
        expect(error, "EntityAlreadyExists")
        role = iam.get_role(RoleName=name)["Role"]["Arn"]
    try:
        document = access(bucket, ["s3:GetObject", "s3:ListBucket"])
        policy = iam.create_policy(PolicyName=policy_name, PolicyDocument=document)["Policy"]["Arn"]
    except ClientError as error:
        expect(error, "EntityAlreadyExists")
        policy = f"arn:aws:iam::{account}:policy/{policy_name}"
    iam.attach_role_policy(RoleName=name, PolicyArn=policy)
    return str(role)


def sample_rows(count: int) -> list[Row]:
    """Rows of our own, for a run without the dataset."""
    return [
        Row(
            f"How many heads of the departments are older than {20 + n} ?",
            "CREATE TABLE head (age INTEGER)",
            f"SELECT COUNT(*) FROM head WHERE age > {20 + n}",
        )
        for n in range(count)
    ]


def main(endpoint: str) -> None:
    """Both paths against a server that runs."""
    session = boto3.Session(aws_access_key_id="AKIDEXAMPLE", aws_secret_access_key="secret", region_name="us-east-1")
    for path in (path_a, path_b):
        print(path.__name__, path(session, endpoint, sample_rows(40)))


if __name__ == "__main__":
    main(sys.argv[1])
