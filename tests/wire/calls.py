"""One call of every operation that is served, with parameters that are well formed; what they name need not be there."""

from __future__ import annotations

from typing import Any

from tests.wire.shop import BUCKET, DEPLOYMENT, MODEL, job_request, nova, training_request, user

ID = "abcdefghijkl"
_TAG = [{"key": "a", "value": "1"}]
_QUOTA = {"ServiceCode": "sagemaker", "QuotaCode": "L-6BC98A55"}
_THROUGHPUT = {"provisionedModelId": ID}
_TRAINING_JOB = "arn:aws:sagemaker:us-east-1:123456789012:training-job/nobody"

CALLS: dict[tuple[str, str], dict[str, Any]] = {
    ("bedrock", "CreateModelCustomizationJob"): job_request("call"),
    ("bedrock", "GetModelCustomizationJob"): {"jobIdentifier": "nobody"},
    ("bedrock", "ListModelCustomizationJobs"): {},
    ("bedrock", "StopModelCustomizationJob"): {"jobIdentifier": "nobody"},
    ("bedrock", "CreateCustomModel"): {
        "modelName": "call",
        "modelSourceConfig": {"s3DataSource": {"s3Uri": f"s3://{BUCKET}/adapter/"}},
    },
    ("bedrock", "GetCustomModel"): {"modelIdentifier": "nobody"},
    ("bedrock", "ListCustomModels"): {},
    ("bedrock", "DeleteCustomModel"): {"modelIdentifier": "nobody"},
    ("bedrock", "CreateCustomModelDeployment"): {"modelDeploymentName": "call", "modelArn": MODEL + ID},
    ("bedrock", "GetCustomModelDeployment"): {"customModelDeploymentIdentifier": "nobody"},
    ("bedrock", "ListCustomModelDeployments"): {},
    ("bedrock", "UpdateCustomModelDeployment"): {"customModelDeploymentIdentifier": "nobody", "modelArn": MODEL + ID},
    ("bedrock", "DeleteCustomModelDeployment"): {"customModelDeploymentIdentifier": "nobody"},
    ("bedrock", "ListFoundationModels"): {},
    ("bedrock", "GetFoundationModel"): {"modelIdentifier": "amazon.nova-micro-v1:0"},
    ("bedrock", "TagResource"): {"resourceARN": MODEL + ID, "tags": _TAG},
    ("bedrock", "UntagResource"): {"resourceARN": MODEL + ID, "tagKeys": ["a"]},
    ("bedrock", "ListTagsForResource"): {"resourceARN": MODEL + ID},
    ("bedrock", "CreateProvisionedModelThroughput"): {
        "modelUnits": 1,
        "provisionedModelName": "call",
        "modelId": "amazon.nova-micro-v1:0",
    },
    ("bedrock", "GetProvisionedModelThroughput"): _THROUGHPUT,
    ("bedrock", "ListProvisionedModelThroughputs"): {},
    ("bedrock", "UpdateProvisionedModelThroughput"): _THROUGHPUT,
    ("bedrock", "DeleteProvisionedModelThroughput"): _THROUGHPUT,
    ("bedrock-runtime", "Converse"): {"modelId": DEPLOYMENT + ID, "messages": user("?")},
    ("bedrock-runtime", "ConverseStream"): {"modelId": DEPLOYMENT + ID, "messages": user("?")},
    ("bedrock-runtime", "InvokeModel"): {"modelId": DEPLOYMENT + ID, "body": nova("?")},
    ("bedrock-runtime", "InvokeModelWithResponseStream"): {"modelId": DEPLOYMENT + ID, "body": nova("?")},
    ("bedrock-runtime", "CountTokens"): {"modelId": DEPLOYMENT + ID, "input": {"converse": {"messages": user("?")}}},
    ("bedrock-runtime", "ApplyGuardrail"): {
        "guardrailIdentifier": "abc",
        "guardrailVersion": "1",
        "source": "INPUT",
        "content": [],
    },
    ("sagemaker", "CreateTrainingJob"): training_request("call"),
    ("sagemaker", "DescribeTrainingJob"): {"TrainingJobName": "nobody"},
    ("sagemaker", "ListTrainingJobs"): {},
    ("sagemaker", "StopTrainingJob"): {"TrainingJobName": "nobody"},
    ("sagemaker", "AddTags"): {"ResourceArn": _TRAINING_JOB, "Tags": [{"Key": "a", "Value": "1"}]},
    ("sagemaker", "ListTags"): {"ResourceArn": _TRAINING_JOB},
    ("sagemaker", "DeleteTags"): {"ResourceArn": _TRAINING_JOB, "TagKeys": ["a"]},
    ("service-quotas", "GetServiceQuota"): _QUOTA,
    ("service-quotas", "GetAWSDefaultServiceQuota"): _QUOTA,
    ("service-quotas", "ListServiceQuotas"): {"ServiceCode": "sagemaker"},
    ("service-quotas", "ListAWSDefaultServiceQuotas"): {"ServiceCode": "sagemaker"},
    ("service-quotas", "RequestServiceQuotaIncrease"): {**_QUOTA, "DesiredValue": 2.0},
    ("service-quotas", "GetRequestedServiceQuotaChange"): {"RequestId": ID},
    ("service-quotas", "ListRequestedServiceQuotaChangeHistoryByQuota"): _QUOTA,
    ("service-quotas", "ListRequestedServiceQuotaChangeHistory"): {},
}
