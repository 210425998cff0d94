"""Ids and names that Bedrock accepts."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sqlora.errors import ConfigError, ConflictError
from sqlora.platform.names import Kind, check_name, new_id, now, slug

# As botocore's service model has them (AWS.md 3.2), for texts short enough for their nested repetition.
BOTOCORE = {
    "job": re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9\+\-\.])*"),
    "model": re.compile(r"([0-9a-zA-Z][_-]?){1,63}"),
    "deployment": re.compile(r"([0-9a-zA-Z][_-]?){1,63}"),
}


@given(st.sampled_from(["job", "model", "deployment"]), st.text("aZ09-_+. é", max_size=10))
def test_accepts_what_botocores_pattern_accepts(kind: Kind, name: str) -> None:
    if BOTOCORE[kind].fullmatch(name):
        assert check_name(kind, name) == name
    else:
        with pytest.raises(ConfigError, match="cannot be the name"):
            check_name(kind, name)


@given(st.text())
def test_a_slug_is_a_name_of_everything(text: str) -> None:
    name = slug(text)
    assert check_name("job", name) == name
    assert name == "base" or check_name("model", name) == name
    assert slug(name) == name


def test_slug_of_a_business() -> None:
    assert slug("Larkspur Markets") == "larkspur-markets"


@pytest.mark.parametrize("name", ["", "a" * 64, "a--b", "ünder", "a\n"])
def test_refused(name: str) -> None:
    with pytest.raises(ConfigError):
        check_name("model", name)


def test_base_means_the_untuned_model() -> None:
    with pytest.raises(ConflictError, match="untuned base model"):
        check_name("deployment", "base")


def test_ids_and_times_have_bedrocks_form() -> None:
    assert all(re.fullmatch(r"[a-z0-9]{12}", new_id()) for _ in range(100))
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", now())
