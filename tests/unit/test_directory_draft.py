"""The convening body's folder: what it takes from whom, and what it refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from directory_world import CLINIC, ISSUER, NOW, PANTRY, entry
from joserfc import jws
from joserfc.jwk import ECKey, RSAKey

from gateway.signing import keys
from gateway.signing.keys import KeyFileError
from gateway.trust import directory_release, directory_statement, suspensions
from gateway.trust.directory import Directory, DirectoryError
from gateway.trust.directory_draft import Draft
from gateway.trust.directory_entry import Entry
from gateway.trust.directory_keys import public_key
from gateway.trust.directory_signing import publish
from gateway.trust.directory_statement import TYPE, state
from gateway.trust.succession import hand_over

PANTRY_KEY, CLINIC_KEY, OTHER_KEY = keys.generate(), keys.generate(), keys.generate()
PANTRY_ENTRY = entry(PANTRY, "https://pantry.example.org", PANTRY_KEY)
CLINIC_ENTRY = entry(CLINIC, "https://clinic.example.org", CLINIC_KEY)


@pytest.fixture
def draft(tmp_path: Path) -> Draft:
    """Of two participants, signed once."""
    made = Draft.new(tmp_path / "convener", ISSUER)
    add(made, state(PANTRY_ENTRY, [PANTRY_KEY], NOW))
    add(made, state(CLINIC_ENTRY, [CLINIC_KEY], NOW))
    sign(made)
    return made


def add(draft: Draft, text: str, *, vouched: bool = False) -> tuple[Entry | None, Entry]:
    return draft.add(text, "statement.jws", NOW, draft.taken(), vouched=vouched)


def sign(draft: Draft) -> Directory:
    return directory_release.sign_next(draft, NOW).directory


def of(directory: Directory, organization: str) -> Entry:
    found = directory.entry(organization)
    assert found is not None
    return found


def later(members: dict[str, Any], *signing: Any, seconds: int = 60, **changed: Any) -> str:
    return state(members | changed, signing, NOW + timedelta(seconds=seconds))


def with_key(key: ECKey, **changed: Any) -> dict[str, Any]:
    return PANTRY_ENTRY | {"jwks": keys.public_jwks(key)} | changed


def test_what_participants_state_is_what_is_signed(draft: Draft) -> None:
    found = Directory.read(draft.signed, draft.anchors(), NOW)
    assert (found.sequence, found.previous, len(found)) == (1, (), 2)
    assert of(found, PANTRY).jwks == PANTRY_ENTRY["jwks"]
    assert found.suspender is not None
    assert found.suspender["kid"] == keys.load(draft.key("suspender")).thumbprint()


def test_each_directory_names_those_before_it(draft: Draft) -> None:
    digests = [Directory.read(draft.signed, draft.anchors(), NOW).digest]
    for _ in range(34):
        digests.insert(0, sign(draft).digest)
    last = Directory.read(draft.signed, draft.anchors(), NOW)
    assert last.sequence == 35
    assert last.previous == tuple(digests[1:33])


def test_an_owner_moves(draft: Draft) -> None:
    add(draft, later(PANTRY_ENTRY, PANTRY_KEY, address="https://new.example.org"))
    assert of(sign(draft), PANTRY).address == "https://new.example.org"


def test_an_owner_says_itself_that_it_is_not_to_be_dealt_with(draft: Draft) -> None:
    add(draft, later(PANTRY_ENTRY, PANTRY_KEY, status="suspended"))
    assert of(sign(draft), PANTRY).status == "suspended"


def test_a_key_that_the_old_one_has_signed_over_is_taken(draft: Draft) -> None:
    change = hand_over(PANTRY, keys.public_jwks(OTHER_KEY), PANTRY_KEY, NOW)
    before, after = add(draft, later(with_key(OTHER_KEY, succession=[change]), OTHER_KEY))
    assert before is not None
    assert (before.thumbprints, after.thumbprints) == ({PANTRY_KEY.thumbprint()}, {OTHER_KEY.thumbprint()})
    assert of(sign(draft), PANTRY).succession == (change,)


def test_a_new_key_on_nobodys_word_is_refused_unless_the_body_vouches(draft: Draft) -> None:
    text = later(with_key(OTHER_KEY), OTHER_KEY)
    with pytest.raises(DirectoryError, match=r"statement.jws: jwks: the keys are new.*--vouched"):
        add(draft, text)
    assert of(sign(draft), PANTRY).thumbprints == {PANTRY_KEY.thumbprint()}
    add(draft, text, vouched=True)
    assert of(sign(draft), PANTRY).thumbprints == {OTHER_KEY.thumbprint()}


def test_a_key_change_that_a_stranger_signed_is_refused(draft: Draft) -> None:
    change = hand_over(PANTRY, keys.public_jwks(OTHER_KEY), keys.generate(), NOW)
    with pytest.raises(DirectoryError, match="the keys are new"):
        add(draft, later(with_key(OTHER_KEY, succession=[change]), OTHER_KEY))


RSA = RSAKey.generate_key(2048, {"kid": "ehr-1"})
RSA_PUBLIC = RSA.as_dict(private=False) | {"alg": "RS384", "use": "sig"}
BOTH = PANTRY_ENTRY | {"jwks": {"keys": [keys.public_jwk(PANTRY_KEY), RSA_PUBLIC]}}


def test_every_key_that_is_named_has_signed(draft: Draft) -> None:
    change = hand_over(PANTRY, BOTH["jwks"], PANTRY_KEY, NOW)
    add(draft, later(BOTH, PANTRY_KEY, RSA, succession=[change]))
    assert len(of(sign(draft), PANTRY).thumbprints) == 2


def forged(members: dict[str, Any], key: Any = PANTRY_KEY, **header: Any) -> str:
    """A statement as somebody else's tool might sign it: nothing is checked."""
    protected = {"alg": "ES384", "typ": TYPE, "kid": key.thumbprint(), **header}
    claims = {"entry": members, "iat": int(NOW.timestamp())}
    text = json.dumps(claims, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return jws.serialize_compact(
        protected, text, key, registry=jws.JWSRegistry(algorithms=["ES384"], strict_check_header=False)
    )


def _described(**members: str) -> dict[str, Any]:
    return PANTRY_ENTRY | {"services": [PANTRY_ENTRY["services"][0] | members]}


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        pytest.param(lambda: "", "statement.jws: is empty", id="empty"),
        pytest.param(lambda: "é", "is no signed statement", id="no ASCII"),
        pytest.param(lambda: json.dumps(PANTRY_ENTRY), "not a compact JWS", id="not signed"),
        pytest.param(lambda: forged(PANTRY_ENTRY, typ="JWT"), "typ", id="signed as something else"),
        pytest.param(
            lambda: forged(PANTRY_ENTRY, OTHER_KEY), "not signed by a key that it", id="a stranger's"
        ),
        pytest.param(
            lambda: forged(PANTRY_ENTRY, OTHER_KEY, kid=PANTRY_KEY.thumbprint()),
            "signature does not verify",
            id="a stranger's, under the owner's name",
        ),
        pytest.param(lambda: forged(BOTH), r"keys\[1\]: has not signed it", id="a key that has not signed"),
        pytest.param(
            lambda: later(PANTRY_ENTRY, PANTRY_KEY) * 2, "more signatures than keys", id="signed twice"
        ),
        pytest.param(
            lambda: "\n".join(
                (
                    later(BOTH, PANTRY_KEY, RSA).split()[0],
                    later(BOTH, PANTRY_KEY, RSA, name="Another").split()[1],
                )
            ),
            "cover different statements",
            id="each key has signed something else",
        ),
        pytest.param(
            lambda: forged(PANTRY_ENTRY | {"kind": "shelter"}), "unknown member 'kind'", id="a kind of agency"
        ),
        pytest.param(
            lambda: forged(PANTRY_ENTRY | {"organization": "https://other.example.org/Organization/a"}),
            "not in the directory of",
            id="another body's",
        ),
        pytest.param(
            lambda: forged(_described(source="2-1-1", assured="2026-11-01")),
            "somebody else to say",
            id="in another's name",
        ),
        pytest.param(
            lambda: forged(PANTRY_ENTRY | {"name_source": "2-1-1", "name_assured": "2026-11-01"}),
            "name_source: is for somebody else",
            id="name in another's name",
        ),
        pytest.param(lambda: later(PANTRY_ENTRY, PANTRY_KEY, seconds=-1), "later statement", id="replayed"),
        pytest.param(lambda: forged(CLINIC_ENTRY), "not signed by a key that it", id="for another"),
        pytest.param(
            lambda: later(PANTRY_ENTRY, PANTRY_KEY, address="https://clinic.example.org"),
            f"address: is that of {CLINIC}",
            id="another's address",
        ),
        pytest.param(
            lambda: state(
                entry(f"{ISSUER}/Organization/third", "https://third.example.org", CLINIC_KEY),
                [CLINIC_KEY],
                NOW,
            ),
            f"jwks: is that of {CLINIC}",
            id="another's key, which it holds",
        ),
    ],
)
def test_a_statement_with_one_wrong_fact_is_refused(draft: Draft, text: Callable[[], str], rule: str) -> None:
    before = sorted(path.read_bytes() for path in (draft.folder / "statements").iterdir())
    with pytest.raises(DirectoryError, match=rule):
        add(draft, text())
    assert sorted(path.read_bytes() for path in (draft.folder / "statements").iterdir()) == before


