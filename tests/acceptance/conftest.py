"""The worlds of the two-world and canary tests, each run once."""

from __future__ import annotations

from collections.abc import Mapping

import canaries
import pytest
import worlds as world
from worlds import Seen


@pytest.fixture(scope="session")
def worlds(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Seen]:
    """`first`; two that differ from it in what is withheld; and one that differs in what is not."""
    plans = {
        "first": (canaries.RELEASED, canaries.HELD, canaries.SPOILT),
        "same lengths": (canaries.SAME_LENGTHS, canaries.HELD_SAME_LENGTHS, []),
        "other lengths": (canaries.OTHER_LENGTHS, canaries.HELD_OTHER_LENGTHS, []),
        "other alias": (canaries.RELEASED | {"first_name_or_alias": "Luzqzxother"}, None, []),
    }
    return {name: world.run(tmp_path_factory.mktemp("world"), *plan) for name, plan in plans.items()}
