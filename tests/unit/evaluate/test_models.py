"""What answers belong to: an evaluation over several backends must not take one model's answers for another's."""

from __future__ import annotations

from pathlib import Path

import pytest

from sqlora.errors import ConfigError, NotFoundError
from sqlora.evaluate.models import identify
from sqlora.project import load_project
from tests.unit.evaluate.fake import Deployed

DEPLOYED = {"here": Deployed("m1"), "there": Deployed("m2", "bedrock")}


class Deployments:
    def deployment(self, id: str) -> Deployed:
        if id not in DEPLOYED:
            raise NotFoundError(f"no deployment {id!r}")
        return DEPLOYED[id]


def identities(folder: Path, backend: str, *names: str) -> dict[str, str]:
    (folder / "sqlora.toml").touch()
    return identify(load_project(folder, {"train.backend": backend}, {}), Deployments(), names)


def test_a_deployment_is_the_same_whoever_trains(tmp_path: Path) -> None:
    one = identities(tmp_path, "local", "here", "there")
    assert one == identities(tmp_path, "bedrock", "here", "there")
    assert one == {"here": "local smollm2-135m m1", "there": "bedrock amazon.nova-micro-v1:0:128k m2"}


def test_base_is_the_base_model_of_the_backend_that_trains(tmp_path: Path) -> None:
    assert identities(tmp_path, "local", "base") == {"base": "local smollm2-135m"}
    assert identities(tmp_path, "bedrock", "base", "smollm2-135m") == {
        "base": "bedrock amazon.nova-micro-v1:0:128k",
        "smollm2-135m": "local smollm2-135m",
    }


def test_what_cannot_be_evaluated(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no model"):
        identities(tmp_path, "local")
    with pytest.raises(ConfigError, match="'here' is named twice"):
        identities(tmp_path, "local", "here", "here")
    with pytest.raises(NotFoundError):
        identities(tmp_path, "local", "nowhere")
