"""A job's log as somebody follows it: into the job's own folder, and to whoever waits."""

from __future__ import annotations

from pathlib import Path

from sqlora.backends.sagemaker.logs import Line, Seen, TrainingLog, message_of
from sqlora.errors import SqloraError
from sqlora.platform.metrics import FILE_NAME, MetricsLog
from sqlora.platform.worker import LOG_NAME

CAUGHT_UP = 20  # lines of the past that are shown when somebody begins to watch


class Follower:
    """Reads what is new, keeps it as ``worker.log`` and ``metrics.jsonl``, and remembers what to show.

    Both files are written anew at the first read: the service has it all.
    """

    def __init__(self, log: TrainingLog, folder: Path) -> None:
        self._log, self._folder = log, folder
        self._seen, self._messages = Seen(), list[str]()
        self._began = self._complained = False

    def read(self) -> Seen:
        """What the lines say by now. A log that cannot be read is a message, not an error: the job goes on."""
        self._begin()
        metrics = MetricsLog(self._folder)
        caught_up = self._began
        try:
            with (self._folder / LOG_NAME).open("a", encoding="utf-8") as file:
                for line in self._log.new():
                    self._take(line, metrics)
                    file.write(line.text.rstrip("\r\n") + "\n")
        except SqloraError as error:
            if not self._complained:
                self._complained = True
                self._messages.append(f"its log cannot be followed: {error.message}")
        self._began = True
        if not caught_up:
            self._messages = self._messages[-CAUGHT_UP:]
        return self._seen

    def messages(self) -> list[str]:
        """Those that nobody has seen yet."""
        found, self._messages = self._messages, []
        return found

    def _begin(self) -> None:
        if not self._began:
            self._folder.mkdir(parents=True, exist_ok=True)
            for name in (LOG_NAME, FILE_NAME):
                (self._folder / name).unlink(missing_ok=True)

    def _take(self, line: Line, metrics: MetricsLog) -> None:
        before = (self._seen.step, self._seen.loss, self._seen.validation_loss)
        if not self._seen.take(line):
            self._messages.append(message_of(line))
        if (self._seen.step, self._seen.loss, self._seen.validation_loss) != before:
            metrics.write({"phase": self._seen.phase, **self._seen.as_dict(), "step": self._seen.step or 0})


def tail(log: TrainingLog) -> Seen:
    """What the last lines say; nothing, if they cannot be read."""
    seen = Seen()
    try:
        for line in log.tail():
            seen.take(line)
    except SqloraError:
        pass
    return seen
