from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sqlora.serve.aws.call import AwsError
from sqlora.serve.aws.paging import page

texts = st.text(max_size=4)


@given(st.sets(texts, max_size=12), st.sets(texts, max_size=4), st.integers(1, 5), st.booleans())
def test_pages_give_each_item_once_whatever_comes_between(
    items: set[str], later: set[str], most: int, descending: bool
) -> None:
    seen, token, there = list[str](), None, set(items)
    while True:
        given_items, token = page(there, lambda item: (item,), most, token, descending=descending)
        assert len(given_items) <= most
        seen += given_items
        there |= later
        if token is None:
            break
    assert seen == sorted(seen, reverse=descending)
    assert len(seen) == len(set(seen))
    assert items <= set(seen)


@pytest.mark.parametrize("token", ["%", "bm9uZQ==", "e30=", "WzFd", "W1sxXV0=", "W1tbW1tbW1tbW1tbW1tbW1tbW1tb"])
def test_a_token_of_another_make_is_refused(token: str) -> None:
    with pytest.raises(AwsError) as caught:
        page(["a"], lambda item: (item,), 1, token, bad_token="InvalidPaginationTokenException")
    assert caught.value.code == "InvalidPaginationTokenException"
