"""The printed release: one page that a person can read, made from the Consent that is computed with.

A whole HTML document without scripts and without anything that would have to be fetched. Every value is
escaped. The page and the Consent cannot say different things, because the page has no other source; only
the organisations' names, which a Consent does not hold, are given.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path
from string import Template
from typing import Any, Final

from consent.elements import ADULT
from consent.items import shipped
from consent.r4_parts import codings
from consent.words import Words, words
from profiles.canonical import CONSENT_REPLACES, CONSENT_STATEMENT, DISCLOSURE_ITEM, REGIME

_PAGE: Final = Template((Path(__file__).parent / "templates" / "release.html").read_text(encoding="utf-8"))
_PROTECTED: Final = "vawa"
_DIGITS: Final = re.compile(
    r"(?<=\d)-(?=\d)"
)  # the hyphens of a telephone number, which must not be torn apart
_ROWS: Final = {"person": "Patient", "guardian": "RelatedPerson"}
# Lines that fit on one page in the largest type and in the next; widths in characters of the largest.
_LARGE, _SMALLER = 25, 32
_WHOLE_WIDTH, _HALF_WIDTH = 100, 44


@dataclass(frozen=True, slots=True)
class Printed:
    """What only the agency knows: its name as the person knows it, the directory's names of the recipients.

    names: directory URL → name. alias: the name that recipients know the agency by, where that is another.
    contact: whom the person can tell that she takes it back. implied: items that the law takes as meant by
    any release to refer; the page tells those that are not listed.
    """

    agency: str
    names: Mapping[str, str]
    alias: str = ""
    contact: str = ""
    implied: frozenset[str] = frozenset()


def release_page(consent: Mapping[str, Any], printed: Printed, language: str) -> str:
    """The page as HTML. Raises ValueError, which says what to do, for a Consent that has no such page.

    That is one of another form than `consent.new_consent` writes, one that lists no items, a recipient
    whose name is not known, or a purpose that nobody has put into plain words.
    """
    say = words(language)
    release = _Release.read(consent)
    fill = {
        "agency": printed.agency,
        "alias": printed.alias,
        "contact": _DIGITS.sub("\N{NON-BREAKING HYPHEN}", printed.contact),
        "start": say.day(release.start),
        "end": say.day(release.end) if release.end else "",
    }
    implied = _words_of(printed.implied - release.items, say)
    fill["items"] = ", ".join(implied)
    form = {key: text.format_map(fill) for key, text in say.form.items()}
    facts, listed = _facts(release, printed, say, form), _listed(release, say)
    rights, undone = list(_rights(release, printed, form)), list(_undone(release, form))
    filled = {
        "language": say.language,
        "density": _density(facts, listed.values(), rights + undone, len(release.signers)),
        "agency": escape(printed.agency),
        **{key: escape(form[key]) for key in ("title", "lead", "what")},
        "sign": escape(f"{form['adult']} {form['sign']}" if ADULT in release.statements else form["sign"]),
        "only": escape(f"{form['only']} {form['also']}" if implied else form["only"]),
        "rights_title": escape(form["rights"]),
        "undone_title": escape(form["undone"]),
        "facts": "\n".join(
            f"<div><dt>{escape(form[key])}</dt>{''.join(f'<dd>{escape(line)}</dd>' for line in lines)}</div>"
            for key, lines in facts.items()
        ),
        "items": "\n".join(
            f"<h3>{escape(form[heading])}</h3>\n<ul>\n{_bullets(items)}\n</ul>"
            for heading, items in listed.items()
        ),
        "rights": _bullets(rights),
        "undone": _bullets(undone),
        "signers": _signers(release, form),
        "office": _office(release, form),
    }
    return _PAGE.substitute(filled)


@dataclass(frozen=True, slots=True)
class _Release:
    """The parts of a Consent that the page shows."""

    recipients: tuple[str, ...]
    purposes: tuple[str, ...]
    items: frozenset[str]
    start: str
    end: str
    statements: frozenset[str]
    signers: frozenset[str]
    replaces: str
    regime: frozenset[str]
    file: str
    kept: str

    @classmethod
    def read(cls, consent: Mapping[str, Any]) -> _Release:
        try:
            root, inner = consent["provision"], consent["provision"]["provision"]
            if _plain(root, inner):
                found = cls._of(consent, root, inner)
                if found.items <= shipped().entries.keys():
                    return found
        except (AttributeError, KeyError, TypeError):  # a shape that the page knows nothing of
            pass
        raise ValueError(
            "Only a release of the form that `waymeet consent new` writes can be printed: everything is "
            "refused but a list of items, for named recipients, with a purpose and a period."
        )

    @classmethod
    def _of(cls, consent: Mapping[str, Any], root: Mapping[str, Any], inner: list[Any]) -> _Release:
        period, extensions = root["period"], consent.get("extension", [])
        return cls(
            recipients=tuple(actor["reference"]["reference"] for actor in root["actor"]),
            purposes=tuple(coding["code"] for coding in root["purpose"]),
            items=frozenset(
                code
                for permit in inner
                for concept in permit["code"]
                for code in codings(concept, DISCLOSURE_ITEM)
            ),
            start=period["start"],
            end=period.get("end", ""),
            statements=frozenset(one["valueCode"] for one in extensions if one["url"] == CONSENT_STATEMENT),
            signers=frozenset(one.get("type", "") for one in consent.get("performer", [])),
            replaces="".join(
                one["valueReference"]["reference"].rpartition("/")[2]
                for one in extensions
                if one["url"] == CONSENT_REPLACES
            ),
            regime=codings(consent.get("policyRule"), REGIME),
            file=consent["patient"]["identifier"]["value"],
            kept=consent.get("sourceAttachment", {}).get("title", ""),
        )


def _plain(root: Mapping[str, Any], inner: list[Mapping[str, Any]]) -> bool:
    """Whether it is a permit list whose every limit stands at the root, where the page shows it."""
    shown = {"type", "period", "actor", "action", "purpose", "provision"}
    return (
        root["type"] == "deny"
        and root.keys() <= shown
        and bool(inner)
        and all(permit["type"] == "permit" and permit.keys() == {"type", "code"} for permit in inner)
    )


def _density(
    facts: Mapping[str, list[str]], listed: Iterable[list[str]], bullets: Iterable[str], rows: int
) -> str:
    """How large the type can be: a guess at the lines that the page needs."""
    halves = [sum(_lines(line, _HALF_WIDTH) for line in lines) for lines in facts.values()]
    count = max(halves[:2]) + max(halves[2:])
    for items in listed:
        count += 1 + (sum(_lines(item, _HALF_WIDTH) for item in items) + 1) // 2
    count += sum(_lines(line, _WHOLE_WIDTH) for line in bullets) + 3 * rows
    return "" if count <= _LARGE else "full" if count <= _SMALLER else "crowded"


def _lines(text: str, width: int) -> int:
    return len(text) // width + 1


def _facts(release: _Release, printed: Printed, say: Words, form: Mapping[str, str]) -> dict[str, list[str]]:
    return {
        "who-gives": [printed.agency, *([form["goes-by"]] if printed.alias else [])],
        "who-receives": [_name(url, printed.names) for url in release.recipients],
        "what-for": [_sentence(_in_words(code, say.purposes)) for code in release.purposes],
        "how-long": [form["period" if release.end else "open"]],
    }


def _name(url: str, names: Mapping[str, str]) -> str:
    if url not in names:
        raise ValueError(
            "A recipient's name is not known here. Name the node whose directory has it: --config node.yaml."
        )
    return names[url]


def _in_words(code: str, known: Mapping[str, str]) -> str:
    if code not in known:
        raise ValueError(
            f"{code} has no plain words in this language, and nobody can agree to what cannot be read. "
            f"These have: {', '.join(known)}."
        )
    return known[code]


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _listed(release: _Release, say: Words) -> dict[str, list[str]]:
    """The items in words, under the heading that they stand under."""
    found = {
        heading: _words_of((code for code in release.items if shipped().entries[code].group == group), say)
        for group, heading in (("offer", "about-the-need"), ("person", "about-me"))
    }
    return {heading: items for heading, items in found.items() if items}


def _words_of(items: Iterable[str], say: Words) -> list[str]:
    wanted = frozenset(items)
    return [_in_words(code, say.items) for code in shipped().entries if code in wanted]


def _rights(release: _Release, printed: Printed, form: Mapping[str, str]) -> Iterable[str]:
    """What the form says of the person's rights: only what the Consent states that it says."""
    if "voluntary" in release.statements:
        yield form["voluntary"]
    if "right-to-revoke" in release.statements:
        yield f"{form['right-to-revoke']} {form['contact']}" if printed.contact else form["right-to-revoke"]
    if "consequences" in release.statements:
        yield form["consequences"]
    yield form["copy"]


