"""What the OpenAI client raises → sqlora's errors: what was being done, what the server said, what to do about it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlora.errors import AccountError, ConfigError, ContextError, NotFoundError, ServiceError, SqloraError

KEY = "VLLM_API_KEY"  # the variable that the server itself reads its key from
GUIDE = "docs/how-to/fleet.md says how to start it"


class NotServed(NotFoundError):
    """The server has no model of that name, or not any more: what it loads at run time is gone after a restart."""


class NotThere(ServiceError):
    """Nothing listens at the address: whatever was loaded at run time is gone with the process."""


@contextmanager
def vllm_errors(doing: str, url: str) -> Iterator[None]:
    """Calls to the server go in here. ``doing`` completes "cannot …"."""
    import httpx2
    import openai

    try:
        yield
    except SqloraError:
        raise
    except openai.APIStatusError as error:
        raise translate(error, doing, url) from error
    except (openai.OpenAIError, httpx2.HTTPError) as error:
        kind = NotThere if _refused(error) else ServiceError
        raise kind(
            f"cannot {doing}: the vLLM server at {url} does not answer ({_cause(error)})",
            f"start it, or correct [vllm] url in sqlora.toml; {GUIDE}",
        ) from error


def said(error: Exception) -> str:
    """The server's own words, in any of the shapes that its versions give an error."""
    body = getattr(error, "body", None)
    if isinstance(body, dict):
        found = body.get("message") or body.get("detail")
        if isinstance(found, dict):
            found = found.get("message")
        if found:
            return str(found)
    return str(error)


def no_such_route(error: Exception) -> bool:
    """A 404 of the web framework: the server does not have the call at all."""
    body = getattr(error, "body", None)
    return isinstance(body, dict) and set(body) == {"detail"}


def translate(error: Exception, doing: str, url: str) -> SqloraError:
    """The error to show for an answer with a status of 400 or more."""
    status, words = int(getattr(error, "status_code", 0)), said(error)
    message = f"cannot {doing}: {words}"
    if status in (401, 403):
        return AccountError(f"cannot {doing}: the vLLM server at {url} does not accept the key", f"set {KEY}")
    if status == 404 and no_such_route(error):
        return ConfigError(f"cannot {doing}: {url} has no such call; is it a vLLM server?", "correct [vllm] url")
    if status == 404:
        return NotServed(message, "sqlora deployments list")
    if status == 429 or status >= 500:
        return ServiceError(f"{message} ({status})", "try again; the server was asked several times")
    if "context length" in words or "max_model_len" in words or "input tokens" in words:
        return ContextError(message, "ask with a shorter system text, schema or conversation")
    return ConfigError(message, GUIDE)


def _refused(error: BaseException) -> bool:
    """Whether the address says that nothing listens there; a time-out or a name that is not found may pass."""
    return isinstance(_innermost(error), ConnectionRefusedError) or "refused" in str(_innermost(error)).lower()


def _cause(error: BaseException) -> str:
    """The client's own message is "Connection error." and no more."""
    inner = _innermost(error)
    return str(inner) or type(inner).__name__


def _innermost(error: BaseException) -> BaseException:
    while (inner := error.__cause__ or error.__context__) is not None:
        error = inner
    return error
