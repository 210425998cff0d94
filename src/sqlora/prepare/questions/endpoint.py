"""Asks a model for words: Bedrock's Converse, or chat completions as OpenAI's, each through its own client.

The clients try again by themselves, with growing waits, where an endpoint throttles, fails or breaks off.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from sqlora.errors import AccountError, ConfigError, ServiceError, SqloraError

if TYPE_CHECKING:
    from sqlora.project import Project
    from sqlora.settings import WriterSection

ATTEMPTS = 5
CONNECT_SECONDS = 10.0
AGAIN = "run the same command again; answers so far are kept"


@dataclass(frozen=True)
class Request:
    """What a model is asked. ``max_tokens``: of the answer."""

    system: str
    user: str
    max_tokens: int
    temperature: float


@dataclass(frozen=True)
class Reply:
    """What it said; tokens are None where the endpoint does not count them."""

    text: str
    input_tokens: int | None = None
    output_tokens: int | None = None


class Endpoint(Protocol):
    """One model behind an address. Safe to use from several threads."""

    def ask(self, request: Request) -> Reply:
        """One answer. Raises ServiceError, AccountError or ConfigError."""

    def close(self) -> None:
        """Let go of the connections."""


def open_endpoint(section: WriterSection, project: Project) -> Endpoint:
    """The endpoint that ``[prepare.writer]`` names. ConfigError where its client or key is missing."""
    return Converse(section, project) if section.api == "bedrock" else Chat(section)


class Converse:
    """A model of Bedrock; credentials, region and profile as everywhere (``[aws]``)."""

    def __init__(self, section: WriterSection, project: Project) -> None:
        try:
            import boto3
            from botocore.config import Config
        except ModuleNotFoundError as error:
            raise ConfigError(f"Bedrock needs the package {error.name}", "pip install 'sqlora[aws]'") from error
        self._model = section.model
        config = Config(
            retries={"mode": "standard", "max_attempts": ATTEMPTS},
            connect_timeout=CONNECT_SECONDS,
            read_timeout=section.seconds,
        )
        try:
            session = boto3.Session(profile_name=project.aws.profile, region_name=project.aws.region)
            self._client: Any = session.client(
                "bedrock-runtime", endpoint_url=section.url or project.aws.endpoint_url, config=config
            )
        except Exception as error:  # botocore's errors share no base with boto3's
            raise self._translated(error) from error

    def ask(self, request: Request) -> Reply:
        """See `Endpoint.ask`."""
        try:
            found = self._client.converse(
                modelId=self._model,
                system=[{"text": request.system}],
                messages=[{"role": "user", "content": [{"text": request.user}]}],
                inferenceConfig={"maxTokens": request.max_tokens, "temperature": request.temperature},
            )
        except Exception as error:
            raise self._translated(error) from error
        blocks = found.get("output", {}).get("message", {}).get("content", [])
        usage = found.get("usage", {})
        text = "".join(block.get("text", "") for block in blocks)
        return Reply(text, usage.get("inputTokens"), usage.get("outputTokens"))

    def close(self) -> None:
        """See `Endpoint.close`."""
        self._client.close()

    def _translated(self, error: Exception) -> Exception:
        """sqlora's error for one of botocore's; any other as it is."""
        from botocore.exceptions import BotoCoreError, ClientError, ConnectionError, HTTPClientError, NoCredentialsError

        doing = f"cannot ask {self._model!r} for questions: "
        if isinstance(error, ClientError):
            code = error.response.get("Error", {}).get("Code", "")
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
            if status == 429 or status >= 500:
                return ServiceError(f"{doing}{error}", AGAIN)
            if status in (401, 403):
                return AccountError(f"{doing}{error}", "allow bedrock:InvokeModel on the model, or sign in again")
            return ConfigError(f"{doing}{error} ({code})", "correct model, url or [aws] region for [prepare.writer]")
        if isinstance(error, NoCredentialsError):
            return AccountError(f"{doing}there are no AWS credentials", "aws configure, or set AWS_PROFILE")
        if isinstance(error, HTTPClientError | ConnectionError):
            return ServiceError(f"{doing}{error}", AGAIN)
        if isinstance(error, BotoCoreError):
            return ConfigError(f"{doing}{error}", "correct [prepare.writer] and [aws] in sqlora.toml")
        return error


class Chat:
    """A model behind OpenAI's API, or one that speaks as it does (vLLM, Ollama, sqlora serve)."""

    def __init__(self, section: WriterSection) -> None:
        try:
            import openai
        except ModuleNotFoundError as error:
            what = f"an openai endpoint needs the package {error.name}"
            raise ConfigError(what, "pip install 'sqlora[vllm]'") from error
        key = os.environ.get(section.key_variable)
        if not key and section.url is None:
            raise ConfigError(f"the environment has no {section.key_variable}", f"export {section.key_variable}=…")
        self._model, self._key = section.model, section.key_variable
        self._client = openai.OpenAI(
            base_url=section.url,
            api_key=key or "none",  # a server of one's own often looks at none
            max_retries=ATTEMPTS - 1,
            timeout=section.seconds,
        )

    def ask(self, request: Request) -> Reply:
        """See `Endpoint.ask`."""
        import openai

        try:
            found = self._client.chat.completions.create(
                model=self._model,
                messages=[{"role": "system", "content": request.system}, {"role": "user", "content": request.user}],
                max_tokens=request.max_tokens,
                temperature=request.temperature,
            )
        except openai.APIStatusError as error:
            raise self._refused(error) from error
        except openai.OpenAIError as error:
            raise ServiceError(f"cannot ask {self._model!r} for questions: {error}", AGAIN) from error
        usage = found.usage
        text = (found.choices[0].message.content if found.choices else None) or ""
        return Reply(text, *((usage.prompt_tokens, usage.completion_tokens) if usage else (None, None)))

    def close(self) -> None:
        """See `Endpoint.close`."""
        self._client.close()

    def _refused(self, error: Any) -> SqloraError:
        message = f"cannot ask {self._model!r} for questions: {error.message} ({error.status_code})"
        if error.status_code in (401, 403):
            return AccountError(message, f"set {self._key} to a key that may ask this model")
        if error.status_code == 429 or error.status_code >= 500:
            return ServiceError(message, AGAIN)
        return ConfigError(message, "correct model or url in [prepare.writer]")
