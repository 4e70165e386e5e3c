"""A shelter's rows in which every field is a value found nowhere else, and how to find such a value again."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from urllib.parse import quote

# Story 2. What the release lets the pantry see, and nobody else:
PERMITTED = {
    "first_name_or_alias": "Luzqzxalias",
    "diet": "no qzxpork, one qzxnut allergy",
    "safe_contact_rule": "only by qzxrule after dark",
    "county": "Qzxcounty County",
}
# ... and what nobody may see.
WITHHELD = {
    "referral_ref": "R-qzx51001",
    "client_ref": "C-qzx51002",
    "last_name": "Qzxmarrero",
    "birth_date": "1931-02-19",
    "street": "12 Qzxorchard Lane",
    "city": "Qzxhaven",
    "zip": "06599-8317",
    "safe_phone": "(203) 555-0187",
    "notes": "Qzxnotes, prefers qzxafternoons.",
    "advocate_name": "J. Qzxokafor",
    "shelter_site": "Qzxsite B",
    "danger_level": "qzxdanger",
    "exported_at": "2019-03-07 04:13",
}
# Coded, counted or configured: these cannot be unique.
CODED = {"household_size": "3", "language": "Spanish", "need": "food", "urgency": "today"}
RELEASED = {**PERMITTED, **WITHHELD, **CODED, "partner": "harbor-food-pantry"}

# Story 3: nothing at all may leave.
HELD_FIELDS = {
    "referral_ref": "R-qzx61001",
    "client_ref": "C-qzx61002",
    "first_name_or_alias": "Graceqzxheld",
    "last_name": "Qzxoduya",
    "birth_date": "1927-10-23",
    "street": "7 Qzxferry Street",
    "city": "Qzxtown",
    "county": "Qzxheld County",
    "zip": "06598-7316",
    "safe_phone": "(203) 555-0176",
    "safe_contact_rule": "never on qzxsunday",
    "diet": "qzxhalal",
    "notes": "Would like to meet the qzxdietitian.",
    "advocate_name": "M. Qzxlindqvist",
    "shelter_site": "Qzxsite A",
    "danger_level": "qzxlethal",
    "exported_at": "2018-05-09 03:17",
}
HELD = {**HELD_FIELDS, **CODED, "partner": "elm-city-hospital"}

# One field spoilt in each: the node refuses the row, and may say the field but never the value.
_SPOILT_VALUES = {
    "need": "qzxfirewood",
    "urgency": "qzxwhenever",
    "language": "Qzxlingon",
    "birth_date": "qzx8.3.1991",
    "safe_phone": "qzx555",
    "household_size": "qzxseveral",
    "exported_at": "qzxyesterday",
    "partner": "qzx-unknown-partner",
}
SPOILT = [
    {**RELEASED, "referral_ref": f"R-qzx7{number}", name: value}
    for number, (name, value) in enumerate(_SPOILT_VALUES.items())
]
SPOILT_VALUES = tuple(_SPOILT_VALUES.values())

# Other worlds: the same in all that is permitted.
SAME_LENGTHS = RELEASED | {
    "referral_ref": "R-xyw40009",
    "client_ref": "C-xyw40008",
    "last_name": "Thompsonby",
    "birth_date": "1987-11-30",
    "street": "98 Elmwood Street",
    "city": "Westport",
    "zip": "06101-2244",
    "safe_phone": "(860) 555-0111",
    "notes": "Has a car; any day will suit well",
    "advocate_name": "B. Andersson",
    "shelter_site": "Harbor 09",
    "danger_level": "moderate ",
    "exported_at": "2026-11-02 17:58",
}
OTHER_LENGTHS = RELEASED | {
    "referral_ref": "1",
    "client_ref": "client-number-000000000000000000000000000000000000000077",
    "last_name": "",
    "birth_date": "",
    "street": "Apartment 12, the long yellow house behind the old post office " * 8,
    "city": "",
    "zip": "06510",
    "safe_phone": "",
    "notes": "She says: " + "please be kind. " * 200,
    "advocate_name": "",
    "shelter_site": "",
    "danger_level": "",
    "exported_at": "2026-11-16",
}
HELD_SAME_LENGTHS = HELD | {
    "first_name_or_alias": "Hannahbeatri",
    "notes": "Has two small children with her, ok.",
}
HELD_OTHER_LENGTHS = HELD | {
    "referral_ref": "2",
    "client_ref": "another-client-number-00000000000000000000000078",
    "first_name_or_alias": "J",
    "last_name": "von und zu Hohenlohe-Langenburg",
    "birth_date": "",
    "county": "",
    "diet": "",
    "notes": "",
}


def encodings(value: str) -> Iterator[bytes]:
    """What a value looks like as text, coded or hashed, lower case throughout (as is what is searched)."""
    for text in _spellings(value):
        raw = text.encode()
        yield raw.lower()
        for coding in ("utf-16-le", "utf-16-be"):
            yield text.encode(coding).lower()
        yield raw.hex().encode()
        yield quote(text, safe="").encode().lower()
        yield quote(text, safe="").replace("%20", "+").encode().lower()
        for alphabet in (base64.b64encode, base64.urlsafe_b64encode):
            # Inside a longer text a value starts at any of three places of base64's groups.
            for before in range(3):
                coded = alphabet(b"\0" * before + raw)
                yield coded[(before * 8 + 5) // 6 : (before + len(raw)) * 8 // 6].lower()
        for hashed in (hashlib.md5, hashlib.sha1, hashlib.sha256):
            for variant in (raw, raw.lower(), raw.upper(), raw.strip()):
                digest = hashed(variant).digest()
                yield digest.hex().encode()
                yield base64.b64encode(digest).rstrip(b"=").lower()
                yield base64.urlsafe_b64encode(digest).rstrip(b"=").lower()
                yield digest.lower()


def found_in(haystack: bytes, value: str) -> bool:
    """Whether a value is in these bytes in any of its encodings."""
    folded = haystack.lower()
    return any(coded in folded for coded in encodings(value))


def _spellings(value: str) -> Iterator[str]:
    """A value, and what a program would make of it: a date without dashes, a number without blanks."""
    yield value
    digits = "".join(one for one in value if one.isdigit())
    if value.startswith("("):
        yield from (
            digits,
            f"+1{digits}",
            f"{digits[:3]}-{digits[3:6]}-{digits[6:]}",
            f"{digits[3:6]}-{digits[6:]}",
        )
    elif len(digits) >= 8 and not any(one.isalpha() for one in value):
        yield digits
        if value[4] == "-":  # a date, with or without a time
            yield f"{value[5:7]}/{value[8:10]}/{value[:4]}"
            yield value[:10]
            yield value.replace(" ", "T")
