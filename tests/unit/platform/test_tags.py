"""Tags: added, changed, removed, bounded, and gone with what they were on."""

from __future__ import annotations

import pytest

from sqlora.errors import ConfigError
from sqlora.platform.state import State
from sqlora.platform.tags import MOST


def test_put_adds_and_changes_remove_takes_away(state: State) -> None:
    state.tags.put("job/a", {"team": "data", "cost": "7"})
    state.tags.put("job/a", {"team": "sales", "Team": ""})
    state.tags.put("job/b", {"team": "other"})
    assert state.tags.of("job/a") == {"Team": "", "cost": "7", "team": "sales"}
    state.tags.remove("job/a", ["cost", "nothing"])
    assert state.tags.of("job/a") == {"Team": "", "team": "sales"}
    state.tags.forget("job/a")
    assert state.tags.of("job/a") == {}
    assert state.tags.of("job/b") == {"team": "other"}


def test_the_201st_is_refused_and_none_of_its_call_is_added(state: State) -> None:
    state.tags.put("job/a", {str(n): "" for n in range(MOST - 1)})
    with pytest.raises(ConfigError, match="job/a would have 201 tags, and 200 are the most"):
        state.tags.put("job/a", {"one": "", "two": ""})
    assert len(state.tags.of("job/a")) == MOST - 1
    state.tags.put("job/a", {"one": "", "0": "changed"})
    assert state.tags.of("job/a")["0"] == "changed"
    state.tags.put("job/b", {"one": ""})


def test_they_go_with_their_resource_and_no_others_do(state: State) -> None:
    job = state.jobs.create("job", model_name="other", base_model="tiny", dataset_id="d", recipe="demo")
    state.jobs.fail(job.id, "no luck")
    model = state.models.create("retail", base_model="tiny")
    deployment = state.deployments.create("shop", model.id)
    resources = [f"job/{job.id}", f"deployment/{deployment.id}", f"model/{model.id}"]
    for resource in [*resources, f"model/{deployment.id}"]:
        state.tags.put(resource, {"team": "data"})
    deletions = (
        lambda: state.jobs.delete(job.id),
        lambda: state.deployments.delete("shop"),
        lambda: state.models.delete("retail"),
    )
    for number, delete in enumerate(deletions, start=1):
        delete()
        assert [state.tags.of(resource) != {} for resource in resources] == [n >= number for n in range(3)]
    assert state.tags.of(f"model/{deployment.id}") == {"team": "data"}
