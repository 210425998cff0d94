"""Whatever fails, and wherever a process dies: what is in the account is in the ledger, once, and can be taken away.

The account is the real server over HTTP, and is looked at by boto3 with nothing in between. Its training is cut short.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from sqlora.backends.aws.base import AwsBackend
from sqlora.backends.bedrock import BedrockBackend
from tests.conformance.desk import MODELS, Desk, hasty_server
from tests.conformance.trouble import FAULTS
from tests.wire.live import Live

EXAMPLES = int(os.environ.get("SQLORA_FAULT_EXAMPLES", "6"))  # each is a second or two; more of them now and then


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    with hasty_server(tmp_path_factory.mktemp("faults")) as running:
        yield running


@st.composite
def plans(draw: st.DrawFn) -> dict[int, str]:
    """Up to three faults, each of which may last for several operations: boto3 tries twice."""
    plan: dict[int, str] = {}
    for _ in range(draw(st.integers(0, 3))):
        first, fault = draw(st.integers(0, 30)), draw(st.sampled_from(FAULTS))
        for number in range(first, first + draw(st.integers(1, 3))):
            plan[number] = fault
    return plan


def there_and_back(desk: Desk, making: list[dict[int, str]], taking: list[dict[int, str]]) -> None:
    """A user gets an answer and takes all away, under each plan of faults in turn, then without."""
    for plan in making:
        desk.attempt(desk.make, plan)
        desk.check()
    desk.make()
    desk.check()
    assert [kind for kind, _ in desk.there()] == ["model", "deployment"]
    assert desk.ask("retail").text.startswith(desk.model_name("retail"))
    for plan in taking:
        desk.attempt(desk.destroy, plan)
        desk.check()
    desk.destroy()
    assert (desk.there(), desk.objects(), desk.backend.resources()) == ([], [], [])


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(plans(), min_size=1, max_size=6), st.lists(plans(), min_size=1, max_size=4))
def test_tried_again_and_again_it_is_done_once(
    server: Live,
    tmp_path_factory: pytest.TempPathFactory,
    making: list[dict[int, str]],
    taking: list[dict[int, str]],
) -> None:
    desk = Desk(server.url, tmp_path_factory.mktemp("once"))
    try:
        there_and_back(desk, making, taking)
        assert desk.made()[desk.model_name("retail")] == 1
    finally:
        desk.close()


class Life(RuleBasedStateMachine):
    """Any commands in any order, each with its troubles; at the end all is taken away, and nothing is left."""

    server: Live
    folder: Path
    make: type[AwsBackend] = BedrockBackend

    @initialize()
    def begin(self) -> None:
        self.desk = Desk(self.server.url, self.folder, self.make)

    @rule(name=st.sampled_from(MODELS), plan=plans())
    def train(self, name: str, plan: dict[int, str]) -> None:
        self.desk.attempt(lambda: self.desk.train(name), plan)

    @rule(name=st.sampled_from(MODELS), plan=plans())
    def stop(self, name: str, plan: dict[int, str]) -> None:
        def stop() -> None:
            job = self.desk.backend.matching_job(self.desk.request(name))
            if job is not None:
                self.desk.backend.stop(job.id)
                self.desk.backend.wait(job.id)

        self.desk.attempt(stop, plan)

    @rule(plan=plans())
    def deploy(self, plan: dict[int, str]) -> None:
        self.desk.attempt(lambda: self.desk.deploy("retail"), plan)

    @rule(plan=plans())
    def ask(self, plan: dict[int, str]) -> None:
        self.desk.attempt(lambda: self.desk.ask("retail"), plan)

    @rule(plan=plans())
    def remove_deployment(self, plan: dict[int, str]) -> None:
        self.desk.attempt(lambda: self.desk.backend.delete_deployment(self.desk.model_name("retail")), plan)

    @rule(plan=plans())
    def remove_model(self, plan: dict[int, str]) -> None:
        self.desk.attempt(lambda: self.desk.backend.delete_model(self.desk.model_name("retail")), plan)

    @rule(plan=plans())
    def forget_jobs(self, plan: dict[int, str]) -> None:
        def forget() -> None:
            for job in self.desk.backend.jobs():
                if job.ended:
                    self.desk.backend.delete_job(job.id)

        self.desk.attempt(forget, plan)

    @rule(plan=plans())
    def destroy(self, plan: dict[int, str]) -> None:
        self.desk.attempt(self.desk.destroy, plan)

    @invariant()
    def nothing_twice_and_nothing_orphaned(self) -> None:
        if hasattr(self, "desk"):
            self.desk.check()

    def teardown(self) -> None:
        if hasattr(self, "desk"):
            try:
                self.desk.destroy()
                assert (self.desk.there(), self.desk.objects(), self.desk.backend.resources()) == ([], [], [])
            finally:
                self.desk.close()


def test_any_life_leaves_nothing_behind(server: Live, tmp_path: Path) -> None:
    machine = type("BedrockLife", (Life,), {"server": server, "folder": tmp_path})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=EXAMPLES, stateful_step_count=10, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