def test_a_statement_from_the_future_is_refused(draft: Draft) -> None:
    with pytest.raises(DirectoryError, match="signed in the future"):
        add(draft, later(PANTRY_ENTRY, PANTRY_KEY, seconds=3600))


FACTS = {
    "organization": PANTRY,
    "name": "Harbor Pantry",
    "services": [{"referral_type": "food-insecurity", "area": "All of Harbor", "languages": ["en"]}],
}


def describe(draft: Draft, facts: dict[str, Any], source: str = "2-1-1") -> str:
    return draft.describe(facts, source, date(2026, 11, 19), "facts.json")


def test_a_third_party_describes_and_is_named(draft: Draft) -> None:
    describe(draft, FACTS)
    pantry = of(sign(draft), PANTRY)
    assert (pantry.name, pantry.name_source, pantry.name_assured) == (
        "Harbor Pantry",
        "2-1-1",
        date(2026, 11, 19),
    )
    assert (pantry.services[0].area, pantry.services[0].source) == ("All of Harbor", "2-1-1")
    assert pantry.address == PANTRY_ENTRY["address"]


def test_what_a_third_party_said_stays_until_the_owner_describes_itself_anew(draft: Draft) -> None:
    describe(draft, {"organization": PANTRY, "services": FACTS["services"]})
    add(draft, later(PANTRY_ENTRY, PANTRY_KEY, address="https://new.example.org"))
    pantry = of(sign(draft), PANTRY)
    assert (pantry.address, pantry.services[0].source) == ("https://new.example.org", "2-1-1")
    assert pantry.name_source is None
    add(draft, later(PANTRY_ENTRY, PANTRY_KEY, seconds=120, name="Harbor Food"))
    pantry = of(sign(draft), PANTRY)
    assert (pantry.name, pantry.services[0].source) == ("Harbor Food", None)


