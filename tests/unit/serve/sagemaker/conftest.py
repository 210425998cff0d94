from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.serve.sagemaker.workshop import Workshop, workshop


@pytest.fixture(autouse=True, scope="package")
def no_aws_settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What the developer's own environment says of AWS is not in these tests."""
    nothing = tmp_path_factory.mktemp("aws")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_PROFILE", "AWS_BEARER_TOKEN_BEDROCK", "AWS_ENDPOINT_URL", "AWS_SESSION_TOKEN"):
            patch.delenv(name, raising=False)
        patch.setenv("AWS_CONFIG_FILE", str(nothing / "no-config"))
        patch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(nothing / "no-credentials"))
        yield


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Workshop]:
    with workshop(tmp_path) as made:
        yield made


@pytest.fixture(scope="module")
def lasting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    """One for the tests of a module that change nothing in it."""
    with workshop(tmp_path_factory.mktemp("lasting")) as made:
        yield made
