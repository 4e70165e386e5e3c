"""The form of what the signed directory is made of: its manifest, its shards' statements, their keys.

The types below *are* the schema: msgspec refuses an unknown member, a missing one and a value of another
type or pattern. What a type cannot say (a point lies on its curve, two contacts are two) is in
gateway/trust/directory_rules.py. The members and their meaning are described in docs/reference/directory.md.

Canonical JSON is RFC 8785 for what occurs here: members sorted, no space, UTF-8, integers only. A text
that is not canonical is refused, so that a repeated member, which JSON readers take differently, cannot be.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Final, Literal, TypeVar

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

MANIFEST_TYPE: Final = "waymeet-directory+jwt"
MAX_SHARDS: Final = 1024
MAX_SHARD_BYTES: Final = 4 * 1024 * 1024
MAX_PREVIOUS: Final = 32


class DirectoryError(Exception):
    """A directory that must not be used; the message names file, member and rule, never a value."""


# No control character and none that turns the direction of a line: names are shown in terminals and logs.
_PLAIN: Final = r"[^\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]"
# Lower case, no path, no default port: addresses are compared as text, and OAuth's aud is made from them.
_HOST: Final = r"([a-z0-9]([a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:]+\])"
_PORT: Final = r"(:[1-9][0-9]{0,4})?"
_ORIGIN: Final = rf"(https://{_HOST}(?!:443(/|\Z))|http://{_HOST}(?!:80(/|\Z))){_PORT}"

_WORDS: Final[dict[str, str]] = {}
"""What is meant by each pattern: what a person is told who does not satisfy it."""


def _text(pattern: str, words: str, longest: int = 255) -> Meta:
    _WORDS[pattern] = words
    return Meta(pattern=pattern, max_length=longest)


Text = Annotated[str, _text(rf"^(?=.*\S){_PLAIN}+\Z", "must be text in one line, without control characters")]
# Who vouches for something is named in words: a URL would lead from one entry to another.
Source = Annotated[
    str, _text(rf"^(?=.*\S)(?!.*/){_PLAIN}+\Z", "must name who vouches in words of one line, not by a URL")
]
Origin = Annotated[
    str,
    _text(
        rf"^{_ORIGIN}\Z",
        "must be an origin like https://node.example.org: lower case, no path, no slash at the end, no "
        "default port",
    ),
]
Url = Annotated[
    str,
    _text(
        rf"^{_ORIGIN}(/[A-Za-z0-9._~/%-]*)?\Z",
        "must be a URL like https://ehr.example.org/fhir, origin in lower case, no query, no default port",
    ),
]
OrganizationUrl = Annotated[
    str,
    _text(
        rf"^{_ORIGIN}/Organization/[A-Za-z0-9.-]{{1,64}}\Z",
        "must be iss followed by /Organization/ and an id of at most 64 letters, digits, dots and dashes",
        320,
    ),
]
Telecom = Annotated[
    str,
    _text(
        r"^(mailto:[^\s@\x00-\x1f]+@[^\s@\x00-\x1f]+|tel:\+?[0-9-]+)\Z",
        "must be like mailto:desk@example.org or tel:+1-555-0100",
    ),
]
Instant = Annotated[int, Meta(ge=1, le=253_402_300_799)]
Sequence = Annotated[int, Meta(ge=1, le=2**53 - 1)]
Digest = Annotated[str, _text(r"^[0-9a-f]{64}\Z", "must be a SHA-256 in hex, lower case", 64)]
Day = Annotated[
    str, _text(r"^20[0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])\Z", "must be a day like 2026-11-20")
]
_Coordinate = Annotated[
    str, _text(r"^[A-Za-z0-9_-]{64}\Z", "must be a coordinate on P-384: 48 bytes in base64url", 64)
]
_BASE64URL: Final = r"^[A-Za-z0-9_-]+\Z"
_Code = Annotated[str, _text(r"^[a-z0-9-]+\Z", "must be a code: lower case, digits, dashes", 64)]
_Purpose = Annotated[str, _text(r"^[A-Z0-9-]+\Z", "must be a v3-ActReason code such as COC", 64)]
_Language = Annotated[
    str, _text(r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*\Z", "must be a BCP 47 language tag such as es", 64)
]
_Token = Annotated[
    str, _text(r"^[A-Za-z0-9][A-Za-z0-9./:|_#-]*\Z", "must be one word: a name or a canonical URL")
]
_KeyChange = Annotated[
    str, _text(r"^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\Z", "must be a compact JWS", 16_384)
]


class EcKey(Struct, tag_field="kty", tag="EC", forbid_unknown_fields=True, frozen=True, gc=False):
    """A public key on P-384 (RFC 7518 section 6.2). kid: its RFC 7638 thumbprint."""

    crv: Literal["P-384"]
    x: _Coordinate
    y: _Coordinate
    alg: Literal["ES384"]
    kid: Text
    use: Literal["sig"]


class RsaKey(Struct, tag_field="kty", tag="RSA", forbid_unknown_fields=True, frozen=True, gc=False):
    """A public RSA key of 2048 bits or more (RFC 7518 section 6.3), under a name of its owner's."""

    n: Annotated[str, Meta(pattern=_BASE64URL, min_length=342, max_length=1366)]
    e: Annotated[str, Meta(pattern=_BASE64URL, max_length=8)]
    alg: Literal["RS384"]
    kid: Text
    use: Literal["sig"]


