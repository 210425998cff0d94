"""What has to be there before a model can be trained on AWS: looked at, and where it can be, made."""

from sqlora.backends.aws.prerequisites.fix import Step, alone, plan
from sqlora.backends.aws.prerequisites.result import Result, Status
from sqlora.backends.aws.prerequisites.run import check

__all__ = ["Result", "Status", "Step", "alone", "check", "plan"]
