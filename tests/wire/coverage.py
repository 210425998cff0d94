"""What the wire suite covers, as docs/reference/wire.md: python -m tests.wire.coverage > docs/reference/wire.md"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.wire.cannot import REFUSED, RULES, Rule, everything_declared, rule
from tests.wire.judge import model
from tests.wire.record import OK, OPENAI, OPENAI_ERRORS, RECORD_FILE, Outcome
from tests.wire.served import SERVICES, declared, others, served

DOCUMENT = Path(__file__).parents[2] / "docs" / "reference" / "wire.md"
OPENAI_OPERATIONS = {
    "models.list": "GET /v1/models",
    "models.retrieve": "GET /v1/models/{model}",
    "chat.completions.create": "POST /v1/chat/completions",
}
OPENAI_DECLARED = (*sorted({*OPENAI_ERRORS.values()} - {"APIStatusError"}), "InternalServerError")
TITLES = {
    "bedrock": "Bedrock",
    "bedrock-runtime": "Bedrock Runtime",
    "sagemaker": "SageMaker",
    "service-quotas": "Service Quotas",
}
SHOWN = 40  # operations without a handler that are named; of more only the number is

HEAD = """# What is served on the wire

Generated from a run of `tests/wire`, which asks a live server by unmodified boto3 and openai clients and judges every
answer by botocore's own model (required members, types, patterns, enumerations, statuses):

    python -m tests.wire.coverage > docs/reference/wire.md

*Exercised* are the errors that the suite has provoked: those that the operation's model declares, then, in italics,
others that any AWS service may give. A number stands for a declared error that cannot happen here; the reasons are
below. Operations of a service's model that are not listed are answered with UnknownOperationException, 404.
"""


def expected() -> list[Outcome]:
    """All that must be seen or have its reason: a success of each operation, and each error declared."""
    successes = [(*key, OK) for key in served() if key not in REFUSED]
    chat = [(OPENAI, name, error) for name in OPENAI_OPERATIONS for error in (OK, *OPENAI_DECLARED)]
    return [*successes, *everything_declared(), *chat]


def missing(seen: set[Outcome]) -> list[Outcome]:
    """What was neither exercised nor is known not to happen."""
    return [each for each in expected() if each not in seen and rule(*each) is None]


def surprising(seen: set[Outcome]) -> list[Outcome]:
    """What has happened though a rule for this very operation says that it cannot, or though it is always refused."""
    named = [each for each in expected() if each in seen and (found := rule(*each)) and found[1]]
    return named + [(*key, OK) for key in REFUSED if (*key, OK) in seen]


def superfluous(seen: set[Outcome]) -> list[Rule]:
    """Rules without which nothing would be missing."""
    needed = [rule(*each) for each in expected() if each not in seen]
    return [each for each in RULES if each not in needed]


def render(seen: set[Outcome]) -> str:
    """The document."""
    reasons: list[str] = []
    parts = [HEAD]
    for service in SERVICES:
        parts.append(f"## {TITLES[service]}\n")
        parts.append("\n".join(_table(_aws_rows(service, seen, reasons))) + "\n")
        parts.append(_rest_of(service))
    parts.append("## OpenAI\n")
    parts.append("\n".join(_table(_openai_rows(seen, reasons))) + "\n")
    parts.append("## Errors that cannot happen here\n")
    parts.append("\n".join(f"{number}. {why}" for number, why in enumerate(reasons, 1)) + "\n")
    return "\n".join(parts)


def _table(rows: Iterator[tuple[str, ...]]) -> Iterator[str]:
    yield "| operation | method and path | answered | errors exercised | cannot happen |"
    yield "|---|---|---|---|---|"
    for row in rows:
        yield f"| {' | '.join(row)} |"


def _aws_rows(service: str, seen: set[Outcome], reasons: list[str]) -> Iterator[tuple[str, ...]]:
    for of, operation in served():
        if of == service:
            http = model(service).operation_model(operation).http
            answered = REFUSED.get((of, operation), f"served, {http.get('responseCode', 200)}")
            names = list(declared(service, operation))
            route = f"`{http['method']} {http['requestUri']}`"
            if model(service).protocol == "json":
                route = f"`{model(service).metadata['targetPrefix']}.{operation}`"
            yield operation, route, answered, *_errors(service, operation, names, seen, reasons)


def _openai_rows(seen: set[Outcome], reasons: list[str]) -> Iterator[tuple[str, ...]]:
    for operation, route in OPENAI_OPERATIONS.items():
        errors = _errors(OPENAI, operation, list(OPENAI_DECLARED), seen, reasons)
        yield f"`{operation}`", f"`{route}`", "served, 200", *errors


def _errors(service: str, operation: str, names: list[str], seen: set[Outcome], reasons: list[str]) -> tuple[str, str]:
    happened = {error for of, name, error in seen if (of, name) == (service, operation)} - {OK}
    own = sorted(happened & set(names))
    common = [f"*{error}*" for error in sorted(happened - set(names))]
    never = []
    for error in sorted(set(names) - happened):
        found = rule(service, operation, error)
        why = found[3] if found else "not exercised"
        if why not in reasons:
            reasons.append(why)
        never.append(f"{error} ({reasons.index(why) + 1})")
    return ", ".join([*own, *common]), ", ".join(never)


def _rest_of(service: str) -> str:
    names = others(service)
    if len(names) > SHOWN:
        return f"The other {len(names)} operations: UnknownOperationException.\n"
    return f"UnknownOperationException: {', '.join(sorted(names))}.\n" if names else ""


def main() -> int:
    """Run the suite and print the document; the suite's exit code."""
    here = Path(__file__).parent
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "seen.json"
        # Not in this process: pytest wants to be there before what it tests is imported.
        command = [sys.executable, "-m", "pytest", "tests/wire", "--deselect", "tests/wire/test_coverage.py"]
        environment = {**os.environ, RECORD_FILE: str(file)}
        code = subprocess.run(command, cwd=here.parents[1], stdout=sys.stderr, env=environment).returncode
        seen = {(service, operation, outcome) for service, operation, outcome in json.loads(file.read_text())}
    print(render(seen), end="")
    return code


if __name__ == "__main__":
    sys.exit(main())
