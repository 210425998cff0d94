"""What looks as if it identified a person or opened a door: e-mail addresses, card numbers, tokens, and their columns.

A guess by form, made to be too careful rather than too bold: what is found here is left out of prompts and training
data, and a value too few is a small loss. Names of people have no form; they are known by their columns' names only.
"""

from __future__ import annotations

import ipaddress
import math
import re
from collections import Counter
from itertools import pairwise

FORMS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("email", re.compile(r"[^\s@<>'\"]+@[^\s@<>'\"]+\.[^\s@<>'\"]{2,}")),
    ("password in a URL", re.compile(r"[a-z][a-z0-9+.-]*://[^\s/:@]*:[^\s/@]+@", re.IGNORECASE)),
    (
        "password",
        re.compile(
            r"(?<![a-z])(?:password|passwd|passphrase|pwd|passcode|secret|api[_ -]?key)[\"'\]]?\s*[=:]\s*\S{3,}",
            re.IGNORECASE,
        ),
    ),
    ("private key", re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----")),
    (
        "token",
        re.compile(
            r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b|\bgh[pousr]_\w{20,}|\bgithub_pat_\w{20,}|\bxox[abprs]-[\w-]{10,}"
            r"|\b[sr]k[-_](?:live|test|proj|ant)?[-_]?\w{16,}|\beyJ[\w-]{8,}\.[\w-]{8,}\.|\bAIza[\w-]{30,}"
        ),
    ),
    ("social security number", re.compile(r"(?<!\d)\d{3}-\d{2}-\d{4}(?!\d)")),
    (
        "street address",
        re.compile(
            r"\b\d{1,5}[a-z]?,? +(?:[\w.'-]+ +){1,4}"
            r"(?:street|st|road|rd|avenue|ave|lane|ln|drive|dr|boulevard|blvd|court|ct|square|sq|way|place|pl)\b",
            re.IGNORECASE,
        ),
    ),
    ("street address", re.compile(r"\b\w{3,}(?:straße|strasse|str\.|gasse|weg) +\d{1,4}\b", re.IGNORECASE)),
)
SECRETS = frozenset({"password", "password in a URL", "private key", "token"})  # the others are somebody's
IBAN = re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b")
DIGITS = re.compile(r"(?<![\w.])\+?\(?\d[\d ()./-]{5,22}\d(?![\w.])")
MOMENT = re.compile(r"\d{4}[-/.]\d{1,2}(?:[-/.]\d{1,2})?.*|\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4}.*|[\d ]+\.\d+")
RUN = re.compile(r"[A-Za-z0-9+/_=-]{20,}")
ADDRESS = re.compile(
    r"(?<![\w.:])(?:\d{1,3}(?:\.\d{1,3}){3}|[0-9a-f]{0,4}(?::[0-9a-f]{0,4}){2,7})(?![\w.:])", re.IGNORECASE
)
LEAST_ENTROPY = 3.5  # bits a character from which a long run of letters and digits is no word

# Words of a column's name. Several words in one text stand side by side in the name.
PERSONAL = frozenset(
    """
    access_key account_number addr address api_key apikey bank_account bic birth birthdate birthday birthplace
    card card_number cardno contact_name credit_card customer_name cvc cvv dob driver_license driving_licence
    email employee_name ethnicity family_name fax first_name firstname forename full_name fullname
    gender_identity given_name hash iban insurance_number ip ip_addr ipaddress last_name lastname latitude
    license_plate login longitude maiden middle_name middlename mobile mrn national_id nickname nino otp
    passcode passphrase passport passwd password patient_name phone pin postal_code postcode private_key
    religion salary salt secret sexual signature sin social_security ssn surname swift tax_id tel telephone
    token user_name username vat_id zip zip_code zipcode
    """.split()  # noqa: SIM905
)
# Tables of people: there, a name is a person's.
PEOPLE = frozenset(
    """
    account actor adviser advisor applicant artist athlete author candidate client coach contact customer
    director doctor driver employee faculty friend guest instructor lead member nurse owner participant
    passenger patient people person physician player professor profile staff student subscriber teacher user
    visitor voter worker
    """.split()  # noqa: SIM905
)


def looks_personal(text: str) -> str | None:
    """What a value looks like that must not be shown (``email``, ``card number``, …); None if like nothing of the kind.

    Anywhere in it: a sentence that mentions a phone number looks like one.
    """
    for kind, form in FORMS:
        if form.search(text):
            return kind
    if any(_is_iban(found[0]) for found in IBAN.finditer(text)):
        return "bank account"
    if any(_is_address(found[0]) for found in ADDRESS.finditer(text)):
        return "network address"
    if numbers := [number for found in DIGITS.finditer(text) if (number := _number(found[0]))]:
        return numbers[0]
    return "token" if any(_is_random(found[0]) for found in RUN.finditer(text)) else None


def is_personal_name(column: str, table: str = "") -> bool:
    """Whether a column, by its name, holds what identifies a person or is a secret: ``email``, ``customer.name``."""
    words = name_words(column)
    pairs = {f"{first}_{second}" for first, second in pairwise(words)}
    if PERSONAL & {*words, *pairs, "".join(words)}:
        return True
    return bool({"name", "names"} & set(words)) and bool(PEOPLE & {*words, *name_words(table)})


def name_words(name: str) -> list[str]:
    """The words of a column's or a table's name in lower case: ``customerIds`` and ``CUSTOMER_IDS`` alike."""
    spaced = re.sub(r"([a-z0-9])([A-Z])", r"\1 \2", name)
    words = re.findall(r"[^\W\d_]+", spaced.lower())
    return [word[:-1] if word.endswith("s") and word[:-1] in PERSONAL | PEOPLE else word for word in words]


def _number(text: str) -> str | None:
    """A card's number or a phone's; not a date, an amount or a plain key."""
    digits = re.sub(r"\D", "", text)
    if 13 <= len(digits) <= 19 and _luhn(digits):
        return "card number"
    if MOMENT.fullmatch(text) or not 7 <= len(digits) <= 15:
        return None
    grouped = len(re.findall(r"\d+", text)) > 1
    return "phone number" if text.startswith("+") or "(" in text or (grouped and len(digits) >= 9) else None


def _luhn(digits: str) -> bool:
    """The check digit of card numbers (ISO/IEC 7812-1)."""
    doubled = [int(digit) * (2 if place % 2 else 1) for place, digit in enumerate(reversed(digits))]
    return sum(number - 9 if number > 9 else number for number in doubled) % 10 == 0 and len(set(digits)) > 1


def _is_iban(text: str) -> bool:
    """The check digits of ISO 13616."""
    compact = text.replace(" ", "")
    turned = compact[4:] + compact[:4]
    return len(compact) >= 15 and int("".join(str(int(character, 36)) for character in turned)) % 97 == 1


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return text != "::" and ("." in text or text.count(":") >= 3)


def _is_random(text: str) -> bool:
    """Whether a long run of characters was made by a machine: letters and digits mixed, without a word's regularity."""
    if not (re.search(r"\d", text) and re.search(r"[A-Za-z]", text)):
        return False
    counts = Counter(text)
    entropy = -sum(count / len(text) * math.log2(count / len(text)) for count in counts.values())
    longest_word = max((len(word) for word in re.findall(r"[a-z]+|[A-Z][a-z]+", text)), default=0)
    return entropy >= LEAST_ENTROPY and longest_word < 8 and not re.search(r"[_-]\d{1,4}$", text)
