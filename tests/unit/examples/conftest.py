"""The retail example's warehouse, built once for its tests."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

RETAIL = Path(__file__).parents[3] / "examples" / "retail"


@pytest.fixture(scope="session")
def warehouse_script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("retail_warehouse", RETAIL / "warehouse.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def warehouse(warehouse_script: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("retail") / "warehouse.duckdb"
    warehouse_script.build(path)
    return path
