"""What must not be shown: values and columns that identify people or open doors, and what only looks so."""

from __future__ import annotations

import pytest

from sqlora.sql.personal_values import is_personal_name, looks_personal


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("ann.lee@example.org", "email"),
        ("write to ann.lee+x@mail.example.co.uk today", "email"),
        ("+44 20 7946 0958", "phone number"),
        ("(555) 867-5309", "phone number"),
        ("555-867-5309", "phone number"),
        ("4111 1111 1111 1111", "card number"),
        ("5500-0000-0000-0004", "card number"),
        ("378282246310005", "card number"),
        ("GB82 WEST 1234 5698 7654 32", "bank account"),
        ("DE89370400440532013000", "bank account"),
        ("078-05-1120", "social security number"),
        ("192.168.10.254", "network address"),
        ("2001:db8::8a2e:370:7334", "network address"),
        ("221 Baker Street", "street address"),
        ("12 Old Mill Rd", "street address"),
        ("Hauptstraße 12", "street address"),
        ("postgresql://me:hunter2@db/shop", "password in a URL"),
        ("password=hunter2x", "password"),
        ("db_pwd: s3cr3tpw", "password"),
        ("-----BEGIN RSA PRIVATE KEY-----", "private key"),
        ("AKIAIOSFODNN7EXAMPLE", "token"),
        ("ghp_16C7e42F292c6912E7710c838347Ae178B4a", "token"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.x", "token"),
        ("5f4dcc3b5aa765d61d8327deb882cf99", "token"),
        ("c29tZSBsb25nIHNlY3JldCB0ZXh0IQ0k3Zz8", "token"),
    ],
)
def test_what_looks_personal(text: str, kind: str) -> None:
    assert looks_personal(text) == kind


@pytest.mark.parametrize(
    "text",
    [
        "", "walk-in", "North East", "United Kingdom", "2025-03-01", "2025-03-01 10:11:12", "01/03/2025", "12:30:00", "1,234.50",
        "1234567.89", "20250301", "100000", "7 inch", "B-2041", "SKU-000123", "v1.2.3", "10.5.3", "Q1 2025", "50 %", "3.14159265",
        "Route 66", "24 hours a day", "net_amount_before_tax_2024", "order_line_discount_reason", "Children's Clothing & Footwear",
        "2024-2025", "16-31 days", "a::b", "COVID-19", "5 rue", "2 by 4", "password reset", "secret santa", "Password:",
    ],
)  # fmt: skip
def test_what_does_not(text: str) -> None:
    assert looks_personal(text) is None


@pytest.mark.parametrize(
    ("column", "table"),
    [
        ("email", ""), ("EMAIL_ADDRESS", ""), ("customerEmail", ""), ("phone_number", ""), ("first_name", ""), ("LastName", ""),
        ("password_hash", ""), ("ssn", ""), ("date_of_birth_dob", ""), ("api_key", ""), ("credit_card", ""), ("zip_code", ""),
        ("name", "customer"), ("customer_name", "orders"), ("Name", "Employees"), ("display_name", "app_user"), ("tokens", ""),
    ],
)  # fmt: skip
def test_columns_that_hold_what_is_personal(column: str, table: str) -> None:
    assert is_personal_name(column, table)


@pytest.mark.parametrize(
    ("column", "table"),
    [
        ("store_name", "store"), ("name", "region"), ("status", "customer"), ("kind", ""), ("emailed", ""), ("category_name", "product"),
        ("segment", "customer"), ("country", "city"), ("compass", ""),
    ],
)  # fmt: skip
def test_columns_that_do_not(column: str, table: str) -> None:
    assert not is_personal_name(column, table)