class Keys(Struct, forbid_unknown_fields=True, frozen=True, gc=False):
    """A JWK Set."""

    keys: Annotated[tuple[EcKey | RsaKey, ...], Meta(min_length=1, max_length=16)]


class Contact(Struct, forbid_unknown_fields=True, frozen=True, gc=False):
    """Whom to call."""

    name: Text
    telecom: Telecom


class Contacts(Struct, forbid_unknown_fields=True, frozen=True, gc=False):
    """Two different ones."""

    primary: Contact
    backup: Contact


class Offer(Struct, forbid_unknown_fields=True, frozen=True, gc=False, omit_defaults=True):
    """What an organisation offers. source, assured: who else vouches for it, and since when."""

    referral_type: _Code
    area: Text
    languages: Annotated[tuple[_Language, ...], Meta(max_length=64)]
    code: Text | UnsetType = UNSET
    source: Source | UnsetType = UNSET
    assured: Day | UnsetType = UNSET


class Endpoints(Struct, forbid_unknown_fields=True, frozen=True, gc=False, omit_defaults=True):
    """Full URLs, where they do not follow from the address."""

    fhir: Url | UnsetType = UNSET
    token: Url | UnsetType = UNSET
    issuer: Url | UnsetType = UNSET


class Statement(Struct, forbid_unknown_fields=True, frozen=True, gc=False, omit_defaults=True):
    """What the convening body says of one participant."""

    organization: OrganizationUrl
    name: Text
    address: Origin
    jwks: Keys
    purposes: Annotated[tuple[_Purpose, ...], Meta(min_length=1, max_length=64)]
    services: Annotated[tuple[Offer, ...], Meta(max_length=256)]
    contacts: Contacts
    status: Literal["active", "suspended"]
    endpoints: Endpoints | UnsetType = UNSET
    succession: Annotated[tuple[_KeyChange, ...], Meta(min_length=1, max_length=64)] | UnsetType = UNSET
    wire: Annotated[tuple[_Token, ...], Meta(min_length=1, max_length=64)] | UnsetType = UNSET
    profiles: Annotated[tuple[_Token, ...], Meta(min_length=1, max_length=64)] | UnsetType = UNSET
    name_source: Source | UnsetType = UNSET
    name_assured: Day | UnsetType = UNSET


class Manifest(Struct, forbid_unknown_fields=True, frozen=True, omit_defaults=True):
    """The claims that the convening body signs. shards: one digest for each, in their order."""

    iss: Origin
    iat: Instant
    exp: Instant
    sequence: Sequence
    previous: Annotated[tuple[Digest, ...], Meta(max_length=MAX_PREVIOUS)]
    shards: Annotated[tuple[Digest, ...], Meta(min_length=1, max_length=MAX_SHARDS)]
    suspender: EcKey | UnsetType = UNSET


T = TypeVar("T")
_sorted: Final = msgspec.json.Encoder(order="sorted")


def canonical(value: Any) -> bytes:
    """`value`, one of the types above or of JSON's, as canonical JSON."""
    return _sorted.encode(value)


def decoded(text: bytes, decoder: msgspec.json.Decoder[T], where: str) -> T:
    """The value in `text`, canonical JSON of the decoder's type; `where` begins the message.

    Raises DirectoryError.
    """
    try:
        found = decoder.decode(text)
        same = _sorted.encode(found) == text
    except (msgspec.MsgspecError, ValueError, RecursionError) as fault:
        raise DirectoryError(f"{where}: {rule_of(fault)}") from None
    if not same:
        raise DirectoryError(
            f"{where}: is not canonical JSON (members sorted, none twice, no space, no needless escape)"
        )
    return found


def converted(members: Any, kind: type[T], where: str) -> T:
    """`members`, JSON that was read before, as one of the types above. Raises DirectoryError."""
    try:
        return msgspec.convert(members, kind)
    except (msgspec.MsgspecError, ValueError, RecursionError) as fault:
        raise DirectoryError(f"{where}: {rule_of(fault)}") from None


_PLACE: Final = re.compile(r" - at `\$(.*)`\Z", re.DOTALL)
_SAID: Final = (
    (re.compile(r"^Invalid (?:enum )?value .*", re.DOTALL), "is none of the values that are allowed here"),
    (re.compile(r"^Object contains unknown field `(.*)`", re.DOTALL), r"has the unknown member '\1'"),
    (re.compile(r"^Object missing required field `(.*)`"), r"needs the member '\1'"),
    (re.compile(r"^Expected `str` matching regex .*"), "is not written as it must be"),
    (re.compile(r"^Expected `str` of length <= (\d+)"), r"is longer than \1 characters"),
    (re.compile(r"^Expected `array` of length >= 1\Z"), "must not be empty"),
    (re.compile(r"^Expected `array` of length <= (\d+)"), r"has more than \1 items"),
)


def rule_of(fault: Exception) -> str:
    """What msgspec says, as `member: rule` in our words; it would repeat values, and ours do not."""
    if isinstance(fault, RecursionError):
        return "is nested too deeply"
    text = str(fault)
    place = _PLACE.search(text)
    path, rule = (place[1].removeprefix("."), text[: place.start()]) if place else ("", text)
    for pattern, words in _WORDS.items():
        if rule == f"Expected `str` matching regex {pattern!r}":
            rule = words
    for said, ours in _SAID:
        rule = said.sub(ours, rule)
    return f"{path[:200]}: {rule[:500]}" if path else rule[:500]
