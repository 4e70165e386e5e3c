"""Write docs/reference/regimes: a page for each file in consent/policies/regimes, and an index.

    python scripts/regime_pages.py

A test compares what this writes with the pages.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from textwrap import fill
from typing import Any

from consent.elements import ELEMENTS
from consent.items import SCHEMAS, shipped
from consent.policy import SHIPPED
from profiles.document import load, read_schema

PAGES = Path(__file__).parent.parent / "docs" / "reference" / "regimes"
JURISDICTIONS = {"US": "United States, federal", "US-CT": "Connecticut"}
# Words for the labels and purposes that the regimes name. A new code needs its words here.
LABELS = {
    "R": "restricted",
    "SDV": "abuse, domestic or sexual violence",
    "PERSISTLABEL": "keep the labels",
    "LOCIS": "where someone or something is",
    "SSP": "who the provider of a sensitive service is",
    "ADOL": "a young person who may have the service alone",
    "HIV": "HIV or AIDS",
    "SUD": "substance use",
    "ETH": "alcohol or drug abuse",
    "42CFRPart2": "a record under 42 CFR Part 2",
    "PSY": "psychiatry",
    "MH": "mental health",
    "BH": "behavioral health",
    "PSYTHPN": "psychotherapy note",
    "HIPAAPsyNotes": "psychotherapy note under HIPAA",
    "HIPAASelfPay": "paid for by the person",
}
PURPOSES = {
    "TREAT": "treatment",
    "BTG": "breaking the glass",
    "HPAYMT": "payment",
    "HOPERAT": "health care operations",
    "HLEGAL": "legal proceedings",
    "FAMRQT": "a request of the family",
}
CONSENT = {
    "refused": "**Refused**, whatever the person has signed.",
    "required": "**Needs a consent.**",
    "opt-out": "Goes, unless the person has objected.",
    "not-required": "Goes without a consent. What the person has refused stays here all the same.",
}
PERSONS = {"minor": "a minor", "adult": "an adult"}
ANSWERS = {
    "task": "Where the referral stands can still be read; nothing about the person can.",
    "nothing": "Nothing is answered any more, as if there had never been a referral.",
}
ASK = "**Ask counsel**"
WIDTH = 115
INDEX = """# Regimes

What the law asks, as data: one file in `consent/policies/regimes` for each body of law. These pages are made
from the files by `scripts/regime_pages.py`.

**This is our reading and not legal advice. Counsel must confirm every rule before use.** Where a rule says
{ask}, we have read its text only in part or in somebody else's words.

{table}

How several of them come together ([deciding](../../explanation/deciding.md)):

- A regime is about everything that a kind of source holds, or about what carries certain labels, whoever
  holds it. A kind of source that no regime is about as a whole shares nothing.
- For each item the first rule of a regime that fits decides. What no rule fits, the regime does not allow.
- Where several regimes are about an item, the strictest counts: refused, then consent, then objection, then
  freely. The consent must state all that any of them asks. Unlisted goes only what each of them takes as
  meant.
- Where the age of the person is not known, the rules for minors and for adults both count.
- An element of a consent counts only if every permit in the consent states it.
- The directory does not say what kind of agency an entry is. A recipient whose kind is not known is nobody in
  particular, so a rule for certain recipients only ever makes something easier.
- The four general notices are worded the same from every source. A wording that one kind of source used alone
  would tell the recipient who the person turned to.

