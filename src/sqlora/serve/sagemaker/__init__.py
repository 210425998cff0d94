"""SageMaker's training jobs and their service quota, on this machine: the Nova recipe contract without the SDK.

What is not Nova's supervised fine-tuning with LoRA is refused with a sentence. Spot training, VPCs, encryption keys,
profilers and retries are taken and described again, and change nothing on one machine.
"""

from __future__ import annotations

from sqlora.serve.aws.call import Handler
from sqlora.serve.place import Place
from sqlora.serve.sagemaker.artifacts import upload
from sqlora.serve.sagemaker.jobs import TrainingJobs
from sqlora.serve.sagemaker.quotas import QuotaOperations
from sqlora.serve.sagemaker.tags import JobTags

__all__ = ["handlers"]


def handlers(place: Place) -> dict[tuple[str, str], Handler]:
    """The operations of the services "sagemaker" and "service-quotas".

    Registers the upload of SageMaker's jobs, so it is called before ``place.customizations.start()``.
    """
    place.customizations.artifacts["sagemaker"] = upload(place.objects, place.account)
    jobs, quotas = TrainingJobs(place), QuotaOperations(place)
    tags = JobTags(place, jobs)
    sagemaker: dict[str, Handler] = {
        "CreateTrainingJob": jobs.create,
        "DescribeTrainingJob": jobs.describe,
        "ListTrainingJobs": jobs.list,
        "StopTrainingJob": jobs.stop,
        "AddTags": tags.add,
        "ListTags": tags.list,
        "DeleteTags": tags.delete,
    }
    service_quotas: dict[str, Handler] = {
        "GetServiceQuota": quotas.get,
        "GetAWSDefaultServiceQuota": quotas.get_default,
        "ListServiceQuotas": quotas.list,
        "ListAWSDefaultServiceQuotas": quotas.list_defaults,
        "RequestServiceQuotaIncrease": quotas.request,
        "GetRequestedServiceQuotaChange": quotas.get_request,
        "ListRequestedServiceQuotaChangeHistoryByQuota": quotas.history_by_quota,
        "ListRequestedServiceQuotaChangeHistory": quotas.history,
    }
    return {("sagemaker", name): handler for name, handler in sagemaker.items()} | {
        ("service-quotas", name): handler for name, handler in service_quotas.items()
    }