@pytest.mark.parametrize(
    ("facts", "source", "rule"),
    [
        pytest.param(FACTS | {"jwks": PANTRY_ENTRY["jwks"]}, "2-1-1", "member 'jwks'", id="keys"),
        pytest.param(FACTS | {"address": "https://a.example.org"}, "2-1-1", "member 'address'", id="address"),
        pytest.param(FACTS | {"status": "suspended"}, "2-1-1", "member 'status'", id="status"),
        pytest.param(FACTS | {"purposes": ["TREAT"]}, "2-1-1", "member 'purposes'", id="purposes"),
        pytest.param(FACTS | {"endpoints": {}}, "2-1-1", "member 'endpoints'", id="endpoints"),
        pytest.param(FACTS | {"contacts": {}}, "2-1-1", "member 'contacts'", id="contacts"),
        pytest.param({"organization": PANTRY}, "2-1-1", "says nothing", id="nothing"),
        pytest.param(FACTS | {"organization": f"{PANTRY}-2"}, "2-1-1", "takes no part", id="nobody"),
        pytest.param(FACTS | {"name": "\x1b[2J"}, "2-1-1", "name: must be text", id="clears the screen"),
        pytest.param(FACTS, CLINIC, "source: must name", id="source by a URL"),
        pytest.param(FACTS, "", "source: must name", id="no source"),
    ],
)
def test_a_third_party_says_nothing_that_decides_trust(
    draft: Draft, facts: dict[str, Any], source: str, rule: str
) -> None:
    with pytest.raises(DirectoryError, match=rule):
        describe(draft, facts, source)
    assert of(sign(draft), PANTRY).name == PANTRY_ENTRY["name"]


