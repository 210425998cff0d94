"""Bedrock on the wire: the control plane (service ``bedrock``) here, the runtime in `sqlora.serve.bedrock.runtime`."""

from __future__ import annotations

from sqlora.serve.aws.call import Handler
from sqlora.serve.bedrock.activation import Activation
from sqlora.serve.bedrock.deployments import DeploymentHandlers
from sqlora.serve.bedrock.foundation import FoundationHandlers
from sqlora.serve.bedrock.jobs import JobHandlers
from sqlora.serve.bedrock.models import ModelHandlers
from sqlora.serve.bedrock.tags import TagHandlers
from sqlora.serve.bedrock.throughput import refuse
from sqlora.serve.place import Place

SERVICE = "bedrock"


def handlers(place: Place, activation: Activation | None = None) -> dict[tuple[str, str], Handler]:
    """The control plane's operations; what was Creating or Updating when the server last ended goes on now.

    ``activation`` does that, in the background.
    """
    active = activation or Activation(place.backend, place.objects)
    jobs, models = JobHandlers(place), ModelHandlers(place, active)
    deployments, foundation, tags = DeploymentHandlers(place, active), FoundationHandlers(place), TagHandlers(place)
    active.resume()
    operations: dict[str, Handler] = {
        "CreateModelCustomizationJob": jobs.create,
        "GetModelCustomizationJob": jobs.get,
        "ListModelCustomizationJobs": jobs.list,
        "StopModelCustomizationJob": jobs.stop,
        "CreateCustomModel": models.create,
        "GetCustomModel": models.get,
        "ListCustomModels": models.list,
        "DeleteCustomModel": models.delete,
        "CreateCustomModelDeployment": deployments.create,
        "GetCustomModelDeployment": deployments.get,
        "ListCustomModelDeployments": deployments.list,
        "UpdateCustomModelDeployment": deployments.update,
        "DeleteCustomModelDeployment": deployments.delete,
        "ListFoundationModels": foundation.list,
        "GetFoundationModel": foundation.get,
        "TagResource": tags.tag,
        "UntagResource": tags.untag,
        "ListTagsForResource": tags.list,
        "CreateProvisionedModelThroughput": refuse,
        "GetProvisionedModelThroughput": refuse,
        "ListProvisionedModelThroughputs": refuse,
        "UpdateProvisionedModelThroughput": refuse,
        "DeleteProvisionedModelThroughput": refuse,
    }
    return {(SERVICE, operation): handler for operation, handler in operations.items()}
