"""Every engine through one suite: what `sqlora.engines.base` says and no more."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from sqlora.engines.base import Completion, Delta, Engine, Request, Sampling
from sqlora.errors import ModelError, NotFoundError
from tests.conformance.echo import EchoEngine, echo_adapter


@dataclass(frozen=True)
class Kind:
    """An engine with adapters ``one`` and ``two`` loaded; ``fresh`` makes another over the same base."""

    fresh: Callable[[], Engine]
    folders: dict[str, Path]
    encode: Callable[[str], tuple[int, ...]]


def echo(folder: Path) -> Kind:
    folders = {name: echo_adapter(folder / name, f"weights of {name}") for name in ("one", "two")}
    return Kind(EchoEngine, folders, lambda text: tuple(EchoEngine().tokenizer(text)["input_ids"]))


def torch(folder: Path) -> Kind:
    import torch

    from sqlora.engines.torch import TorchEngine
    from sqlora.models.adapter import save_adapter
    from sqlora.models.base import resolve_base_model
    from sqlora.models.lora import TARGETS, initialise, inject
    from tests.tiny import tiny_model

    base = resolve_base_model(str(tiny_model(folder / "base")))
    folders = {}
    for seed, name in enumerate(("one", "two")):
        generator = torch.Generator().manual_seed(seed)
        shapes = initialise(inject(base.load_model(torch.float32)), 4, 16, seed, "cpu")
        tensors = {key: torch.randn(p.shape, generator=generator) * 0.5 for key, p in shapes.items()}
        folders[name] = folder / name
        config = {"r": 4, "lora_alpha": 16, "target_modules": list(TARGETS)}
        save_adapter(folders[name], tensors, config, {"base_sha256": base.sha256})
    tokenizer = base.load_tokenizer()
    return Kind(
        lambda: TorchEngine(base), folders, lambda text: tuple(tokenizer(text, add_special_tokens=False)["input_ids"])
    )


@pytest.fixture(scope="module", params=[echo, torch], ids=["echo", "torch"])
def kind(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Kind:
    made: Kind = request.param(tmp_path_factory.mktemp("engine"))
    return made


@pytest.fixture
def engine(kind: Kind) -> Engine:
    engine = kind.fresh()
    for name, folder in kind.folders.items():
        engine.load_adapter(name, folder)
    return engine


SYSTEM = "<system>region(region_id, region_name)<user>"


def ask(
    kind: Kind, question: str, adapter: str | None = None, max_tokens: int = 12, stop: tuple[str, ...] = ()
) -> Request:
    prompt = kind.encode(f"{SYSTEM}{question}<answer>")
    return Request(prompt, adapter, Sampling(max_tokens=max_tokens, stop=stop), len(kind.encode(SYSTEM)))


def text_of(engine: Engine, request: Request) -> str:
    return engine.generate([request])[0].text


def test_a_stream_is_the_answer_in_pieces(engine: Engine, kind: Kind) -> None:
    *deltas, last = engine.stream(ask(kind, "how many regions?", "one"))
    assert isinstance(last, Completion)
    assert all(isinstance(delta, Delta) for delta in deltas)
    assert "".join(delta.text for delta in deltas if isinstance(delta, Delta)) == last.text
    assert sum(delta.tokens for delta in deltas if isinstance(delta, Delta)) <= last.output_tokens
    assert 0 <= last.first_token_seconds <= last.seconds


def test_streamed_or_not_the_answer_is_the_same(engine: Engine, kind: Kind) -> None:
    request = ask(kind, "how many regions?", "two")
    *_, streamed = engine.stream(request)
    assert isinstance(streamed, Completion)
    assert engine.generate([request])[0].text == streamed.text


def test_tokens_are_counted(engine: Engine, kind: Kind) -> None:
    request = ask(kind, "how many regions?", max_tokens=5)
    done = engine.generate([request])[0]
    assert done.input_tokens == len(request.prompt)
    assert 1 <= done.output_tokens <= 5
    assert done.stop_reason == ("max_tokens" if done.output_tokens == 5 else "end_turn")


def test_a_batch_answers_each_as_if_alone_in_their_order(engine: Engine, kind: Kind) -> None:
    requests = [ask(kind, f"{'x' * n}?", adapter) for n in range(3) for adapter in (None, "one", "two")]
    alone = [text_of(engine, request) for request in requests]
    assert [done.text for done in engine.generate(requests)] == alone
    assert len(set(alone)) > 3, "adapters and questions make a difference"
    assert engine.generate([]) == []


def test_a_stop_sequence_ends_the_answer_before_itself(engine: Engine, kind: Kind) -> None:
    whole = text_of(engine, ask(kind, "how many regions?", "one"))
    stop = whole[4:6]
    done = engine.generate([ask(kind, "how many regions?", "one", stop=(stop,))])[0]
    assert (done.text, done.stop_reason) == (whole[: whole.index(stop)], "stop_sequence")


def test_the_prefix_is_computed_once_and_changes_nothing(engine: Engine, kind: Kind) -> None:
    first, second = ask(kind, "how many regions?", "one"), ask(kind, "which regions?", "one")
    without = [text_of(engine, replace(request, prefix=0)) for request in (first, second)]
    done = [engine.generate([request])[0] for request in (first, second)]
    assert [completion.text for completion in done] == without
    assert [completion.cached_tokens for completion in done] == [0, first.prefix]
    other_adapter = engine.generate([ask(kind, "how many regions?", "two")])[0]
    assert other_adapter.cached_tokens == 0


def test_a_saved_prefix_is_taken_by_another_process_of_the_same_kind(
    engine: Engine, kind: Kind, tmp_path: Path
) -> None:
    request, file = ask(kind, "how many regions?", "one"), tmp_path / "deep" / "prefix"
    prefix = request.prompt[: request.prefix]
    engine.save_prefix("one", prefix, file)
    assert [path.name for path in file.parent.iterdir()] == ["prefix"]
    fresh = kind.fresh()
    fresh.load_adapter("one", kind.folders["one"])
    assert fresh.load_prefix("one", prefix, file)
    done = fresh.generate([request])[0]
    assert (done.text, done.cached_tokens) == (text_of(engine, request), request.prefix)


def test_a_prefix_file_of_something_else_is_refused(engine: Engine, kind: Kind, tmp_path: Path) -> None:
    request, file = ask(kind, "how many regions?", "one"), tmp_path / "prefix"
    prefix = request.prompt[: request.prefix]
    assert not engine.load_prefix("one", prefix, file)
    engine.save_prefix("one", prefix, file)
    assert not engine.load_prefix("two", prefix, file)
    assert not engine.load_prefix(None, prefix, file)
    assert not engine.load_prefix("one", prefix[:-1], file)
    assert engine.load_prefix("one", prefix, file)


def test_it_knows_which_prefixes_are_in_memory(engine: Engine, kind: Kind, tmp_path: Path) -> None:
    request = ask(kind, "how many regions?", "one")
    prefix = request.prompt[: request.prefix]
    assert not engine.has_prefix("one", prefix)
    engine.generate([request])
    assert engine.has_prefix("one", prefix)
    assert not engine.has_prefix("two", prefix)
    engine.unload_adapter("one")
    assert not engine.has_prefix("one", prefix)
    engine.load_adapter("one", kind.folders["one"])
    engine.save_prefix("one", prefix, tmp_path / "prefix")
    assert engine.has_prefix("one", prefix)
    fresh = kind.fresh()
    fresh.load_adapter("one", kind.folders["one"])
    fresh.load_prefix("one", prefix, tmp_path / "prefix")
    assert fresh.has_prefix("one", prefix)


def test_it_tells_its_context_and_what_an_adapter_takes(engine: Engine, kind: Kind) -> None:
    assert engine.context > 100
    assert engine.load_adapter("one", kind.folders["one"]) > 0


def test_a_stream_may_be_read_by_threads_in_turn_and_given_up(engine: Engine, kind: Kind) -> None:
    request = ask(kind, "how many regions?", "one")
    expected = list(engine.stream(request))
    stream, got = engine.stream(request), list[object]()
    for _ in expected:
        thread = threading.Thread(target=lambda: got.append(next(stream)))
        thread.start()
        thread.join(60)
    assert "".join(piece.text for piece in got[:-1] if isinstance(piece, Delta)) == "".join(
        piece.text for piece in expected[:-1] if isinstance(piece, Delta)
    )
    abandoned = engine.stream(request)
    next(abandoned)
    abandoned.close()  # type: ignore[attr-defined]
    assert text_of(engine, request) == engine.generate([request])[0].text


def test_adapters_come_and_go(engine: Engine, kind: Kind) -> None:
    assert set(engine.adapters()) == {"one", "two"}
    before = text_of(engine, ask(kind, "how many regions?", "one"))
    engine.unload_adapter("one")
    engine.unload_adapter("one")
    assert engine.adapters() == ("two",)
    with pytest.raises(NotFoundError, match="'one' is not loaded"):
        engine.generate([ask(kind, "how many regions?", "one")])
    engine.load_adapter("one", kind.folders["one"])
    assert text_of(engine, ask(kind, "how many regions?", "one")) == before


def test_a_reloaded_adapter_does_not_use_the_prefix_of_its_predecessor(engine: Engine, kind: Kind) -> None:
    request = ask(kind, "how many regions?", "one")
    engine.generate([request])
    engine.unload_adapter("one")
    engine.load_adapter("one", kind.folders["two"])
    done = engine.generate([request])[0]
    assert (done.text, done.cached_tokens) == (text_of(engine, replace(request, adapter="two")), 0)


def test_a_folder_without_an_adapter(engine: Engine, tmp_path: Path) -> None:
    with pytest.raises(ModelError):
        engine.load_adapter("three", tmp_path)
    assert "three" not in engine.adapters()
