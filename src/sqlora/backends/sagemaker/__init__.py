"""Amazon SageMaker: training jobs in full control. A Nova model goes on to Bedrock, an open one comes back here.

    backend      the jobs: submitted once, found again, followed, stopped; whatever they train
    nova         Nova's recipe, and the import of what it made into Bedrock
    open_model   an open base model in sqlora's own container, whose adapter becomes a local custom model
    logs         what jobs write to CloudWatch, and the losses in it
"""

from sqlora.backends.sagemaker.backend import SageMakerBackend

__all__ = ["SageMakerBackend"]
