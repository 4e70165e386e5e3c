"""Both engines over the same cases, and what their differences come from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml
from leap import prose, service
from leap.generator import NOW, Case, cases
from leap.ours import decide
from leap.readings import Reader
from leap.service import Answer

CLASSES: Final[list[dict[str, str]]] = yaml.safe_load(
    Path(__file__).with_name("differences.yaml").read_text("utf-8")
)
DECISIONS: Final = ("permit", "deny", "no-consent")
SWITCHES: Final = tuple(each["id"] for each in CLASSES)


@dataclass(frozen=True, slots=True)
class Compared:
    """One case with both answers. causes: None where not explained; forbidden: by the published text."""

    case: Case
    theirs: Answer
    ours: Answer
    causes: frozenset[str] | None
    forbidden: Mapping[str, str]

    @property
    def agreed(self) -> bool:
        """Whether both say and send the same."""
        return self.theirs == self.ours

    @property
    def wrongly_sent(self) -> frozenset[str]:
        """What we would send against the published text."""
        return self.ours.released & self.forbidden.keys()

    @property
    def wrongly_sent_by_them(self) -> frozenset[str]:
        """What LEAP would."""
        return self.theirs.released & self.forbidden.keys()


def compare(checkout: str, count: int) -> list[Compared]:
    """Ask both about `count` cases. LEAP's clock is set to the cases'."""
    drawn = list(cases(count))
    with service.running(checkout, drawn, NOW) as port:
        theirs = service.ask(port, drawn)
    return [compared(case, answer, decide(case)) for case, answer in zip(drawn, theirs, strict=True)]


def compared(case: Case, theirs: Answer, ours: Answer) -> Compared:
    """The two answers to one case, with what a difference comes from."""
    causes = None
    if Reader(case, ()).answer() == theirs and Reader(case, SWITCHES).answer() == ours:
        causes = frozenset(_smallest(case, ours)) if theirs != ours else frozenset()
    return Compared(case, theirs, ours, causes, prose.forbidden(case))


def _smallest(case: Case, ours: Answer) -> list[str]:
    """Switches that lead from LEAP's answer to ours and of which none can be left out."""
    kept = list(SWITCHES)
    for each in SWITCHES:
        without = [one for one in kept if one != each]
        if Reader(case, without).answer() == ours:
            kept = without
    return kept


def report(found: list[Compared], commit: str) -> Iterator[str]:
    """Figures as Markdown, for docs/reference/consent-peers.md."""
    agreed = [each for each in found if each.agreed]
    yield f"LEAP at commit {commit}; {len(found):,} cases."
    yield ""
    yield "| | cases |"
    yield "|---|---:|"
    yield f"| same decision, same resources | {len(agreed):,} |"
    yield f"| same decision, other resources | {_count(found, _only_data):,} |"
    yield f"| other decision | {sum(each.theirs.decision != each.ours.decision for each in found):,} |"
    yield f"| differences that are not explained | {sum(each.causes is None for each in found):,} |"
    yield f"| LEAP sends what the text forbids | {sum(bool(each.wrongly_sent_by_them) for each in found):,} |"
    yield f"| we send what the text forbids | {sum(bool(each.wrongly_sent) for each in found):,} |"
    yield ""
    yield "| LEAP \\ we | permit | deny | no-consent |"
    yield "|---|---:|---:|---:|"
    pairs = Counter((each.theirs.decision, each.ours.decision) for each in found)
    for theirs in DECISIONS:
        yield f"| {theirs} | " + " | ".join(f"{pairs[theirs, ours]:,}" for ours in DECISIONS) + " |"
    yield ""
    yield "| class | cases | alone | we send less | we send more | LEAP sends what is forbidden | right |"
    yield "|---|---:|---:|---:|---:|---:|---|"
    for each in CLASSES:
        hit = [one for one in found if one.causes and each["id"] in one.causes]
        yield (
            f"| `{each['id']}` | {len(hit):,} | {sum(len(one.causes or ()) == 1 for one in hit):,}"
            f" | {sum(bool(one.theirs.released - one.ours.released) for one in hit):,}"
            f" | {sum(bool(one.ours.released - one.theirs.released) for one in hit):,}"
            f" | {sum(bool(one.wrongly_sent_by_them) for one in hit):,} | {each['right']} |"
        )


def explained() -> Iterator[str]:
    """The classes in words as Markdown, for the same document."""
    yield "| class | LEAP | we | the published text is with | why |"
    yield "|---|---|---|---|---|"
    for each in CLASSES:
        source = "" if each["source"] == "none" else f" *{each['source']}.*"
        side = {"we": "us", "open": "neither", "LEAP": "LEAP"}[each["right"]]
        yield f"| `{each['id']}` | {each['leap']} | {each['ours']} | {side} | {each['why']}{source} |"


def _count(found: Iterable[Compared], wanted: Any) -> int:
    return sum(map(wanted, found))


def _only_data(one: Compared) -> bool:
    return one.theirs.decision == one.ours.decision and one.theirs.released != one.ours.released