def test_who_is_removed_is_not_in_the_next_one(draft: Draft) -> None:
    draft.remove(PANTRY)
    assert sign(draft).entry(PANTRY) is None
    with pytest.raises(DirectoryError, match="takes no part"):
        draft.remove(PANTRY)


def test_a_statement_that_was_changed_in_the_folder_is_not_signed(draft: Draft) -> None:
    path = draft.folder / "statements" / "harbor-food-pantry.jws"
    path.write_text(forged(PANTRY_ENTRY | {"address": "https://evil.example.org"}, OTHER_KEY) + "\n")
    with pytest.raises(DirectoryError, match=r"harbor-food-pantry\.jws: kid: is not signed by a key"):
        sign(draft)
    assert Directory.read(draft.signed, draft.anchors(), NOW).sequence == 1


def test_only_what_is_new_is_verified_again(draft: Draft, monkeypatch: pytest.MonkeyPatch) -> None:
    add(draft, later(PANTRY_ENTRY, PANTRY_KEY, name="Harbor Food"))
    verified = []
    read = directory_statement.read
    monkeypatch.setattr(
        directory_statement, "read", lambda text, where, now: (verified.append(where), read(text, where, now))
    )
    sign(draft)
    sign(draft)
    assert [Path(where).name for where in verified] == ["harbor-food-pantry.jws"]


def test_a_statement_under_the_name_of_another_is_not_signed(draft: Draft) -> None:
    folder = draft.folder / "statements"
    (folder / "third.jws").write_bytes((folder / "mill-street-clinic.jws").read_bytes())
    with pytest.raises(DirectoryError, match=r"third\.jws: is not the statement of"):
        sign(draft)


def test_only_an_anchor_that_nodes_pin_signs(draft: Draft) -> None:
    path = draft.folder / "keys" / "other.pem"
    keys.save(path, keys.generate())
    with pytest.raises(KeyFileError, match="neither of the anchors"):
        directory_release.sign_next(draft, NOW, path)
    assert directory_release.sign_next(draft, NOW, draft.key("next-anchor")).directory.sequence == 2


def test_anchors_follow_one_another(draft: Draft) -> None:
    pinned = draft.anchors()
    retired, fresh = directory_release.roll_anchor(draft)
    assert [key.thumbprint() for key in draft.anchors()] == [pinned[1].thumbprint(), fresh.thumbprint()]
    assert public_key(draft.public(retired)).thumbprint() == pinned[0].thumbprint()
    after = sign(draft)
    assert (after.sequence, len(after.previous)) == (2, 1)
    # A node that pins what it was given before goes on; one that pins only the retired key does not.
    assert Directory.read(draft.signed, pinned, NOW).sequence == 2
    with pytest.raises(DirectoryError, match="anchor"):
        Directory.read(draft.signed, pinned[:1], NOW)


def listed(draft: Draft, folder: Path) -> suspensions.Suspensions:
    suspender = public_key(draft.public("suspender"))
    return suspensions.read(folder / "suspensions.jws", suspender, ISSUER, NOW)


def test_the_list_is_changed_without_the_anchors(draft: Draft) -> None:
    for name in ("anchor", "next-anchor"):
        draft.key(name).unlink()
    assert listed(draft, draft.signed).sequence == 1
    directory_release.change_list(draft, NOW, suspend=[PANTRY])
    found = directory_release.change_list(draft, NOW, suspend=[CLINIC], hours=6)
    assert found == listed(draft, draft.signed)
    assert (found.sequence, found.organizations) == (3, {PANTRY, CLINIC})
    assert found.expires == NOW + timedelta(hours=6)
    assert directory_release.change_list(draft, NOW, restore=[PANTRY]).organizations == {CLINIC}
    assert directory_release.change_list(draft, NOW).organizations == {CLINIC}


def test_who_is_suspended_stays_so_when_the_next_directory_is_signed_or_it_is_removed(draft: Draft) -> None:
    directory_release.change_list(draft, NOW, suspend=[PANTRY])
    draft.remove(PANTRY)
    sign(draft)
    assert listed(draft, draft.signed).holds(PANTRY)
    assert directory_release.change_list(draft, NOW, suspend=[PANTRY]).organizations == {PANTRY}