Another state's law is more files of this form; a node reads them from its `policies` folder
([configuration](../configuration.md)).
"""


def pages() -> dict[str, str]:
    """Every page by its name: README.md and one for each regime."""
    found = list(_regimes())
    made = {f"{regime['id']}.md": _page(path, regime) for path, regime in found}
    return {"README.md": _index([regime for _, regime in found])} | made


def _regimes() -> Iterator[tuple[Path, Mapping[str, Any]]]:
    schema = read_schema(SCHEMAS / "regime.schema.json")
    for path in sorted((SHIPPED / "regimes").glob("*.yaml")):
        yield path, load(path, schema).data


def notices() -> Mapping[str, str]:
    """The words of every notice."""
    words: Mapping[str, str] = load(
        SHIPPED / "notices.yaml", read_schema(SCHEMAS / "notices.schema.json")
    ).data["notices"]
    return words


def _index(regimes: list[Mapping[str, Any]]) -> str:
    rows = (
        (
            f"[{regime['title']}]({regime['id']}.md)",
            JURISDICTIONS[regime["jurisdiction"]],
            _about(regime, words=False),
            f"{len(regime['rules'])}",
            f"{sum(map(_asks, _cited(regime)))} of {len(list(_cited(regime)))}",
        )
        for regime in regimes
    )
    return INDEX.format(
        ask=ASK, table=_table(("Regime", "Where", "About", "Rules", "Ask counsel"), rows).rstrip("\n")
    )


def _page(path: Path, regime: Mapping[str, Any]) -> str:
    parts = [
        f"# {regime['title']}",
        _wrapped(
            f"{JURISDICTIONS[regime['jurisdiction']]}. Made from `consent/policies/regimes/{path.name}` by "
            "`scripts/regime_pages.py`: change the file, not this page. [All regimes](README.md)."
        ),
        _wrapped("**Not legal advice. Counsel must confirm every rule before use.**" + _asked(regime)),
        _wrapped(f"**About** {_about(regime)}." + _inside(regime)),
        "## Rules",
        "For each item the first rule that fits decides. An item that none fits is not shared.",
        *map(_rule, regime["rules"]),
    ]
    if "closed" in regime:
        closed = regime["closed"]
        parts += ["## Once closed", _section(closed, [ANSWERS[closed["answer"]]])]
    if "substitutions" in regime:
        parts += ["## What is served instead", *map(_substitution, regime["substitutions"])]
    if "notices" in regime:
        parts += ["## What travels along", _notices(regime["notices"])]
    return "\n\n".join(parts) + "\n"


def _section(rule: Mapping[str, Any], points: Iterable[str]) -> str:
    """A rule under its own heading: its sentence, then its points, then the law."""
    law = f"Law: {rule['citation']}." + (f" {ASK}." if _asks(rule) else "")
    listed = "\n".join(_point(point) for point in (*points, law))
    return f"### `{rule['id']}`\n\n{_wrapped(rule['text'])}\n\n{listed}"


def _asked(regime: Mapping[str, Any]) -> str:
    count = sum(map(_asks, _cited(regime)))
    return (
        f" {count} of {len(list(_cited(regime)))} are marked {ASK}: their text was not verified."
        if count
        else ""
    )


def _about(regime: Mapping[str, Any], *, words: bool = True) -> str:
    applies = regime["applies-to"]
    kinds = applies["kinds"]
    who = "any source" if kinds == "any" else f"a source of the kind {_or(f'`{kind}`' for kind in kinds)}"
    if "labels" not in applies:
        return f"everything that {who} holds"
    labels = _or(map(_label, applies["labels"]) if words else (f"`{code}`" for code in applies["labels"]))
    return f"what {who} holds that carries the label {labels}"


def _inside(regime: Mapping[str, Any]) -> str:
    if "labels" not in regime:
        return ""
    labels = ", ".join(map(_label, regime["labels"]))
    return f" Inside, all of it carries the labels {labels}; they never go out."


def _rule(rule: Mapping[str, Any]) -> str:
    points = [*_conditions(rule), CONSENT[rule["consent"]]]
    if rule["must-contain"]:
        who = (
            "The consent"
            if rule["consent"] == "required"
            else "Where the parties have agreed to ask for one, it"
        )
        stated = (words for element, words in ELEMENTS.items() if element in rule["must-contain"])
        points.append("\n".join((f"{who}:", *(f"  - {words}" for words in stated))))
    if rule["implied-items"]:
        points.append(f"Meant without being listed: {shipped().listed(rule['implied-items'])}.")
    elif rule["consent"] == "required":
        points.append("Nothing is meant without being listed.")
    return _section(rule, points)


def _conditions(rule: Mapping[str, Any]) -> Iterator[str]:
    """What a rule is limited to; one without limits says so."""
    found = []
    if rule["purposes"] != "any":
        purposes = _or(f"{PURPOSES[code]} (`{code}`)" for code in rule["purposes"])
        found.append(f"For {purposes} and what falls under it.")
    if rule.get("recipients", "any") != "any":
        found.append(f"To a {_or(f'`{kind}`' for kind in rule['recipients'])}.")
    if rule.get("labels", "any") != "any":
        found.append(f"What carries the label {_or(map(_label, rule['labels']))}.")
    if rule.get("person", "any") != "any":
        found.append(f"About {PERSONS[rule['person']]}.")
    yield from found or ["For any purpose, to anyone."]


def _substitution(rule: Mapping[str, Any]) -> str:
    value = rule["value"].values()
    shown = ", ".join(", ".join(part) if isinstance(part, list) else part for part in value)
    labels = _or(map(_label, rule["labels"]))
    where = f"In place of: {shipped().listed(rule['items'])}, where it carries the label {labels}."
    return _section(rule, [where, f"Served: {shown}."])


def _notices(rules: list[Mapping[str, Any]]) -> str:
    words = notices()
    rows = (
        (
            f"`{rule['id']}`",
            words[rule["notice"]],
            rule["text"]
            + (f" Only with what carries {_or(map(_label, rule['labels']))}." if "labels" in rule else ""),
            rule["citation"] + (f". {ASK}" if _asks(rule) else ""),
        )
        for rule in rules
    )
    return "With the dossier, never with the offer:\n\n" + _table(
        ("Rule", "The recipient reads", "Why", "Law"), rows
    ).rstrip("\n")


def _cited(regime: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Everything in a regime that rests on a citation."""
    yield from regime["rules"]
    if "closed" in regime:
        yield regime["closed"]
    yield from regime.get("notices", ())
    yield from regime.get("substitutions", ())


def _asks(rule: Mapping[str, Any]) -> bool:
    return bool(rule.get("ask-counsel", False))


def _label(code: str) -> str:
    return f"`{code}` ({LABELS[code]})"


def _or(parts: Iterable[str]) -> str:
    *most, last = parts
    return f"{', '.join(most)} or {last}" if most else last


def _wrapped(text: str) -> str:
    return fill(text, WIDTH, break_long_words=False, break_on_hyphens=False)


def _point(text: str) -> str:
    """A point of a list; one that has points of its own stays in its lines."""
    if "\n" in text:
        return f"- {text}"
    indent = {"initial_indent": "- ", "subsequent_indent": "  "}
    return fill(text, WIDTH, break_long_words=False, break_on_hyphens=False, **indent)


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    columns = list(head)
    lines = [columns, ["---"] * len(columns), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


if __name__ == "__main__":
    for name, text in pages().items():
        (PAGES / name).write_text(text, encoding="utf-8")
