"""The questions of `waymeet consent new`, in the words of a talk with the person whose consent it is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import date, timedelta
from typing import Any, TypeVar

import typer

from consent.policy import Policy
from consent.release import FORM_SAYS
from consent.words import LANGUAGES, words
from gateway.cli.said import err
from gateway.cli.stream import say
from gateway.release_answers import (
    PROTECTED,
    PURPOSE,
    VSP_DAYS,
    may_be_open,
    named_recipients,
    today,
    usual_end,
)
from gateway.settings import Settings

T = TypeVar("T")

_STATEMENTS = {
    "right-to-revoke": "that it can be taken back, and how",
    "consequences": "what happens if the person does not sign",
    "redisclosure-statement": "whether those who receive it may pass it on",
    "voluntary": "that services do not depend on signing it",
}


def ask(
    found: Settings, policy: Policy, names: Mapping[str, str], person: tuple[str, str] | None
) -> dict[str, Any]:
    """The answers that `release_answers.build` takes; names: directory URL → name of an organisation.

    Asks on standard error, so that standard output holds the result alone. Raises ValueError where no
    release can come of it.
    """
    system, value = person or (
        _text("Which of your systems is the person's identifier from (URI)"),
        _text("The person's identifier there"),
    )
    given: dict[str, Any] = {
        "patient": {"system": system, "value": value},
        "items": _items(policy),
        "recipients": _recipients(found, names),
        "purpose": _purpose(),
        **_end(found, policy),
        **_signers(found),
        **_form(),
    }
    given["signed"] = _text("Where is the signed form kept")
    return given


def _items(policy: Policy) -> list[str]:
    kinds = {one.title.lower(): one for _, one in sorted(policy.minimum.items())}
    _list("What kind of help is it?", [one.title for one in kinds.values()])
    minimum = _until("Number or name", lambda text: _choice(text, kinds))
    _say("What may be shared? Go through it with the person. Leave out what was not asked about.")
    chosen: list[str] = []
    useful = (*minimum.offer, *minimum.dossier)
    for heading, entries in (("The need", minimum.offer), ("The person", minimum.dossier)):
        _say(f" {heading}:")
        chosen += [one.item for one in entries if _yes(f"  {policy.items.display(one.item)} ({one.why})")]
    if _yes("Should anything else be shared, that this kind of help does not need"):
        rest = [code for code in policy.items.entries if code not in {one.item for one in useful}]
        chosen += [code for code in rest if _yes(f"  {policy.items.display(code)}")]
    if not chosen:
        raise ValueError("Nothing may be shared, so there is no release to write.")
    return chosen


def _recipients(found: Settings, names: Mapping[str, str]) -> list[str]:
    known = {names.get(url, name).lower(): url for name, url in named_recipients(found).items()}
    by_name = {name.lower(): url for name, url in named_recipients(found).items()}
    in_directory = {name.lower(): url for url, name in names.items()}
    _list("Who may receive it? Name every agency.", [names.get(url, url) for url in known.values()])

    def read(text: str) -> list[str]:
        return [
            part.strip()
            if part.strip().startswith(("https://", "http://"))
            else _choice(part, known, by_name | in_directory)
            for part in text.split(",")
        ]

    return _until("Numbers or names, separated by commas", read)


def _purpose() -> str:
    known = {code.lower(): code for code in words("en").purposes}
    return _until(
        "What for (COC: to arrange the help that the person asks for)",
        lambda text: _choice(text, known),
        default=PURPOSE,
    )


def _end(found: Settings, policy: Policy) -> dict[str, Any]:
    protected, open_too = PROTECTED in found.kinds, may_be_open(found, policy)
    hint = "14 to 30 days are usual" if protected else "a day, or a number of days"
    hint += ", or none" if open_too else ""
    while True:
        end = _until(
            f"Until which day (YYYY-MM-DD; {hint})",
            lambda text: _day(text, found, open_too),
            usual_end(found),
        )
        if end is None:
            return {"no-expiry": True}
        late = today(found) + timedelta(days=VSP_DAYS)
        if not protected or end <= late or _yes(f"That is later than {late}. Does the person want it so"):
            return {"end": end.isoformat()}


def _day(text: str, found: Settings, open_too: bool) -> date | None:
    if text.strip().lower() == "none" and open_too:
        return None
    days = text.removesuffix("days").strip()
    try:
        end = today(found) + timedelta(days=int(days)) if days.isdigit() else date.fromisoformat(text.strip())
    except (ValueError, OverflowError):
        raise ValueError(f"That is no day, such as {usual_end(found)}, and no number of days.") from None
    if end < today(found):
        raise ValueError("That day is over.")
    return end


def _signers(found: Settings) -> dict[str, Any]:
    if not _yes("Is the person under 18"):
        return {"signers": ["patient"], "adult": True}
    signers = ["patient"] if _yes("Does the person sign", default=True) else []
    if _yes("Does a parent or guardian sign"):
        signers.append("guardian")
    if not signers:
        raise ValueError("Nobody signs, so there is no release to write.")
    if "guardian" not in signers or PROTECTED not in found.kinds:
        return {"signers": signers}
    _say("Ask when the guardian cannot hear it.")
    if _yes("Has this guardian abused the person, or the person's other parent, or may have"):
        raise ValueError(
            "Then this guardian can never sign. Another parent or guardian may; where the law lets the minor "
            "have the service alone, the minor may sign alone."
        )
    return {"signers": signers, "guardian-not-abuser": True}


def _form() -> dict[str, Any]:
    language = _until(
        f"In which language is the form ({', '.join(LANGUAGES)})",
        lambda text: _choice(text, {code: code for code in LANGUAGES}),
        default="en",
    )
    if _yes("Is the form the page that this program prints", default=True):
        return {"language": language, "statements": list(FORM_SAYS)}
    _say("Does your own form say")
    return {"language": language, "statements": [one for one in FORM_SAYS if _yes(f"  {_STATEMENTS[one]}")]}


def _choice(text: str, numbered: Mapping[str, T], more: Mapping[str, T] | None = None) -> T:
    """What a number or a name stands for."""
    asked = text.strip().lower()
    listed = list(numbered.values())
    if asked.isdigit() and 1 <= int(asked) <= len(listed):
        return listed[int(asked) - 1]
    known = {**(more or {}), **numbered}
    if asked not in known:
        raise ValueError(f"{text.strip()} is none of these.")
    return known[asked]


def _until(question: str, read: Callable[[str], T], default: str | None = None) -> T:
    """Ask until the answer can be used."""
    while True:
        text: str = typer.prompt(question, default=default, err=True)
        try:
            return read(text)
        except ValueError as fault:
            _say(f"  {fault}")


def _text(question: str) -> str:
    return _until(question, lambda text: text.strip())


def _yes(question: str, *, default: bool = False) -> bool:
    return typer.confirm(f"{question}?", default=default, err=True)


def _list(question: str, choices: Iterable[str]) -> None:
    _say(question)
    for number, choice in enumerate(choices, 1):
        _say(f"  {number}  {choice}")


def _say(text: str) -> None:
    say(text, to=err)