def _undone(release: _Release, form: Mapping[str, str]) -> Iterable[str]:
    yield form["seen"]
    if "redisclosure-statement" in release.statements:
        yield form["redisclosure-statement"]


def _bullets(lines: Iterable[str]) -> str:
    return "\n".join(f"<li>{escape(line)}</li>" for line in lines)


def _signers(release: _Release, form: Mapping[str, str]) -> str:
    """A row for each who signs, and one for the staff member or witness."""
    blanks = "".join(f"<span>{escape(form[key])}</span>" for key in ("my-name", "signature", "date"))
    rows = [who for who, kind in _ROWS.items() if kind in release.signers] + ["witness"]
    parts = []
    for who in rows:
        safe = who == "guardian" and _PROTECTED in release.regime
        more = f"<p>{escape(form['guardian-safe'])}</p>" if safe else ""
        parts.append(f'<div class="signer"><h3>{escape(form[who])}</h3>{blanks}{more}</div>')
    return "\n".join(parts)


def _office(release: _Release, form: Mapping[str, str]) -> str:
    shown = {"file": release.file, "kept": release.kept, "replaces": release.replaces}
    parts = [f"<strong>{escape(form['agency-only'])}</strong>"]
    parts += [f"<span>{escape(form[key])}: {escape(value)}</span>" for key, value in shown.items() if value]
    parts.append(f'<span>{escape(form["number"])}: <span class="blank"></span></span>')
    return "\n".join(parts)
