"""CloudWatch's pages, and the steps and losses in the lines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sqlora.backends.sagemaker.follow import CAUGHT_UP, Follower, tail
from sqlora.backends.sagemaker.logs import Line, Seen, TrainingLog, message_of
from sqlora.errors import AccountError
from sqlora.platform.metrics import read_metrics


class FakeLogs:
    """Streams of lines, in pages of two; tokens as the service's: at the end the same one again."""

    def __init__(self, **streams: list[str]) -> None:
        self.streams = {name.replace("_", "/", 1): lines for name, lines in streams.items()}
        self.denied = False

    def describe_log_streams(self, logGroupName: str, logStreamNamePrefix: str) -> dict[str, Any]:
        if not self.streams:
            raise ClientError({"Error": {"Code": "ResourceNotFoundException"}}, "DescribeLogStreams")
        return {
            "logStreams": [{"logStreamName": name} for name in self.streams if name.startswith(logStreamNamePrefix)]
        }

    def get_log_events(
        self, logGroupName: str, logStreamName: str, nextToken: str = "f/0", startFromHead: bool = False, limit: int = 2
    ) -> dict[str, Any]:
        if self.denied:
            raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, "GetLogEvents")
        lines = self.streams[logStreamName]
        begin = int(nextToken[2:]) if startFromHead or nextToken != "f/0" else max(0, len(lines) - limit)
        page = lines[begin : begin + limit]
        events = [{"timestamp": 1000 * (begin + place), "message": line} for place, line in enumerate(page)]
        return {"events": events, "nextForwardToken": f"f/{begin + len(page)}"}


class FakeAccount:
    def __init__(self, logs: FakeLogs) -> None:
        self.logs = logs

    def client(self, service: str) -> FakeLogs:
        assert service == "logs"
        return self.logs


def log_of(logs: FakeLogs) -> TrainingLog:
    return TrainingLog(FakeAccount(logs), "job")  # type: ignore[arg-type]


def test_every_line_once_over_pages_and_streams() -> None:
    logs = FakeLogs(**{"job_algo-1": ["a", "b", "c"], "job_algo-2": ["d"], "job2_algo-1": ["not this"]})
    log = log_of(logs)
    assert [line.text for line in log.new()] == ["a", "b", "c", "d"]
    assert list(log.new()) == []
    logs.streams["job/algo-1"] += ["e"]
    assert [line.text for line in log.new()] == ["e"]


def test_the_tail_and_a_log_that_is_not_there_yet() -> None:
    many = [str(number) for number in range(300)]
    assert [line.text for line in log_of(FakeLogs(**{"job_algo-1": many})).tail()] == many[-100:]
    assert list(log_of(FakeLogs()).new()) == []


def test_not_being_allowed_to_read_is_an_error_of_the_log_and_a_message_of_the_job(tmp_path: Path) -> None:
    logs = FakeLogs(**{"job_algo-1": ["Epoch 0: : 1it, reduced_train_loss=2.0"]})
    logs.denied = True
    with pytest.raises(AccountError):
        list(log_of(logs).new())
    assert tail(log_of(logs)) == Seen()
    follower = Follower(log_of(logs), tmp_path)
    follower.read()
    follower.read()
    [message] = follower.messages()
    assert message.startswith("its log cannot be followed: cannot read the log job/algo-1: no")
    logs.denied = False
    assert follower.read().loss == 2.0


@pytest.mark.parametrize(
    ("text", "step", "epoch", "loss", "validation", "steps"),
    [
        # what NeMo and Lightning print, and the local server
        (
            "Epoch 0: : 12it [00:30, 2.5s/it, v_num=1, reduced_train_loss=2.470, global_step=12.0]",
            12,
            0,
            2.47,
            None,
            None,
        ),
        (
            "Epoch 1:  22%|██▏| 44/201 [22:26<77:48, reduced_train_loss=1.5e-1, global_step=245.0]",
            245,
            1,
            0.15,
            None,
            None,
        ),
        ("Epoch 1: : 3it, val_loss=0.75, global_step=9, max_steps=20", 9, 1, None, 0.75, 20),
        ("Epoch 3: 100%|██| 7/7 [00:01]", 7, 3, None, None, None),
    ],
)
def test_a_progress_bar(
    text: str, step: int, epoch: int, loss: float | None, validation: float | None, steps: int | None
) -> None:
    seen = Seen()
    assert seen.take(Line(0, text))
    assert (seen.step, seen.epoch, seen.loss, seen.validation_loss, seen.steps) == (
        step,
        epoch,
        loss,
        validation,
        steps,
    )


@pytest.mark.parametrize(
    "text", ["", "Epoch", "[INFO] loading loss=3", "sqlora {", "sqlora []", "sqlora {}", "Epoch x: 1it"]
)
def test_any_other_line_is_a_message(text: str) -> None:
    seen = Seen()
    assert not seen.take(Line(0, text))
    assert (seen.step, message_of(Line(0, text))) == (None, text)


def test_a_line_of_our_own_container() -> None:
    seen = Seen()
    assert seen.take(Line(0, 'sqlora {"phase": "training", "step": 4, "steps": 8, "loss": 0.5, "seconds_left": 9.5}'))
    assert (seen.phase, seen.step, seen.steps, seen.loss, seen.seconds_left) == ("training", 4, 8, 0.5, 9.5)
    told = Line(0, 'sqlora {"phase": "loading", "message": "base model x"}')
    assert not seen.take(told)
    assert message_of(told) == "base model x"


def test_the_time_that_is_left_comes_from_the_times_of_the_lines() -> None:
    seen = Seen(steps=100)
    seen.take(Line(10_000, "Epoch 0: : 10it, global_step=10"))
    assert seen.seconds_left is None
    seen.take(Line(30_000, "Epoch 0: : 20it, global_step=20"))
    assert seen.seconds_left == 160


def test_whoever_follows_has_it_all_on_disk_and_is_shown_the_last_lines(tmp_path: Path) -> None:
    past = [f"line {number}" for number in range(50)]
    logs = FakeLogs(
        **{"job_algo-1": [*past, "Epoch 0: : 1it, reduced_train_loss=2", "Epoch 0: : 2it, reduced_train_loss=1"]}
    )
    (tmp_path / "worker.log").write_text("of another time")
    follower = Follower(log_of(logs), tmp_path)
    seen = follower.read()
    assert (seen.step, seen.loss) == (2, 1)
    assert follower.messages() == past[-CAUGHT_UP:]
    logs.streams["job/algo-1"] += ["new"] * 30
    follower.read()
    assert follower.messages() == ["new"] * 30
    assert (tmp_path / "worker.log").read_text().splitlines() == logs.streams["job/algo-1"]
    assert [(line["step"], line["loss"]) for line in read_metrics(tmp_path)] == [(1, 2.0), (2, 1.0)]
