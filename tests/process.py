"""``sqlora serve`` as a process of its own, over a project whose adapters are random numbers."""

from __future__ import annotations

import json
import math
import os
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import boto3
import psutil
from botocore.config import Config
from openai import OpenAI

from sqlora.backends.local import LocalBackend
from sqlora.models.base import BaseModel, resolve_base_model
from sqlora.project import Project, load_project

START_SECONDS = 120.0


def make_project(folder: Path, base_model: str = "smollm2-135m", **serve: Any) -> Project:
    """A project without data or database; ``serve`` goes into its table of that name."""
    folder.mkdir(parents=True, exist_ok=True)
    settings = "".join(f"{key} = {json.dumps(value)}\n" for key, value in serve.items())
    (folder / "sqlora.toml").write_text(
        f'[project]\nname = "soak"\n[train]\nbase_model = {json.dumps(base_model)}\n[serve]\n{settings}'
    )
    return load_project(folder, environ={})


def random_adapter(
    folder: Path, base: BaseModel, seed: int, *, rank: int = 16, size: float = 0.02, system: str = ""
) -> Path:
    """An adapter for all linear layers, as training writes it; the elements of B have ``size`` as their deviation."""
    import torch
    from safetensors import safe_open

    from sqlora.models.adapter import save_adapter
    from sqlora.models.lora import TARGETS, peft_name

    generator = torch.Generator().manual_seed(seed)
    tensors: dict[str, torch.Tensor] = {}
    for file in sorted(base.folder.glob("*.safetensors")):
        with safe_open(file, "pt") as stored:
            for name in sorted(stored.keys()):
                layer = name.removesuffix(".weight")
                if layer.rpartition(".")[2] in TARGETS:
                    outputs, inputs = stored.get_slice(name).get_shape()
                    bound = 1 / math.sqrt(inputs)
                    a = torch.empty(rank, inputs).uniform_(-bound, bound, generator=generator)
                    tensors[peft_name(layer, "A")] = a
                    tensors[peft_name(layer, "B")] = torch.randn(outputs, rank, generator=generator) * size
    config = {"r": rank, "lora_alpha": 2 * rank, "target_modules": list(TARGETS)}
    save_adapter(folder, tensors, config, {"base_model": base.name, "base_sha256": base.sha256, "system": system})
    return folder


def deploy(project: Project, systems: Sequence[str], *, rank: int = 16, size: float = 0.02) -> list[str]:
    """One random adapter and a deployment of it for each system text; returns the deployments' names."""
    base = resolve_base_model(project.train.base_model)
    names = [f"shop-{number:02}" for number in range(len(systems))]
    with LocalBackend(project) as backend:
        for seed, (name, system) in enumerate(zip(names, systems, strict=True)):
            model = backend.state.models.create(f"{name}-model", base_model=base.name)
            random_adapter(backend.paths.path / model.folder, base, seed, rank=rank, size=size, system=system)
            backend.create_deployment(model.id, name)
    return names


class ServerProcess:
    """The command ``sqlora serve`` in a project; its log goes to ``log``. Ended when the ``with`` is left."""

    def __init__(self, project: Project, log: Path, *options: str, environ: Mapping[str, str] | None = None) -> None:
        self._command = [sys.executable, "-m", "sqlora", "-C", str(project.folder), "serve", "--json", *options]
        self._environ = {**os.environ, **(environ or {})}
        self.log, self.url, self._port = log, "", 0
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> str:
        """The URL, once it answers; the same port as before, if it ran before."""
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                [*self._command, "--port", str(self._port)],
                stdout=subprocess.PIPE, stderr=log, text=True, env=self._environ,
            )  # fmt: skip
        assert self.process.stdout is not None
        shown = ""
        for line in self.process.stdout:
            shown += line
            try:
                self.url = json.loads(shown)["url"]
            except ValueError:
                continue
            self._port = int(self.url.rsplit(":", 1)[1])
            return self.url
        raise AssertionError(f"the server ended: {shown}\n{self.log.read_text()[-4000:]}")

    def kill(self) -> None:
        """SIGKILL: nothing is finished, nothing is written."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self._reap()

    def stop(self) -> None:
        """SIGTERM, and the orderly end."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(START_SECONDS)
        finally:
            self.process.kill()
            self._reap()

    def _reap(self) -> None:
        assert self.process is not None
        self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()
        self.process = None

    def rss(self) -> int | None:
        """Resident memory, bytes; None while it does not run."""
        try:
            return int(psutil.Process(self.process.pid).memory_info().rss) if self.process else None
        except psutil.NoSuchProcess:
            return None

    def __enter__(self) -> ServerProcess:
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self.process is not None:
            self.stop()


def boto_client(url: str, service: str = "bedrock-runtime", session: Any = None, **config: Any) -> Any:
    """A boto3 client that tries once and is patient, unless ``config`` says otherwise."""
    session = session or boto3.Session("AKIDEXAMPLE", "secret", region_name="us-east-1")
    settings = {"retries": {"total_max_attempts": 1}, "read_timeout": 600, **config}
    return session.client(service, endpoint_url=url, config=Config(**settings))


def openai_client(url: str) -> OpenAI:
    """An openai client that tries once and is patient."""
    return OpenAI(base_url=f"{url}/v1", api_key="any", max_retries=0, timeout=600)


def machine() -> dict[str, Any]:
    """What figures were measured on."""
    import torch

    from sqlora.models.precision import choose_precision

    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    return {
        "processor": model or platform.processor(),
        "cores": os.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 2**30, 1),
        "system": platform.platform(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "precision": choose_precision().reason,
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }
