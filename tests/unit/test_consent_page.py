"""The printed release: what it says, in whose words, no more than the Consent says, and on one page."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from datetime import UTC, datetime
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from consent_world import NAMES, POLICY, changed, org

from consent.form import Printed, release_page
from consent.items import shipped
from consent.release import new_consent
from consent.words import LANGUAGES, words

HOW = Printed("Safe Harbor", NAMES, contact="Ana Ruiz, 203-555-0147")


def release(**given: Any) -> dict[str, Any]:
    return new_consent(
        **{
            "patient": ("https://example.org/ids", "C-0417"),
            "source": org("safe-harbor"),
            "recipients": [org("harbor-food-pantry")],
            "purpose": "COC",
            "items": ["need", "alias", "household-size"],
            "start": "2026-06-01",
            "end": "2026-06-19",
            "signed": "Case file, office safe",
            "recorded": datetime(2026, 6, 1, 9, tzinfo=UTC),
            "regime": "vawa",
            **given,
        }
    )


def text(page: str) -> str:
    """What a reader sees, one line for each block."""
    body = page.partition("<body")[2].partition(">")[2]
    lines = re.sub(r"<(?!/?(?:strong|span)\b)[^>]*>", "\n", body).splitlines()
    return "\n".join(unescape(line) for one in lines if (line := re.sub(r"<[^>]*>", " ", one).strip()))


# ---------------------------------------------------------------- what it says


def test_the_page_says_who_what_to_whom_what_for_and_how_long() -> None:
    said = text(release_page(release(), HOW, "en")).split("\n")
    assert said[:2] == ["Safe Harbor", "My permission to share information"]
    facts = said[said.index("Who shares") : said.index("What may be shared")]
    assert facts == [
        "Who shares",
        "Safe Harbor",
        "Who receives",
        "Harbor Food Pantry",
        "What for",
        "To arrange the help I ask for.",
        "How long",
        "From June 1, 2026 through June 19, 2026. After that day nothing more is shared.",
    ]
    items = said[said.index("What may be shared") : said.index("My rights")]
    assert items[1:] == [
        "Only what is on this list. Nothing else.",
        "About what I need",
        "what I need",
        "About me",
        "the name I go by",
        "how many people are in my household",
    ]


def test_the_same_release_in_spanish() -> None:
    said = text(release_page(release(), HOW, "es"))
    assert "Mi permiso para compartir información" in said
    assert "Desde el 1 de junio de 2026 hasta el 19 de junio de 2026, ese día incluido." in said
    assert "cuántas personas hay en mi hogar" in said
    assert not re.search(r"\b(the|and|share|household)\b", said)


def test_it_says_how_to_take_it_back_and_what_stays() -> None:
    said = text(release_page(release(), HOW, "en"))
    assert "I can take this back at any time." in said
    assert "Ana Ruiz, 203\N{NON-BREAKING HYPHEN}555\N{NON-BREAKING HYPHEN}0147" in said
    assert "None of its services depends on this page." in said
    assert "What they have already seen or written down cannot be called back." in said
    assert "They could pass it on." in said


def test_it_says_only_what_the_consent_states_that_it_says() -> None:
    said = text(release_page(release(statements=["voluntary"]), HOW, "en"))
    assert "I can say no." in said
    for sentence in ("take this back at any time", "They may not be able to help me", "could pass it on"):
        assert sentence not in said


def test_only_those_who_sign_have_a_line_and_a_guardian_says_what_the_law_asks() -> None:
    alone = text(release_page(release(), HOW, "en"))
    assert "My parent or guardian" not in alone and alone.count("Signature") == 2
    both = text(release_page(release(signers=["patient", "guardian"]), HOW, "en"))
    assert both.count("Signature") == 3
    assert "The one who signs here has not abused me or my other parent." in both
    clinic = release_page(release(signers=["guardian"], regime="hipaa"), HOW, "en")
    assert "abused" not in text(clinic) and text(clinic).count("Signature") == 2


def test_who_says_to_be_of_age_signs_that() -> None:
    assert "I am 18 or older. I have read this page" in text(release_page(release(adult=True), HOW, "en"))
    assert "18 or older" not in text(release_page(release(), HOW, "en"))


def test_a_release_without_an_end_says_so() -> None:
    said = text(release_page(release(end=None), HOW, "en"))
    assert "From June 1, 2026. It has no end date. It holds until I take it back." in said


def test_what_the_law_takes_as_meant_is_told_although_it_is_not_listed() -> None:
    printed = Printed("Safe Harbor", NAMES, implied=frozenset({"need", "priority"}))
    said = text(release_page(release(), printed, "en"))
    assert "Nothing else. To ask for this help, they are also told: how urgent it is." in said
    assert "also told" not in text(release_page(release(items=["need", "priority"]), printed, "en"))


def test_an_alias_is_told_to_the_person_whom_it_protects() -> None:
    printed = Printed("Safe Harbor", NAMES, alias="Maple Street Office")
    assert "it goes by the name Maple Street Office" in text(release_page(release(), printed, "en"))
    assert "goes by the name" not in text(release_page(release(), HOW, "en"))


# ---------------------------------------------------------------- what it is made of


def test_nothing_in_it_is_fetched_run_or_taken_for_markup() -> None:
    evil = '<script>alert(1)</script>"><img src=x> {agency} $title'
    names = {org("harbor-food-pantry"): evil}
    page = release_page(
        release(patient=("https://example.org/ids", evil), signed=evil),
        Printed(evil, names, alias=evil, contact=evil),
        "en",
    )
    assert text(page).count("<script>alert(1)</script>") >= 6  # as text
    assert not re.search(r"<(?:script|img|link|iframe|object|form|a)\b", page)
    assert not re.search(r"(?:src|href|action|url)\s*[=(]", unescape(re.sub(r"&lt;.*?\$title", "", page)))
    assert "default-src 'none'" in page


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_item_and_purpose_has_words(language: str) -> None:
    said = words(language)
    assert said.items.keys() == shipped().entries.keys()
    assert POLICY.purposes.keys() <= said.purposes.keys()
    assert words("en").purposes.keys() == said.purposes.keys()
    assert all(len(set(one.values())) == len(one) for one in (said.items, said.purposes))


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_sentences_are_short(language: str) -> None:
    said = text(
        release_page(release(signers=["patient", "guardian"], items=list(shipped().entries)), HOW, language)
    )
    for sentence in re.split(r"[.:!?\n]\s*", said):
        assert len(sentence.split()) <= 20, sentence


def test_english_reads_at_about_the_sixth_grade() -> None:
    form = words("en").form
    sentences = [
        one for line in form.values() for one in re.split(r"(?<=[.:])\s+", line) if one.endswith(".")
    ]
    found = [re.findall(r"[a-z]+", re.sub(r"\{\w+\}", "it", one).lower()) for one in sentences]
    count = sum(map(len, found))
    syllables = sum(
        len(re.findall(r"[aeiouy]+", re.sub(r"e\b", "", word))) or 1 for one in found for word in one
    )
    grade = 0.39 * count / len(found) + 11.8 * syllables / count - 15.59  # Flesch-Kincaid
    assert grade < 6.5


def test_the_guide_lists_every_answer_and_every_item() -> None:
    root = Path(__file__).parents[2]
    guide = (root / "docs/how-to/make-a-release.md").read_text("utf-8")
    answers = json.loads((root / "gateway/consent-answers.schema.json").read_text("utf-8"))["properties"]
    assert [name for name in (*answers, *shipped().entries) if f"`{name}`" not in guide] == []


# ---------------------------------------------------------------- what it refuses


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"provision": None}, "of the form that"),
        ({"provision.type": "permit"}, "of the form that"),
        ({"provision.securityLabel": [{"code": "R"}]}, "of the form that"),
        ({"provision.provision.0.type": "deny"}, "of the form that"),
        ({"provision.provision.0.code": None}, "of the form that"),
        ({"provision.provision.0.actor": []}, "of the form that"),
        ({"provision.provision.0.code.0.coding.0.code": "shoe-size"}, "of the form that"),
        ({"provision.actor.0.reference": {"display": "someone"}}, "of the form that"),
        ({"provision.period.start": None}, "of the form that"),
        ({"patient": {"reference": "Patient/1"}}, "of the form that"),
        ({"provision.actor.0.reference.reference": org("nobody")}, "name is not known"),
        ({"provision.purpose.0.code": "HSYSADMIN"}, "HSYSADMIN has no plain words"),
        ({"provision.period.end": "2026-07"}, "whole days"),
    ],
)
def test_what_one_page_cannot_say_is_not_printed(change: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        release_page(changed(release(), change), HOW, "en")


def test_there_are_two_languages() -> None:
    with pytest.raises(ValueError, match="en and es"):
        release_page(release(), HOW, "fr")


# ---------------------------------------------------------------- one page

_BROWSER = next((found for name in ("chromium", "chromium-browser") if (found := shutil.which(name))), None)
_QUIET = (
    "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--no-pdf-header-footer",
)  # fmt: skip
_LONG_NAMES = {
    org("coordinated-access"): "New Haven County Coordinated Access and Housing Resource Network",
    org("legal-aid"): "Community Legal Aid and Immigration Services of Greater New Haven, Inc.",
    org("social-services"): "Connecticut Department of Social Services, Regional Office",
    org("clinic"): "St. Raphael Family Health Center and Behavioral Health Clinic",
}
_LONG = Printed(
    "Umbrella Center for Domestic Violence Services of South Central Connecticut",
    _LONG_NAMES,
    "Maple Street Family Office of Greater New Haven",
    "Maria-Fernanda Castellanos de la Cruz, Client Advocate, 203-555-0147 extension 2214",
)


def _pages(page: str, folder: Path, paper: str) -> int:
    assert _BROWSER
    file, pdf = folder / "page.html", folder / "page.pdf"
    file.write_text(page.replace("@page {", f"@page {{ size: {paper};"), encoding="utf-8")
    profile = f"--user-data-dir={folder / 'profile'}"
    subprocess.run(
        [_BROWSER, *_QUIET, profile, f"--print-to-pdf={pdf}", file.as_uri()],
        check=True,
        capture_output=True,
        timeout=120,
    )
    told = subprocess.run(["pdfinfo", str(pdf)], check=True, capture_output=True, text=True).stdout
    return int(re.search(r"^Pages:\s+(\d+)$", told, re.MULTILINE)[1])  # type: ignore[index]


@pytest.mark.slow
@pytest.mark.skipif(
    not (_BROWSER and shutil.which("pdfinfo")), reason="chromium and pdfinfo are not installed"
)
@pytest.mark.parametrize("paper", ["letter", "A4"])
@pytest.mark.parametrize("language", LANGUAGES)
def test_the_longest_release_is_one_page_and_two_dozen_items_are_not_too_many(
    tmp_path: Path, language: str, paper: str
) -> None:
    longest = release(
        recipients=list(_LONG_NAMES),
        items=sorted(shipped().entries, key=lambda code: -len(words(language).items[code]))[:26],
        signers=["patient", "guardian"],
        replaces="19729ebd-7241-4fd8-b6e7-5f57185f8b3c",
    )
    assert _pages(release_page(longest, _LONG, language), tmp_path, paper) == 1
    # And the ruler can measure more than one.
    twice = release_page(longest, _LONG, language).replace("</body>", "<p style='height: 20cm'>x</p></body>")
    assert _pages(twice, tmp_path, paper) == 2


@pytest.mark.slow
@pytest.mark.skipif(
    not (_BROWSER and shutil.which("pdfinfo")), reason="chromium and pdfinfo are not installed"
)
@pytest.mark.parametrize("count", [4, 8, 12, 16, 20, 24])
def test_whatever_the_number_of_items_the_type_is_small_enough(tmp_path: Path, count: int) -> None:
    for language in LANGUAGES:
        page = release_page(release(items=list(shipped().entries)[:count]), HOW, language)
        assert _pages(page, tmp_path, "letter") == 1
