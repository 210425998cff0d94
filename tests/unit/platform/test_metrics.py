"""metrics.jsonl over kills and resumed runs."""

from __future__ import annotations

from pathlib import Path

from sqlora.platform.metrics import FILE_NAME, MetricsLog, read_metrics


def test_a_resumed_run_replaces_the_steps_it_repeats(tmp_path: Path) -> None:
    first = MetricsLog(tmp_path)
    for step in (0, 1, 2, 3):
        first.write({"step": step, "loss": 1.0})
    second = MetricsLog(tmp_path)
    second.write({"step": 0, "phase": "loading"})
    for step in (2, 3, 4):
        second.write({"step": step, "loss": 0.5})
    assert [(line["step"], line.get("loss")) for line in read_metrics(tmp_path)] == [
        (0, 1.0),
        (1, 1.0),
        (0, None),
        (2, 0.5),
        (3, 0.5),
        (4, 0.5),
    ]


def test_a_torn_last_line_costs_only_itself(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_text('{"step": 1}\n{"step": 2, "lo')
    assert read_metrics(tmp_path) == [{"step": 1}]
    MetricsLog(tmp_path).write({"step": 0})
    assert read_metrics(tmp_path) == [{"step": 1}, {"step": 0}]


def test_no_metrics_before_the_job_begins(tmp_path: Path) -> None:
    assert read_metrics(tmp_path) == []
