"""Secrets and personal data are found in their forms, and plain data is left alone."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sqlora.sql.personal import PATTERNS, find, first, masked


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("key AKIAIOSFODNN7EXAMPLE in use", "AWS access key"),
        ("-----BEGIN RSA PRIVATE KEY-----", "private key"),
        ("ghp_" + "a1B2" * 9, "access token"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dBjftJeZ4CVP", "JSON web token"),
        ("postgresql://ann:hunter2@db/x", "password in a URL"),
        ("SELECT 1 FROM u WHERE password = 'hunter22'", "password"),
        ('SELECT 1 FROM u WHERE user_password = "hunter22"', "password"),
        ("SELECT 1 FROM logs WHERE line LIKE '%password=hunter2%'", "password"),
        ("config user:ann api_key:4f9d8c77", "password"),
        ("orders of ann.lee+x@corp.co.uk", "e-mail address"),
        ("card 4111 1111 1111 1111 was charged", "card number"),
        ("WHERE pan = '4111111111111111'", "card number"),
        ("to DE89 3704 0044 0532 0130 00 please", "bank account (IBAN)"),
        ("WHERE ssn = '123-45-6789'", "social security number"),
        ("who has +44 20 7946 0958", "telephone number"),
        ("call (415) 555-0132", "telephone number"),
        ("from 8.8.8.8", "IP address"),
        ("version 2 at 8.8.8.8", "IP address"),
    ],
)
def test_each_kind_is_found_and_masked(text: str, kind: str) -> None:
    found = first(text)
    assert found is not None
    assert found.kind == kind
    assert first(masked(text)) is None
    assert f"‹{kind}›" in masked(text)


@pytest.mark.parametrize(
    "text",
    [
        "How many stores opened between 2024-01-01 and 2025-12-31?",
        "SELECT TOTAL(amount) FROM sale WHERE sale_id = 4111111111111112",
        "orders over 1,234,567.89 in 2023-2024, 2024-2025 and 2025-2026",
        "ann@example.com is nobody",
        "version 1.2.3, host 10.0.0.1 or 192.168.1.20",
        "version 1.2.3.4, app_version = '8.8.8.8', from versions 8.8.4.4 to 8.8.4.5",
        "WHERE a.password=t2.password AND b.password=hashed AND pwd=$1 AND pwd=:param1 AND secret=md5(x)",
        "WHERE a.password = b.password AND pwd = ''",
        "table_1_10015132_9, table_2_15621965_18",
        "a gap of +23.215 or +1:02.345 seconds, up +12.5%",
        "score 6-3 6-4 7-6, seasons 1999-00",
        "ISO DE12 3456 7890",
        "a @ b, x@y",
    ],
)
def test_plain_data_is_left_alone(text: str) -> None:
    assert list(find(text)) == []
    assert masked(text) == text


@settings(max_examples=100, deadline=None)
@given(st.text(alphabet="0123456789.-+@() aA:/'\"=_", max_size=200))
def test_any_text_is_searched_and_masked_whole(text: str) -> None:
    for found in find(text):
        assert 0 <= found.start < found.end <= len(text)
    masked(text)


PIECES = st.sampled_from(
    ["AKIAIOSFODNN7EXAMPLE", "-----BEGIN PRIVATE KEY-----", "ghp_" + "a1B2" * 9, "sk-" + "x1" * 12, "postgresql://ann:pw@db",
     "password is 'hunter22'", "api key: \"abcd\"", "ann@corp.org", "4111-1111-1111-1111", "DE89370400440532013000", "123-45-6789",
     "+442079460958", "(415) 555-0132", "415.555.0132", "8.8.8.8", "(", "x", "_", "-", "'", "=", "7"]
)  # fmt: skip


@settings(max_examples=100, deadline=None)
@given(st.lists(PIECES, max_size=5), st.sampled_from(["", " ", "_", ",", "("]))
def test_the_quick_look_misses_nothing(pieces: list[str], between: str) -> None:
    text = between.join(pieces)
    every = [
        (pattern.kind, match.start())
        for pattern in PATTERNS
        for match in pattern.text.finditer(text)
        if pattern.sure(match[0])
    ]
    assert [(found.kind, found.start) for found in find(text)] == every
