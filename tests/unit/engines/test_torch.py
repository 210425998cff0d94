"""The reference engine against stock transformers and PEFT, on a tiny random model."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

from sqlora.engines.base import Completion, Delta, Request, Sampling
from sqlora.engines.beam import Search
from sqlora.engines.torch import TorchEngine
from sqlora.errors import ModelError, NotFoundError
from sqlora.models.adapter import save_adapter
from sqlora.models.base import resolve_base_model
from sqlora.models.lora import TARGETS, initialise, inject
from sqlora.models.precision import Precision
from tests.tiny import tiny_model

CONFIG = {
    "peft_type": "LORA", "task_type": "CAUSAL_LM", "base_model_name_or_path": "tiny", "r": 4, "lora_alpha": 16,
    "lora_dropout": 0.0, "target_modules": list(TARGETS), "bias": "none", "inference_mode": True,
}  # fmt: skip
PREFIX = tuple(b"store(store_id, city) ")


def random_adapter(folder: Path, base: Path, seed: int) -> Path:
    model = AutoModelForCausalLM.from_pretrained(base)
    parameters = initialise(inject(model), 4, 16, seed, "cpu")
    generator = torch.Generator().manual_seed(seed)
    tensors = {name: torch.randn(p.shape, generator=generator) * 0.5 for name, p in parameters.items()}
    save_adapter(folder, tensors, CONFIG, {"base_model": "tiny"})
    return folder


@pytest.fixture(scope="module")
def base_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="module")
def adapters(tmp_path_factory: pytest.TempPathFactory, base_folder: Path) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("adapters")
    return {name: random_adapter(folder / name, base_folder, seed) for name, seed in (("one", 1), ("two", 2))}


@pytest.fixture
def engine(base_folder: Path, adapters: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> TorchEngine:
    """In float32 on every machine: in bfloat16 the near-ties of a random model fall either way."""
    monkeypatch.setattr("sqlora.engines.torch.choose_precision", lambda: Precision("cpu", torch.float32, "a test"))
    engine = TorchEngine(resolve_base_model(str(base_folder)))
    for name, folder in adapters.items():
        engine.load_adapter(name, folder)
    return engine


def prompt(text: str) -> tuple[int, ...]:
    return PREFIX + tuple(text.encode())


def request(text: str, adapter: str | None = None, **sampling: object) -> Request:
    return Request(prompt(text), adapter, Sampling(**{"max_tokens": 24, **sampling}), len(PREFIX))  # type: ignore[arg-type]


def stock_tokens(base: Path, adapter: Path | None, text: str, count: int = 24) -> list[int]:
    model = AutoModelForCausalLM.from_pretrained(base)
    if adapter is not None:
        model = PeftModel.from_pretrained(model, adapter)
    ids = torch.tensor([prompt(text)])
    out = model.generate(
        input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=count, do_sample=False, eos_token_id=2,
        pad_token_id=2,
    )  # fmt: skip
    return out[0, ids.shape[1] :].tolist()


@pytest.mark.parametrize("adapter", [None, "one", "two"])
def test_greedy_answers_equal_those_of_stock_peft(
    engine: TorchEngine, base_folder: Path, adapters: dict[str, Path], adapter: str | None
) -> None:
    for text in ("how many?", "a much longer question about stores in a city"):
        tokens = stock_tokens(base_folder, adapters.get(adapter or ""), text)
        done = engine.generate([request(text, adapter)])[0]
        assert done.text == engine.tokenizer.decode(tokens, skip_special_tokens=True)
        assert done.output_tokens == len(tokens)


def test_a_batch_of_mixed_adapters_answers_each_as_if_alone(engine: TorchEngine) -> None:
    requests = [
        request(f"question {'x' * number} ?", adapter, max_tokens=5 + 7 * (number % 3))
        for number in range(9)
        for adapter in (None, "one", "two")
    ]
    together = engine.generate(requests)
    alone = [engine.generate([one])[0] for one in requests]
    assert [a.text for a in together] == [a.text for a in alone]
    assert len({a.text for a in together}) > 3  # the adapters do differ
    assert [a.output_tokens for a in together] == [a.output_tokens for a in alone]


def test_a_prefix_changes_the_cost_and_not_the_answer(engine: TorchEngine) -> None:
    whole = engine.generate([Request(prompt("q"), "one", Sampling(max_tokens=12), 0)])[0]
    first, second = (engine.generate([request("q", "one", max_tokens=12)])[0] for _ in range(2))
    assert whole.text == first.text == second.text
    assert (first.cached_tokens, second.cached_tokens) == (0, len(PREFIX))
    assert first.input_tokens == len(prompt("q"))


def test_a_prefix_kept_on_disk_is_only_taken_for_what_it_was_made_of(
    engine: TorchEngine, base_folder: Path, adapters: dict[str, Path], tmp_path: Path
) -> None:
    path = tmp_path / "prefix.safetensors"
    engine.save_prefix("one", PREFIX, path)
    expected = engine.generate([request("q", "one")])[0].text

    fresh = TorchEngine(resolve_base_model(str(base_folder)))
    for name, folder in adapters.items():
        fresh.load_adapter(name, folder)
    assert not fresh.load_prefix("two", PREFIX, path)
    assert not fresh.load_prefix("one", PREFIX[:-1], path)
    assert not fresh.load_prefix("one", PREFIX, tmp_path / "absent")
    assert fresh.load_prefix("one", PREFIX, path)
    done = fresh.generate([request("q", "one")])[0]
    assert done.text == expected
    assert done.cached_tokens == len(PREFIX)
    path.write_bytes(b"not a safetensors file")
    assert not fresh.load_prefix("one", PREFIX, path)


def test_streaming_gives_the_pieces_of_the_same_answer(engine: TorchEngine) -> None:
    items = list(engine.stream(request("tell me", "two")))
    done = items[-1]
    assert isinstance(done, Completion)
    assert "".join(item.text for item in items if isinstance(item, Delta)) == done.text
    assert done.text == engine.generate([request("tell me", "two")])[0].text
    assert 0 < done.first_token_seconds <= done.seconds


def test_a_stop_sequence_ends_the_answer_before_itself(engine: TorchEngine) -> None:
    whole = engine.generate([request("stop here", "one")])[0].text
    assert len(whole) > 4
    stop = whole[2:4]
    items = list(engine.stream(request("stop here", "one", stop=(stop,))))
    done = items[-1]
    assert isinstance(done, Completion)
    assert done.text == whole[: whole.index(stop)]
    assert done.stop_reason == "stop_sequence"
    assert "".join(item.text for item in items if isinstance(item, Delta)) == done.text


def test_sampling_repeats_with_its_seed_and_varies_without(engine: TorchEngine) -> None:
    def draw(seed: int, **more: object) -> str:
        return engine.generate([request("q", None, temperature=1.5, seed=seed, **more)])[0].text

    assert draw(1) == draw(1)
    assert len({draw(seed) for seed in range(5)}) > 1
    greedy = engine.generate([request("q")])[0].text
    assert draw(3, top_k=1) == greedy
    assert draw(4, top_p=0.0) == greedy


def test_an_adapter_that_is_not_loaded_or_does_not_fit_is_refused(engine: TorchEngine, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="three"):
        engine.generate([request("q", "three")])
    wrong = {"base_model.model.model.layers.0.self_attn.x_proj.lora_A.weight": torch.zeros(4, 32)}

    def save_and_load() -> None:
        save_adapter(tmp_path / "wrong", wrong, CONFIG, {"base_model": "tiny"})
        engine.load_adapter("wrong", tmp_path / "wrong")

    with pytest.raises(ModelError):
        save_and_load()
    engine.unload_adapter("one")
    assert engine.adapters() == ("two",)


def test_streams_read_in_turns_keep_their_own_adapters(engine: TorchEngine) -> None:
    expected = [engine.generate([request("in turns", name)])[0].text for name in ("one", "two")]
    streams = [engine.stream(request("in turns", name)) for name in ("one", "two")]
    texts = ["", ""]
    open_streams = {0, 1}
    while open_streams:
        for number in sorted(open_streams):
            item = next(streams[number], None)
            if item is None:
                open_streams.remove(number)
            elif isinstance(item, Delta):
                texts[number] += item.text
    assert texts == expected
    assert torch.is_grad_enabled()


def stock_score(base: Path, adapter: Path, text: str, answer: tuple[int, ...]) -> float:
    """log p(answer | prompt) by stock transformers and PEFT."""
    model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), adapter)
    with torch.no_grad():
        scores = model(input_ids=torch.tensor([[*prompt(text), *answer]])).logits[0].log_softmax(-1)
    first = len(prompt(text)) - 1
    return float(sum(scores[first + place, token] for place, token in enumerate(answer)))


def test_beams_score_as_stock_peft_does_and_the_best_comes_first(
    engine: TorchEngine, base_folder: Path, adapters: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    searches: list[Search] = []

    class Kept(Search):
        def __init__(self, width: int, ends: frozenset[int], max_tokens: int) -> None:
            super().__init__(width, ends, max_tokens)
            searches.append(self)

    monkeypatch.setattr("sqlora.engines.torch.Search", Kept)
    done = engine.generate([request("how many stores", "one", beams=6, max_tokens=6)])[0]
    [found] = searches
    assert len(found.finished) == 6
    for beam in found.finished:
        expected = stock_score(base_folder, adapters["one"], "how many stores", beam.tokens)
        assert beam.score == pytest.approx(expected, abs=1e-4)
    greedy = stock_tokens(base_folder, adapters["one"], "how many stores", 6)
    assert found.finished[0].score >= stock_score(base_folder, adapters["one"], "how many stores", tuple(greedy)) - 1e-4
    assert done.output_tokens == sum(len(beam.tokens) for beam in found.finished)
    assert done.text == engine.tokenizer.decode(list(found.finished[0].tokens), skip_special_tokens=True)
    assert len({done.text, *done.alternatives}) == 1 + len(done.alternatives) > 1


def test_beams_of_several_questions_are_those_of_each_alone(engine: TorchEngine) -> None:
    asked = [request(text, "two", beams=4, max_tokens=8) for text in ("a", "which stores", "how many stores are there")]
    together = [(done.text, done.alternatives) for done in engine.generate(asked)]
    assert together == [(done.text, done.alternatives) for one in asked for done in engine.generate([one])]


def test_beams_and_plain_requests_in_one_call(engine: TorchEngine) -> None:
    plain, wide = request("a", "one"), request("a", "one", beams=3)
    first, second, third = engine.generate([plain, wide, plain])
    assert (first.text, first.alternatives) == (third.text, ())
    assert second.alternatives
    *deltas, streamed = engine.stream(wide)
    assert deltas == []
    assert isinstance(streamed, Completion)
    assert (streamed.text, streamed.alternatives) == (second.text, second.alternatives)


# long prompts, memory and refusals ------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 700, 1100])
def test_a_prompt_read_in_chunks_is_answered_as_stock_peft_answers_it(
    engine: TorchEngine, base_folder: Path, adapters: dict[str, Path], size: int
) -> None:
    text = "which stores are in the city of " * 50  # 1,600 tokens, the prefix among them
    tokens = stock_tokens(base_folder, adapters["one"], text, 8)
    expected = engine.tokenizer.decode(tokens, skip_special_tokens=True)
    asked = Request(prompt(text), "one", Sampling(max_tokens=8), size)
    for _ in range(2):  # with the prefix computed, then at hand
        assert engine.generate([asked])[0].text == expected


def test_long_and_short_prompts_of_one_batch(engine: TorchEngine) -> None:
    texts = ["a", "x" * 600, "stores " * 200, "b" * 512]
    requests = [request(text, "two", max_tokens=6) for text in texts]
    alone = [engine.generate([one])[0].text for one in requests]
    assert [done.text for done in engine.generate(requests)] == alone


def test_prefixes_in_memory_are_bounded_in_bytes(base_folder: Path) -> None:
    engine = TorchEngine(resolve_base_model(str(base_folder)), prefix_bytes=20_000)
    one = engine.model.dtype.itemsize * len(PREFIX) * 2 * 2 * 2 * 8  # k and v, 2 layers, 2 heads of 8
    for number in range(20):
        tokens = (*PREFIX, number + 3)
        engine.generate([Request((*tokens, 9), None, Sampling(max_tokens=1), len(tokens))])
        assert engine.has_prefix(None, tokens)
        assert one < engine.prefixes.bytes <= 20_000
    assert not engine.has_prefix(None, (*PREFIX, 3))


def test_an_adapter_says_what_it_takes_and_gives_it_back(engine: TorchEngine, adapters: dict[str, Path]) -> None:
    tensors = engine._adapters["one"].tensors
    assert engine.load_adapter("one", adapters["one"]) == sum(tensor.nbytes for tensor in tensors.values())
    engine.generate([request("q", "one", max_tokens=1)])
    engine.unload_adapter("one")
    assert all(layer.update is None for layer in engine._layers.values())
    assert not engine.has_prefix("one", PREFIX)


def test_what_is_in_memory_does_not_hang_on_the_file(
    engine: TorchEngine, adapters: dict[str, Path], tmp_path: Path
) -> None:
    import shutil

    copy = shutil.copytree(adapters["one"], tmp_path / "copy")
    engine.load_adapter("copy", copy)
    before = engine.generate([request("q", "one")])[0].text
    weights = copy / "adapter_model.safetensors"
    weights.write_bytes(bytes(weights.stat().st_size))  # in place: a mapped file would change under the engine
    assert engine.generate([request("q", "copy")])[0].text == before


def test_a_matrix_of_another_width_is_refused_before_it_is_applied(engine: TorchEngine, tmp_path: Path) -> None:
    name = "base_model.model.model.layers.0.self_attn.q_proj.lora_{}.weight"
    save_adapter(
        tmp_path / "wide", {name.format("A"): torch.zeros(4, 33), name.format("B"): torch.zeros(32, 4)}, CONFIG, {}
    )
    with pytest.raises(ModelError, match=r"no place for: .*q_proj\.lora_A\.weight \[4, 33\]"):
        engine.load_adapter("wide", tmp_path / "wide")
    assert "wide" not in engine.adapters()


def test_a_prefix_file_without_a_word_about_itself_is_refused(engine: TorchEngine, tmp_path: Path) -> None:
    from safetensors.torch import save_file

    save_file({"k.0": torch.zeros(1)}, tmp_path / "bare")
    assert not engine.load_prefix("one", PREFIX, tmp_path / "bare")
    assert not engine.load_prefix("one", PREFIX, tmp_path)


def test_the_context_is_the_models(engine: TorchEngine) -> None:
    assert engine.context == 4096
