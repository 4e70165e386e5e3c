"""Compare with LEAP and print the figures; ends with 1 where a difference is not explained.

LEAP=<checkout of sdhealthconnect/leap-cds> python -m leap [how many cases]
"""

from __future__ import annotations

import json
import os
import sys

from leap.compare import Compared, compare, report
from leap.service import commit, missing

COUNT = 10_000
_SHOWN = ("id", "status", "dateTime", "provision")


def main() -> int:
    """Run, print, judge."""
    checkout = os.environ.get("LEAP")
    reason = missing(checkout)
    if reason or checkout is None:
        print(f"Skipped: {reason}")
        return 0
    found = compare(checkout, int(sys.argv[1]) if len(sys.argv) > 1 else COUNT)
    print("\n".join(report(found, commit(checkout))))
    wrong = [each for each in found if each.causes is None or each.wrongly_sent]
    for each in wrong[:5]:
        print(f"\nNot explained, or wrongly sent:\n{shown(each)}")
    return 1 if wrong else 0


def shown(one: Compared) -> str:
    """A case with what each said."""
    case = one.case
    told = {
        "case": case.number,
        "odd": case.outside,
        "actors": case.actors,
        "purposes": case.purposes,
        "classes": case.classes,
        "consents": [{name: each.get(name) for name in _SHOWN} for each in case.consents],
        "content": case.entries,
        "LEAP": [one.theirs.decision, sorted(one.theirs.released)],
        "ours": [one.ours.decision, sorted(one.ours.released)],
        "forbidden": dict(one.forbidden),
    }
    return json.dumps(told, indent=1)


if __name__ == "__main__":
    sys.exit(main())
