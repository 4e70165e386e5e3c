"""A resource that is read, judged and written again says the same, digit by digit and in the same order.

Both readers are asked: the node's (`gateway.fhir_json`) and the strict one. What was sent and what is written
are compared by a third reader, which keeps every number's text and every key's place. The guide's examples
are HL7's, so they are read from `../shared/refs` where a checkout has that folder beside it.
"""

import json
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from gateway import fhir_json
from profiles import errors, strict_json, validate
from profiles.document import load

CASES = Path(__file__).parents[1] / "cases"
OURS = (CASES / "validation" / "fidelity.ndjson").read_bytes().splitlines()
REFS = Path(__file__).parents[3] / "shared" / "refs"
READERS = {"the node's": fhir_json.decode, "the strict one": strict_json.read}
Read = Callable[[bytes], Any]
readers = pytest.mark.parametrize("read", READERS.values(), ids=READERS)


def told(text: bytes) -> Any:
    """What a text says: objects as lists of pairs, numbers with every digit (2.0 is not 2, 1e2 is 1E+2)."""

    def number(word: str) -> tuple[str, Any]:
        return "number", Decimal(word).as_tuple()

    return json.loads(text, object_pairs_hook=list, parse_float=number, parse_int=number)


def passed_through(text: bytes, read: Read) -> bytes:
    resource = read(text)
    validate(resource)
    return fhir_json.encode(resource)


def good_cases() -> Iterator[tuple[str, dict[str, Any]]]:
    """The good resources of our other cases."""
    for path in sorted((CASES / "profiles").glob("*.yaml")):
        yield path.stem, load(path, {}).data["good"]
    yield from load(CASES / "validation" / "known-holes.yaml", {}).data["good"].items()


@readers
@pytest.mark.parametrize("text", OURS, ids=lambda text: told(text)[0][1])
def test_what_is_hard_to_keep_is_kept(text: bytes, read: Read) -> None:
    assert errors(validate(read(text))) == []
    assert told(passed_through(text, read)) == told(text)


@readers
@pytest.mark.parametrize(("name", "resource"), list(good_cases()))
def test_our_own_resources_pass_through_unchanged(name: str, resource: dict[str, Any], read: Read) -> None:
    text = json.dumps(resource, indent=1).encode()
    assert told(passed_through(text, read)) == told(text)


@readers
@pytest.mark.skipif(not REFS.is_dir(), reason="the guide's examples are not beside this checkout")
@pytest.mark.parametrize("folder", ["sdoh-clinicalcare-3.0.0/examples", "us-core-7.0.0"])
def test_what_the_guides_publish_passes_through_unchanged(folder: str, read: Read) -> None:
    files = sorted((REFS / folder).rglob("*.json"))
    assert len(files) > 10
    for path in files:
        text = path.read_bytes()
        assert (path.name, told(passed_through(text, read))) == (path.name, told(text))


def test_the_comparison_sees_what_it_must() -> None:
    """Were it blind to digits or to order, the tests above could not fail."""
    for one, other in [
        ("2.00", "2.0"),
        ("1e2", "100"),
        ('{"a":1,"b":2}', '{"b":2,"a":1}'),
        ("[1,2]", "[2,1]"),
    ]:
        assert told(one.encode()) != told(other.encode())
    assert told(b'[1e2, "\\u0041"]') == told(b'[1E+2,"A"]')


def test_judging_changes_nothing_even_where_much_is_wrong() -> None:
    text = (
        b'{"resourceType":"Patient","gender":"x","name":[{},{"given":[null]}],"meta":{"profile":[1,"urn:x"]}}'
    )
    assert told(passed_through(text, strict_json.read)) == told(text)
