"""Everything sqlora raises on purpose.

    SqloraError                  what went wrong, where, and the next step
    ├── FinalError               trying again without a change will fail again
    │   ├── ConfigError          sqlora.toml, environment, command line
    │   ├── DialectError         a dialect spec, or text that is not in the dialect (line, column, token)
    │   ├── SchemaError          DDL or a database whose schema cannot be read
    │   ├── DatabaseError        a database that is missing, or not what its URL says
    │   ├── QueryError           a query that the database refused
    │   │   └── QueryRejected    a query that sqlora refused to send (findings)
    │   ├── DatasetError         training or test data (file and line)
    │   ├── ModelError           a base model or an adapter: not found, wrong hash, wrong shape
    │   ├── ContextError         a conversation longer than the model can read
    │   ├── TrainingError        a run that cannot go on (loss not finite, out of memory)
    │   ├── AccountError         a cloud account that refuses: no credentials, no permission, a quota
    │   ├── NotFoundError        no such job, model, deployment or dataset
    │   └── ConflictError        the name is taken, or the thing is in use
    └── RetryableError           the same command may succeed later
        ├── BusyError            another process holds the database, the cache or the job
        ├── DownloadError        a fetch that was interrupted
        ├── ServiceError         a cloud service that throttles, fails or cannot be reached, or credentials that expired
        ├── QueryLimitError      a query over its time, row or memory limit
        └── InterruptedRunError  stopped by the user or a signal; the next run continues

Every message names the thing, the offending value and where it came from; ``next_step`` is the command or
action to take, and the command line prints it on a line of its own.
"""

from __future__ import annotations


class SqloraError(Exception):
    """Base of all errors meant for a user: a message, and optionally the next step to take."""

    def __init__(self, message: str, next_step: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.next_step = next_step

    def __str__(self) -> str:
        return f"{self.message}\n  next: {self.next_step}" if self.next_step else self.message


class FinalError(SqloraError):
    """Trying again without changing something will fail again."""


class RetryableError(SqloraError):
    """The same command may succeed later."""


class ConfigError(FinalError):
    """A setting in sqlora.toml, the environment or on the command line."""


class DialectError(FinalError):
    """A dialect spec that contradicts itself, or text that is not in the dialect.

    ``line`` and ``column`` are 1-based positions in the text (0 when unknown); ``token`` is the text at fault.
    """

    def __init__(
        self, message: str, next_step: str | None = None, *, line: int = 0, column: int = 0, token: str = ""
    ) -> None:
        super().__init__(message, next_step)
        self.line = line
        self.column = column
        self.token = token


class SchemaError(FinalError):
    """DDL or a database whose schema cannot be read."""


class DatabaseError(FinalError):
    """A database that is missing, unreadable or not what its URL says."""


class QueryError(FinalError):
    """A query that the database refused to run."""


class QueryRejected(QueryError):
    """A query that was not sent to the database; ``findings`` say why (`sqlora.sql.check.Finding`)."""

    def __init__(self, message: str, findings: tuple[object, ...] = (), next_step: str | None = None) -> None:
        super().__init__(message, next_step)
        self.findings = findings


class DatasetError(FinalError):
    """Training or test data at fault; the message names file and line."""


class ModelError(FinalError):
    """A base model or adapter that is missing, fails its hash, or has the wrong shape."""


class ContextError(FinalError):
    """A conversation that leaves no room for an answer in what the model can read.

    ``tokens``: what the conversation has (at least); ``context``: what prompt and answer may have together.
    """

    def __init__(self, message: str, next_step: str | None = None, *, tokens: int = 0, context: int = 0) -> None:
        super().__init__(message, next_step)
        self.tokens = tokens
        self.context = context


class TrainingError(FinalError):
    """A training run that cannot go on."""


class AccountError(FinalError):
    """A cloud account that refuses: no credentials, no permission, no access to a model, a quota."""


class NotFoundError(FinalError):
    """No job, model, deployment or dataset of that id or name."""


class ConflictError(FinalError):
    """The name is taken, or the thing is still in use."""


class BusyError(RetryableError):
    """Another process holds the database, the cache or the job."""


class DownloadError(RetryableError):
    """A fetch that was interrupted; nothing half-written was kept."""


class ServiceError(RetryableError):
    """A cloud service that throttles, fails or cannot be reached, or credentials that have expired."""


class QueryLimitError(RetryableError):
    """A query over its time, row or memory limit."""


class InterruptedRunError(RetryableError):
    """Stopped by the user or a signal; the next run continues where this one stopped."""
