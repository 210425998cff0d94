from __future__ import annotations

import math
from typing import Any

from sqlora.platform.customization_metrics import as_csv, perplexity, training_rows, validation_rows

LINES: list[dict[str, Any]] = [
    {"phase": "loading", "step": 0},
    {"phase": "training", "step": 0, "loss": None, "message": "cpu"},
    {"phase": "validating", "step": 0, "loss": None, "validation_loss": 9.0},
    {"phase": "training", "step": 1, "epoch": 0.5, "loss": 2.0},
    {"phase": "training", "step": 2, "epoch": 1.0, "loss": 1.0},
    {"phase": "training", "step": 3, "epoch": 1.5, "loss": 0.0},
    {"phase": "validating", "step": 3, "epoch": 1.5, "loss": 0.0, "validation_loss": 0.5},
    {"phase": "saving", "step": 3},
]


def test_steps_and_epochs_count_from_zero() -> None:
    assert [row[:3] for row in training_rows(LINES)] == [(0, 0, 2.0), (1, 0, 1.0), (2, 1, 0.0)]


def test_the_validation_before_training_is_left_out() -> None:
    assert [row[:3] for row in validation_rows(LINES)] == [(2, 1, 0.5)]


def test_the_file_has_the_services_header() -> None:
    assert as_csv("training_loss", training_rows(LINES[-3:-2])) == (
        b"step_number,epoch_number,training_loss,perplexity\n2,1,0.0,1.0\n"
    )


def test_perplexity_of_a_loss_that_has_run_away() -> None:
    assert perplexity(1.0) == math.e
    assert perplexity(1e4) == math.inf
