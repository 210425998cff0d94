"""Many threads, more adapters than there is room for, clients that go away: never another adapter's answer."""

from __future__ import annotations

import threading
from collections import Counter
from pathlib import Path
from random import Random

import pytest
import torch

from sqlora.backends.local import LocalBackend
from sqlora.backends.serving import Served
from sqlora.engines.base import Completion, Delta, Sampling
from sqlora.engines.residency import Residency
from sqlora.engines.torch import TorchEngine
from sqlora.models.adapter import save_adapter
from sqlora.models.base import resolve_base_model
from sqlora.models.lora import TARGETS, initialise, inject
from sqlora.models.precision import Precision
from sqlora.project import load_project
from sqlora.prompting import record
from tests.conformance.workplace import SYSTEM, add_model, open_backend, write_project
from tests.threads import together
from tests.tiny import tiny_model

NAMES = [f"model{number}" for number in range(6)]


def test_answers_rows_and_leases_under_evictions_and_abandonment(tmp_path: Path) -> None:
    write_project(tmp_path)
    residency = Residency(budget_bytes=2 * len(NAMES[0]), idle_seconds=0.0)
    backend, engine = open_backend(tmp_path, residency=residency)
    expected: Counter[tuple[str, str]] = Counter()
    lock = threading.Lock()

    def ask(random: Random, client: str, number: int) -> None:
        name = random.choice([*NAMES, "base"])
        answer = backend.converse(name, record(SYSTEM, f"{client} {number}?"), caller=client)
        wanted = random.choice([None, None, 0, 1, 5])
        text = f"{name}: {client} {number}?"
        if wanted is None:
            *deltas, last = answer
            assert isinstance(last, Completion)
            assert last.text == "".join(delta.text for delta in deltas if isinstance(delta, Delta)) == text
        else:
            for place in range(wanted):
                piece = next(answer)
                assert isinstance(piece, Delta)
                assert piece.text == text[place]
            answer.close()
        if wanted != 0:
            with lock:
                expected[client, name] += 1

    def work(number: int) -> None:
        random = Random(number)
        for turn in range(60):
            match random.randrange(8):
                case 0:
                    backend.sweep()
                case 1:
                    backend.unload(random.choice(NAMES))
                case 2:
                    [done] = backend.converse_batch(NAMES[turn % 6], [record(SYSTEM, "b?")], caller="batch")
                    assert done.text == f"{NAMES[turn % 6]}: b?"
                    with lock:
                        expected["batch", NAMES[turn % 6]] += 1
                case _:
                    ask(random, f"client{number}", turn)

    with backend:
        for name in NAMES:
            add_model(backend, name)
            backend.create_deployment(name)
        assert together(8, work) == []
        rows = backend.state.usage.summary(by=("caller", "deployment"))
        assert {(row.caller, row.deployment): row.requests for row in rows} == expected
        assert residency.evictions > 10
        assert sum(row.leases for row in residency.table()) == 0
        assert {row.key for row in residency.table()} == set(engine.adapters())
        assert residency.bytes <= residency.budget_bytes


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose base model is the tiny one, with a folder of adapters that answer differently."""
    folder = tmp_path_factory.mktemp("real")
    base = resolve_base_model(str(tiny_model(folder / "base")))
    write_project(folder, '[project]\nname = "larkspur"\n[train]\nbase_model = "./base"\n')
    for seed, name in enumerate(NAMES):
        generator = torch.Generator().manual_seed(seed)
        shapes = initialise(inject(base.load_model(torch.float32)), 4, 16, seed, "cpu")
        tensors = {key: torch.randn(p.shape, generator=generator) * 0.5 for key, p in shapes.items()}
        config = {"r": 4, "lora_alpha": 16, "target_modules": list(TARGETS)}
        save_adapter(folder / name, tensors, config, {"system": SYSTEM})
    return folder


def test_the_reference_engine_never_mixes_adapters(real: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sqlora.engines.torch.choose_precision", lambda: Precision("cpu", torch.float32, "a test"))
    engines: list[TorchEngine] = []

    def open_base(name: str) -> Served:
        engines.append(TorchEngine(resolve_base_model(name), prefix_bytes=60_000))  # room for two prefixes
        return Served(engines[-1], engines[-1].tokenizer)

    residency = Residency(budget_bytes=40_000, idle_seconds=0.0)  # and for two adapters
    with LocalBackend(load_project(real, environ={}), open_base, residency=residency) as backend:
        for name in NAMES:
            backend.import_model(name, real / name)
            backend.create_deployment(name)
        asked = record(SYSTEM, "how many?")
        sampling = Sampling(max_tokens=6)
        names = [*NAMES, "base"]
        expected = {name: backend.converse_batch(name, [asked], sampling)[0].text for name in names}
        assert len(set(expected.values())) == len(names)
        assert len(residency.table()) == 2

        def work(number: int) -> None:
            random = Random(number)
            for _ in range(12):
                name = random.choice(names)
                answer = backend.converse(name, asked, sampling)
                if random.random() < 0.3:
                    next(answer)
                    answer.close()
                else:
                    *_, last = answer
                    assert isinstance(last, Completion)
                    assert last.text == expected[name]

        assert together(6, work) == []
        [engine] = engines
        assert len(engine.adapters()) == len(residency.table()) <= 2
        assert engine.prefixes.bytes <= engine.prefixes.budget_bytes
        assert backend.state.usage.summary(by=())[0].requests == len(names) + 6 * 12
