"""Deployments on a vLLM server: loaded, asked, lost with a restart, loaded again, deleted; and every way to fail."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sqlora.backends.base import Backend, TrainingRequest
from sqlora.backends.everywhere import Everywhere
from sqlora.backends.local import LocalBackend
from sqlora.backends.vllm import VllmBackend
from sqlora.backends.vllm.server import Server
from sqlora.engines.base import Completion, Delta, Sampling
from sqlora.errors import (
    AccountError,
    ConfigError,
    ConflictError,
    ContextError,
    ModelError,
    NotFoundError,
    ServiceError,
    SqloraError,
)
from sqlora.platform.models import CustomModel
from sqlora.project import load_project
from sqlora.prompting import conversation, record
from sqlora.train.recipe import Recipe
from tests.conformance.echo import echo_adapter
from tests.conformance.workplace import SYSTEM, add_model, open_backend, write_project
from tests.unit.backends.vllm.server import BASE, Fake, running

QUESTION = record(SYSTEM, "how many regions?")


class Shop:
    """A project with one custom model, and a vLLM server."""

    def __init__(self, folder: Path, fake: Fake) -> None:
        self.folder, self.fake = folder, fake
        write_project(folder)
        self.local: LocalBackend
        self.local, _ = open_backend(folder)
        self.model = self.add("retail")

    def add(self, name: str, **config: Any) -> CustomModel:
        model = add_model(self.local, name)
        (self.source(model) / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", **config}))
        return model

    def source(self, model: CustomModel) -> Path:
        return self.local.paths.path / model.folder

    def backend(self, **settings: object) -> VllmBackend:
        overrides = {"vllm.url": self.fake.url, **{f"vllm.{key}": value for key, value in settings.items()}}
        project = load_project(self.folder, overrides, {})
        return VllmBackend(project, self.local.state, lambda url: Server(url, retries=0))


@pytest.fixture
def fake() -> Iterator[Fake]:
    with running() as fake:
        yield fake


@pytest.fixture
def shop(tmp_path: Path, fake: Fake) -> Iterator[Shop]:
    made = Shop(tmp_path, fake)
    with made.local:
        yield made


def answer(backend: Backend, deployment: str, sampling: Sampling | None = None) -> Completion:
    *_, last = backend.converse(deployment, QUESTION, sampling)
    assert isinstance(last, Completion)
    return last


def test_it_is_a_backend(shop: Shop) -> None:
    backend: Backend = shop.backend()
    assert backend.capabilities.backend == "vllm"
    with pytest.raises(ConfigError, match="does not train"):
        backend.submit_training(TrainingRequest("any", Recipe()))
    assert (backend.jobs(), backend.models()) == ([], [])
    for call in (
        backend.job,
        backend.stop,
        backend.model,
        backend.delete_model,
        backend.deployment,
        backend.delete_deployment,
    ):
        with pytest.raises(NotFoundError, match="nowhere"):
            call("nowhere")


def test_deploy_ask_delete(shop: Shop) -> None:
    backend = shop.backend()
    deployment = backend.create_deployment("retail", "shop")
    assert (deployment.status, deployment.backend, deployment.model_id) == ("Active", "vllm", shop.model.id)
    assert shop.fake.loras["shop"].path == str(shop.source(shop.model))  # its own files, nothing copied
    assert backend.deployments() == [deployment] == [backend.deployment(deployment.id)]
    assert backend.create_deployment("retail", "shop") == deployment

    *deltas, last = backend.converse("shop", QUESTION)
    assert isinstance(last, Completion)
    assert (
        last.text == "".join(delta.text for delta in deltas if isinstance(delta, Delta)) == "retail: how many regions?"
    )
    assert sum(delta.tokens for delta in deltas if isinstance(delta, Delta)) == len(last.text) == last.output_tokens - 1
    assert last.stop_reason == "end_turn"
    assert answer(backend, "base").text == "base: how many regions?"

    backend.delete_deployment("shop")
    assert shop.fake.loras == {}
    assert backend.resources() == []
    with pytest.raises(NotFoundError, match="'shop'"):
        answer(backend, "shop")


def test_usage_is_on_the_books_before_the_completion_under_the_request_id_that_was_sent(shop: Shop) -> None:
    backend = shop.backend()
    backend.create_deployment("retail", "shop")
    for piece in backend.converse("shop", QUESTION, caller="dashboard"):
        if isinstance(piece, Completion):
            [row] = shop.local.state.usage.list(deployment="shop")
            assert (row.caller, row.backend) == ("dashboard", "vllm")
            assert (row.input_tokens, row.output_tokens) == (piece.input_tokens, piece.output_tokens)
            assert row.cached_tokens == piece.cached_tokens == piece.input_tokens // 2
            assert row.request_id == shop.fake.request_ids[-1]
            assert row.first_token_seconds is not None
            assert row.first_token_seconds <= row.seconds


def test_an_abandoned_answer_ends_on_the_server_and_is_booked_with_what_it_took(shop: Shop) -> None:
    backend = shop.backend()
    backend.create_deployment("retail", "shop")
    asked = record(SYSTEM, "x" * 3000)
    pieces = backend.converse("shop", asked, Sampling(max_tokens=1000))
    first = next(pieces)
    assert isinstance(first, Delta)
    pieces.close()
    assert shop.fake.aborted.wait(10)
    [row] = shop.local.state.usage.list(deployment="shop")
    assert (row.output_tokens, row.input_tokens) == (first.tokens, backend.count_tokens("shop", asked))

    shop.fake.aborted.clear()
    backend.converse("shop", asked, Sampling(max_tokens=1000)).close()  # before the first piece
    assert shop.fake.aborted.wait(10)
    assert len(shop.local.state.usage.list(deployment="shop")) == 1


def test_every_setting_of_the_sampling_is_sent_so_that_no_default_of_the_server_changes_an_answer(shop: Shop) -> None:
    backend = shop.backend()
    backend.create_deployment("retail")
    answer(backend, "retail")
    sent = shop.fake.asked[-1]
    assert {key: sent[key] for key in ("temperature", "top_p", "top_k", "min_p", "repetition_penalty")} == {
        "temperature": 0.0, "top_p": 1.0, "top_k": -1, "min_p": 0.0, "repetition_penalty": 1.0
    }  # fmt: skip
    assert not {"seed", "stop"} & set(sent)
    answer(backend, "retail", Sampling(temperature=0.5, top_p=0.9, top_k=40, seed=7, stop=(";",)))
    sent = shop.fake.asked[-1]
    assert [sent[key] for key in ("temperature", "top_p", "top_k", "seed", "stop")] == [0.5, 0.9, 40, 7, [";"]]


def test_why_an_answer_ended(shop: Shop) -> None:
    backend = shop.backend()
    backend.create_deployment("retail")
    assert answer(backend, "retail", Sampling(max_tokens=4)).stop_reason == "max_tokens"
    stopped = answer(backend, "retail", Sampling(stop=("many",)))
    assert (stopped.stop_reason, stopped.text) == ("stop_sequence", "retail: how ")


def test_a_question_without_a_system_text_gets_that_of_the_training_data(shop: Shop) -> None:
    backend = shop.backend()
    backend.create_deployment("retail")
    assert backend.system("retail") == SYSTEM
    list(backend.converse("retail", {"messages": [{"role": "user", "content": [{"text": "and?"}]}]}))
    assert shop.fake.asked[-1]["messages"] == [
        {"role": "system", "content": SYSTEM},
        {"role": "user", "content": "and?"},
    ]
    list(backend.converse("retail", conversation("own", ["a?", "SELECT 1", "b?"])))
    assert [turn["content"] for turn in shop.fake.asked[-1]["messages"]] == ["own", "a?", "SELECT 1", "b?"]


def test_a_batch_is_the_single_answers_in_their_order(shop: Shop) -> None:
    backend = shop.backend()
    backend.create_deployment("retail")
    records = [record(SYSTEM, f"question {number}?") for number in range(40)]
    found = backend.converse_batch("retail", records, caller="test")
    assert [completion.text for completion in found] == [f"retail: question {number}?" for number in range(40)]
    assert backend.converse_batch("retail", []) == []
    [total] = shop.local.state.usage.summary(())
    assert (total.requests, total.output_tokens) == (40, sum(completion.output_tokens for completion in found))


def test_several_beams(shop: Shop) -> None:
    backend = shop.backend()
    backend.create_deployment("retail")
    [found] = backend.converse_batch("retail", [QUESTION], Sampling(beams=3))
    assert found.text == "retail: how many regions?"
    assert found.alternatives == (f"{found.text} or 1", f"{found.text} or 2")
    assert found.output_tokens == sum(len(text) for text in (found.text, *found.alternatives))
    assert found.seconds > 0
    assert shop.fake.asked[-1]["n"] == 3


def test_what_is_too_long_is_refused_and_an_answer_without_room_is_cut(shop: Shop) -> None:
    backend = shop.backend()
    backend.create_deployment("retail")
    with pytest.raises(ContextError, match=r"the model reads 4,096"):
        list(backend.converse("retail", record(SYSTEM, "x" * 5000)))
    used = backend.count_tokens("retail", QUESTION)
    shop.fake.context = used + 6
    cut = answer(backend, "retail", Sampling(max_tokens=100))
    assert (cut.text, cut.stop_reason) == ("retail", "max_tokens")


def test_a_server_that_was_restarted_is_given_the_adapter_again(shop: Shop) -> None:
    backend = shop.backend()
    backend.create_deployment("retail", "shop")
    shop.fake.restart()
    assert backend.deployment("shop").status == "Active"
    assert answer(backend, "shop").text == "retail: how many regions?"
    shop.fake.restart()
    assert len(backend.converse_batch("shop", [QUESTION] * 8)) == 8


def test_names_are_unique_and_a_model_in_use_stays(shop: Shop) -> None:
    backend = shop.backend()
    shop.local.create_deployment("retail", "here")
    with pytest.raises(ConflictError, match="'here'"):
        backend.create_deployment("retail", "here")
    shop.add("other")
    backend.create_deployment("retail", "shop")
    with pytest.raises(ConflictError, match="'shop'"):
        backend.create_deployment("other", "shop")
    with pytest.raises(ConflictError, match="the untuned base model"):
        backend.create_deployment("other", BASE)
    with pytest.raises(ConflictError, match="the untuned base model"):
        backend.create_deployment("other", "base")
    shop.local.delete_deployment("here")
    with pytest.raises(ConflictError, match="is deployed as shop"):
        shop.local.delete_model("retail")
    backend.delete_deployment("shop")
    shop.local.delete_model("retail")


def test_somebody_elses_adapter_is_neither_taken_over_nor_unloaded(shop: Shop, tmp_path: Path) -> None:
    theirs = shop.source(shop.add("theirs"))
    shop.fake.load({"lora_name": "shop", "lora_path": str(theirs)})
    backend = shop.backend()
    with pytest.raises(ConflictError, match=f"serves 'shop' from {theirs}"):
        backend.create_deployment("retail", "shop")
    assert backend.resources() == []
    planned = shop.local.state.ledger.plan(
        "vllm", "deployment", "shop",
        details={"model_id": shop.model.id, "url": shop.fake.url, "base": "b", "path": "/mine", "copy": None, "resolver": False},
    )  # fmt: skip
    backend.remove(planned)  # as after a process that died before it had the adapter loaded
    assert shop.fake.loras["shop"].path == str(theirs)


def test_behind_all_backends_of_the_project(shop: Shop) -> None:
    """As the command line sees it: beside a local deployment of the same model, and destroyed with all others."""
    project = load_project(shop.folder, {"vllm.url": shop.fake.url}, {})
    place = Everywhere(project, shop.local)
    place.create_deployment("retail", "here")
    place.create_deployment("retail", "there", backend="vllm")
    assert {(each.name, each.backend) for each in place.deployments()} == {("here", "local"), ("there", "vllm")}
    asked = [place.converse_batch(name, [QUESTION])[0].text for name in ("here", "there")]
    assert asked == ["retail: how many regions?"] * 2
    by = {row.deployment: row.backend for row in shop.local.state.usage.list()}
    assert by == {"here": "local", "there": "vllm"}
    with pytest.raises(ConflictError, match="there"):
        place.create_deployment("retail", "there")
    place.delete_deployment("here")
    with pytest.raises(ConflictError, match="is deployed as there"):
        place.delete_model("retail")
    [resource] = place.resources()
    place.remove(resource)
    assert (place.resources(), shop.fake.loras, place.deployments()) == ([], {}, [])
    place.delete_model("retail")


# a folder that both see ---------------------------------------------------------------------------------------


def test_adapters_are_copied_to_the_shared_folder_and_removed_with_the_deployment(shop: Shop, tmp_path: Path) -> None:
    there = tmp_path / "as the server sees it"
    volume = tmp_path / "volume"
    volume.mkdir()
    there.symlink_to(volume)
    backend = shop.backend(folder=str(volume), server_folder=str(there))
    backend.create_deployment("retail", "shop")
    assert shop.fake.loras["shop"].path == f"{there}/shop"
    assert sorted(file.name for file in (volume / "shop").iterdir()) == [
        "adapter_config.json", "adapter_model.safetensors", "manifest.json"
    ]  # fmt: skip
    backend.delete_deployment("shop")
    assert list(volume.iterdir()) == []
    assert shop.source(shop.model).is_dir()


def test_a_folder_of_somebody_else_is_left_alone(shop: Shop, tmp_path: Path) -> None:
    (tmp_path / "volume/shop").mkdir(parents=True)
    backend = shop.backend(folder=str(tmp_path / "volume"))
    with pytest.raises(ConflictError, match="exists already"):
        backend.create_deployment("retail", "shop")
    assert (tmp_path / "volume/shop").is_dir()
    assert (backend.resources(), shop.fake.loras) == ([], {})


def test_a_fleet_finds_adapters_by_itself(tmp_path: Path) -> None:
    """Every replica looks into the folder when it is asked for a name it does not know; each may be asked."""
    volume = tmp_path / "volume"
    with running(cache_dir=volume) as fake:
        shop = Shop(tmp_path, fake)
        with shop.local:
            backend = shop.backend(folder=str(volume), resolver=True)
            backend.create_deployment("retail", "shop")
            assert fake.loras["shop"].path == str(volume / "shop")
            fake.restart()
            assert answer(backend, "shop").text == "retail: how many regions?"
            assert "POST /v1/load_lora_adapter" not in fake.calls
            backend.delete_deployment("shop")
            assert (fake.loras, list(volume.iterdir())) == ({}, [])


def test_a_fleet_that_does_not_look_is_found_out(shop: Shop, tmp_path: Path) -> None:
    backend = shop.backend(folder=str(tmp_path / "volume"), resolver=True)
    with pytest.raises(ModelError, match="does not find the adapter 'shop'") as caught:
        backend.create_deployment("retail", "shop")
    assert "lora_filesystem_resolver" in (caught.value.next_step or "")
    assert (list((tmp_path / "volume").iterdir()), backend.resources()) == ([], [])


# what goes wrong ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("old", [False, True])
def test_what_the_server_refuses_is_said_in_its_words_and_leaves_nothing(shop: Shop, old: bool) -> None:
    shop.fake.old_errors = old
    shop.add("wide", r=64)
    backend = shop.backend()
    with pytest.raises(ModelError, match="LoRA rank 64 is greater than max_lora_rank 16") as caught:
        backend.create_deployment("wide")
    assert "--max-lora-rank" in (caught.value.next_step or "")
    assert (backend.resources(), shop.fake.loras) == ([], {})


def test_a_folder_that_the_server_does_not_see(shop: Shop, tmp_path: Path) -> None:
    backend = shop.backend(folder=str(tmp_path / "volume"), server_folder="/elsewhere/")
    with pytest.raises(ModelError, match="it finds none at /elsewhere/retail") as caught:
        backend.create_deployment("retail")
    assert "server_folder" in (caught.value.next_step or "")
    assert list((tmp_path / "volume").iterdir()) == []


def test_a_server_that_does_not_load_at_run_time(shop: Shop) -> None:
    shop.fake.runtime = False
    with pytest.raises(ConfigError, match="does not load adapters at run time") as caught:
        shop.backend().create_deployment("retail")
    assert "VLLM_ALLOW_RUNTIME_LORA_UPDATING" in (caught.value.next_step or "")


def test_another_base_model_is_refused_before_anything_is_loaded(shop: Shop) -> None:
    other = shop.local.state.models.create("other", base_model="qwen2-0.5b")
    echo_adapter(shop.source(other), "other")
    with pytest.raises(ConfigError, match=f"serves {BASE}; the adapter was trained on qwen2-0.5b"):
        shop.backend().create_deployment(other.id)
    with pytest.raises(ConfigError, match=f"serves {BASE}, not elsewhere"):
        shop.backend(model="elsewhere").create_deployment("retail")
    assert shop.backend(model=BASE).create_deployment(other.id).status == "Active"  # the user says they are the same


def test_the_key_is_sent_and_never_shown(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.fake.key = "s3cret"
    monkeypatch.setenv("VLLM_API_KEY", "wr0ng")
    with pytest.raises(AccountError, match="does not accept the key") as caught:
        shop.backend().create_deployment("retail")
    assert "wr0ng" not in str(caught.value)
    monkeypatch.setenv("VLLM_API_KEY", "s3cret")
    assert shop.backend().create_deployment("retail").status == "Active"


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_server_that_fails_for_now(shop: Shop, status: int) -> None:
    backend = shop.backend()
    backend.create_deployment("retail")
    shop.fake.fail = [status]
    with pytest.raises(ServiceError, match=f"out of order.*{status}"):
        answer(backend, "retail")
    assert answer(backend, "retail").text == "retail: how many regions?"


@pytest.mark.parametrize("finish", ["abort", "error"])
def test_an_answer_that_the_server_gives_up(shop: Shop, finish: str) -> None:
    backend = shop.backend()
    backend.create_deployment("retail")
    shop.fake.finish = finish
    with pytest.raises(ServiceError, match="in the middle of an answer"):
        answer(backend, "retail")


def test_an_answer_that_breaks_off(shop: Shop) -> None:
    backend = shop.backend()
    backend.create_deployment("retail")
    shop.fake.break_off = 3
    with pytest.raises(ServiceError, match="the vLLM server at"):
        answer(backend, "retail")
    [row] = shop.local.state.usage.list(deployment="retail")
    assert row.output_tokens == 6


def test_a_server_that_is_not_there(shop: Shop) -> None:
    backend = shop.backend()
    backend.create_deployment("retail")
    with running() as gone:
        pass
    elsewhere = shop.backend(url=gone.url)
    with pytest.raises(ServiceError, match="does not answer"):
        elsewhere.create_deployment("retail", "other")
    assert elsewhere.resources() == backend.resources()  # nothing was planned
    assert answer(elsewhere, "retail").text == "retail: how many regions?"  # it stays where it was made


def test_a_server_that_has_gone_for_good_does_not_stop_a_deletion(tmp_path: Path) -> None:
    with running() as fake:
        shop = Shop(tmp_path, fake)
        backend = shop.backend(folder=str(tmp_path / "volume"))
        backend.create_deployment("retail")
    with shop.local:
        backend.delete_deployment("retail")
        assert (backend.resources(), list((tmp_path / "volume").iterdir())) == ([], [])


def test_a_deletion_that_failed_goes_on(shop: Shop) -> None:
    backend = shop.backend()
    backend.create_deployment("retail", "shop")
    shop.fake.fail = [503]
    with pytest.raises(ServiceError):
        backend.delete_deployment("shop")
    assert backend.deployment("shop").status == "Failed"
    with pytest.raises(ConflictError):
        answer(backend, "shop")
    with pytest.raises(ConflictError, match="is being deleted"):
        backend.create_deployment("retail", "shop")
    [row] = backend.resources()
    backend.remove(row)
    backend.remove(row)  # gone is gone
    assert (backend.resources(), shop.fake.loras) == ([], {})


# dying anywhere -----------------------------------------------------------------------------------------------


class Dies(BaseException):
    """The process ends here."""


def dying(shop: Shop, monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """The ``step``-th call to the server or write to the ledger is the last thing that happens: it is done, no more."""
    left = [step]

    def after(original: Any) -> Any:
        def call(*arguments: Any, **keywords: Any) -> Any:
            result = original(*arguments, **keywords)
            left[0] -= 1
            if left[0] == 0:
                raise Dies
            return result

        return call

    from sqlora.backends.vllm import backend

    for name in ("plan", "created", "deleting", "deleted"):
        monkeypatch.setattr(shop.local.state.ledger, name, after(getattr(shop.local.state.ledger, name)))
    for name in ("models", "load", "unload"):
        monkeypatch.setattr(Server, name, after(getattr(Server, name)))
    for name in ("publish", "withdraw"):
        monkeypatch.setattr(backend, name, after(getattr(backend, name)))


@pytest.mark.parametrize("step", range(1, 12))
def test_nothing_twice_and_nothing_left_wherever_the_process_dies(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, step: int
) -> None:
    volume = tmp_path / "volume"

    def whole_way() -> None:
        backend = shop.backend(folder=str(volume))
        backend.create_deployment("retail", "shop")
        backend.delete_deployment("shop")

    with monkeypatch.context() as patch:
        dying(shop, patch, step)
        try:
            whole_way()
            died = False
        except Dies:
            died = True
    assert died == (step <= 10), "the number of steps has changed"
    backend = shop.backend(folder=str(volume))
    assert set(shop.fake.loras) <= {row.name for row in backend.resources()}
    if backend.resources() and backend.resources()[0].status == "deleting":
        backend.remove(backend.resources()[0])
    else:
        backend.create_deployment("retail", "shop")
        assert answer(backend, "shop").text == "retail: how many regions?"
        assert len(backend.resources()) == 1
        backend.delete_deployment("shop")
    assert (shop.fake.loras, backend.resources(), [*volume.iterdir()]) == ({}, [], [])


def test_an_answer_lost_after_the_adapter_was_loaded(shop: Shop) -> None:
    backend = shop.backend()
    shop.fake.lose = ["/v1/load_lora_adapter"]
    with pytest.raises(ServiceError):
        backend.create_deployment("retail", "shop")
    assert backend.deployment("shop").status == "Creating"
    with pytest.raises(ConflictError, match="is Creating"):
        answer(backend, "shop")
    assert backend.create_deployment("retail", "shop").status == "Active"
    assert list(shop.fake.loras) == ["shop"]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"url": "ftp://x"}, "http:// or https://"),
        ({"url": "http://me:s3cret@x"}, "VLLM_API_KEY"),
        ({"resolver": True}, "need a folder"),
        ({"server_folder": "/x"}, "need a folder"),
    ],
)
def test_settings(tmp_path: Path, settings: dict[str, object], said: str) -> None:
    write_project(tmp_path)
    with pytest.raises(SqloraError, match=said) as caught:
        load_project(tmp_path, {f"vllm.{key}": value for key, value in settings.items()}, {})
    assert "s3cret" not in str(caught.value)


def test_the_address_may_be_given_as_openais_clients_have_it(tmp_path: Path) -> None:
    write_project(tmp_path)
    assert load_project(tmp_path, {"vllm.url": "http://gpu:8000/v1/"}, {}).vllm.url == "http://gpu:8000"