def test_another_suspender_takes_the_place_of_one_that_was_stolen(draft: Draft) -> None:
    directory_release.change_list(draft, NOW, suspend=[PANTRY])
    stolen = keys.load(draft.key("suspender"))
    retired, found = directory_release.roll_suspender(draft, NOW)
    assert (found.sequence, found.organizations) == (3, {PANTRY})
    assert public_key(draft.public(retired)).thumbprint() == stolen.thumbprint()
    named = sign(draft).suspender
    assert named is not None
    assert suspensions.read(draft.signed / "suspensions.jws", ECKey.import_key(named), ISSUER, NOW) == found
    # It was no anchor and has not become one.
    assert stolen.thumbprint() not in {key.thumbprint() for key in draft.anchors()}
    publish(
        draft.signed, ISSUER, [PANTRY_ENTRY], stolen, sequence=9, now=NOW, suspender=keys.public_jwk(stolen)
    )
    with pytest.raises(DirectoryError, match="not signed by an anchor"):
        sign(draft)


def test_a_slip_of_the_pen_suspends_nobody(draft: Draft) -> None:
    with pytest.raises(DirectoryError, match=f"takes no part in this directory; did you mean {PANTRY}"):
        directory_release.change_list(draft, NOW, suspend=[f"{PANTRY}s"])
    with pytest.raises(DirectoryError, match="is not suspended"):
        directory_release.change_list(draft, NOW, restore=[PANTRY])
    assert listed(draft, draft.signed).sequence == 1


def test_what_is_laid_out_is_what_was_signed_and_never_older(draft: Draft, tmp_path: Path) -> None:
    www = tmp_path / "www"
    first = directory_release.lay_out(draft.signed, draft.anchors(), www, NOW)
    assert Directory.read(www, draft.anchors(), NOW).digest == first.digest
    assert listed(draft, www).sequence == 1
    stale = tmp_path / "stale"
    directory_release.lay_out(draft.signed, draft.anchors(), stale, NOW)
    add(draft, later(PANTRY_ENTRY, PANTRY_KEY, name="Harbor Food"))
    sign(draft)
    directory_release.change_list(draft, NOW, suspend=[PANTRY])
    second = directory_release.lay_out(draft.signed, draft.anchors(), www, NOW)
    # For the nodes that have fetched the first manifest its shard is still there; after the next it is not.
    assert {path.stem for path in (www / "shards").iterdir()} == {*first.shards, *second.shards}
    with pytest.raises(DirectoryError, match="holds number 2 already, and this is 1"):
        directory_release.lay_out(stale, draft.anchors(), www, NOW)
    assert directory_release.lay_list(stale, first, www, NOW) == listed(draft, stale)
    assert listed(draft, www).holds(PANTRY)
    sign(draft)
    directory_release.lay_out(draft.signed, draft.anchors(), www, NOW)
    assert {path.stem for path in (www / "shards").iterdir()} == set(second.shards)


def test_a_second_directory_under_one_number_is_not_laid_out(draft: Draft, tmp_path: Path) -> None:
    www, copy = tmp_path / "www", tmp_path / "copy"
    directory_release.lay_out(draft.signed, draft.anchors(), copy, NOW)
    sign(draft)
    directory_release.lay_out(draft.signed, draft.anchors(), www, NOW)
    for path in copy.iterdir():  # as a restored backup of the folder would be
        if path.is_file():
            (draft.signed / path.name).write_bytes(path.read_bytes())
    directory_release.sign_next(draft, NOW + timedelta(minutes=1))
    with pytest.raises(DirectoryError, match="another directory under the same number 2"):
        directory_release.lay_out(draft.signed, draft.anchors(), www, NOW + timedelta(minutes=2))


@pytest.mark.parametrize("part", ["manifest.jws", "shards/*.json", "suspensions.jws"])
def test_a_damaged_copy_is_mended(part: str, draft: Draft, tmp_path: Path) -> None:
    www = tmp_path / "www"
    found = directory_release.lay_out(draft.signed, draft.anchors(), www, NOW)
    [damaged] = www.glob(part)
    damaged.write_text("damaged")
    directory_release.lay_out(draft.signed, draft.anchors(), www, NOW)
    assert Directory.read(www, draft.anchors(), NOW).digest == found.digest
    assert listed(draft, www).sequence == 1
