"""`waymeet directory entry`: an agency states its own directory entry and signs it with its own keys."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from joserfc.jwk import ECKey, RSAKey

from gateway import clock
from gateway.cli.said import said, tell
from gateway.initialise import write_json
from gateway.signing import keys
from gateway.signing.key_files import read_secret
from gateway.trust import directory_statement
from gateway.trust.directory_files import replace
from gateway.trust.directory_form import DirectoryError
from gateway.trust.directory_jws import Key
from gateway.trust.succession import hand_over
from profiles.document import DataPath, Document, load

_ONE: Final = {
    "anyOf": [
        {"type": "object"},
        {"type": "array", "items": {"type": "object"}, "minItems": 1, "maxItems": 1},
    ]
}
_PATH: Final = re.compile(r"([a-z_]+(?:\[\d+\])?(?:\.[a-z_]+(?:\[\d+\])?)*): ")
_UNKNOWN: Final = re.compile(r"has the unknown member '([^']+)'")


def entry(
    file: Annotated[
        Path, typer.Argument(help="Your entry, as `waymeet init` wrote it and you completed it.")
    ],
    key: Annotated[
        list[Path], typer.Option(help="Your private key, in PEM; once for each key that you use.")
    ],
    old_key: Annotated[
        Path | None,
        typer.Option(
            help="When your keys change: one that the directory has of you now, to sign the new ones."
        ),
    ] = None,
    to: Annotated[Path | None, typer.Option(help="The file to write; the entry's name with .jws.")] = None,
) -> None:
    """State your own entry, signed with your own keys; the convening body takes it from nobody else."""
    with said():
        document = load(file, _ONE)
        inside: DataPath = (0,) if isinstance(document.data, list) else ()
        members: dict[str, Any] = document.data[0] if inside else document.data
        signing = [_private_key(path, members) for path in key]
        before = set(_kids(members))
        members["jwks"] = {"keys": [_public(one) for one in signing]}
        if old_key is not None:
            _change_keys(members, old_key)
        elif before and before != set(_kids(members)):
            raise document.error(
                [
                    document.issue(
                        (*inside, "jwks"),
                        "is not what you sign with: name each of its keys with --key, or if your keys change "
                        "one that the directory has of you with --old-key",
                    )
                ]
            )
        try:
            text = directory_statement.state(members, signing, clock.now())
        except DirectoryError as fault:
            raise _placed(document, inside, str(fault)) from None
        target = to or file.with_suffix(".jws")
        replace(target, text.encode("ascii"))
        write_json(file, [members] if inside else members)
        tell(f"Written: {target}, signed with {len(signing)} key{'s' if len(signing) > 1 else ''}.")
        if old_key is not None:
            tell(f"{file} now holds the new keys, and that the old one has signed them.")
        tell("Send it to the convening body. When they call to confirm your keys, they are:")
        for one in _kids(members):
            tell(f"  {one}")


def _change_keys(members: dict[str, Any], old_key: Path) -> None:
    """Add to the entry that the old key has signed the new ones. Raises KeyFileError."""
    old = keys.load(old_key)
    organization = members.get("organization")
    if isinstance(organization, str):  # otherwise the entry is refused for that
        change = hand_over(organization, members["jwks"], old, clock.now())
        members["succession"] = [*members.get("succession", ()), change]


def _private_key(path: Path, members: dict[str, Any]) -> Key:
    """An EC key on P-384 or an RSA key, by the name that the entry gives it. Raises KeyFileError."""
    try:
        return keys.load(path)
    except keys.KeyFileError:
        try:
            found = load_pem_private_key(read_secret(path), password=None)
        except (ValueError, TypeError):
            found = None
        if not isinstance(found, RSAPrivateKey):
            raise  # of the key's form: what `keys.load` has said
    plain = RSAKey.import_key(found)
    named = [one for one in _jwks(members) if one.get("n") == plain.as_dict(private=False)["n"]]
    kid = named[0].get("kid") if named else None
    return RSAKey.import_key(found, {"kid": kid if isinstance(kid, str) else plain.thumbprint()})


def _public(key: Key) -> dict[str, Any]:
    if isinstance(key, ECKey):
        return keys.public_jwk(key)
    members = key.as_dict(private=False)
    return {name: members[name] for name in ("kty", "n", "e", "kid")} | {"alg": "RS384", "use": "sig"}


def _jwks(members: dict[str, Any]) -> list[dict[str, Any]]:
    jwks = members.get("jwks")
    listed = jwks.get("keys") if isinstance(jwks, dict) else None
    return [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []


def _kids(members: dict[str, Any]) -> Sequence[str]:
    return [kid for one in _jwks(members) if isinstance(kid := one.get("kid"), str)]


def _placed(document: Document, inside: DataPath, said: str) -> Exception:
    """A refusal of the entry, with the line in its file."""
    rule = said.removeprefix("the entry: ")
    if (found := _PATH.match(rule)) is None:
        name = _UNKNOWN.match(rule)
        return document.error([document.issue((*inside, name[1]) if name else inside, rule)])
    path = tuple(int(part) if part.isdigit() else part for part in re.findall(r"[a-z_]+|\d+", found[1]))
    rule = rule[found.end() :]
    unknown = _UNKNOWN.match(rule)
    return document.error([document.issue((*inside, *path, *((unknown[1],) if unknown else ())), rule)])
