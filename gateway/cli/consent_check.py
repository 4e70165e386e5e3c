"""`waymeet consent check`: what is wrong with a release, in words that an advocate can act on."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

import consent
from consent.advice import MISSING, what_to_do
from consent.policy import Policy
from consent.r4 import ABSENT, ACTIVE
from consent.reading import ANYONE, ANYTHING
from consent.regimes import Regime
from consent.release import Lacking
from gateway import settings
from gateway.cli.said import said
from gateway.cli.stream import many, say
from gateway.node import opened
from gateway.release_answers import policy_of, read_release
from gateway.release_check import Checked, check, chosen
from profiles.document import load


def command(
    file: Annotated[Path, typer.Argument(help="A FHIR Consent, or the answers that make one: JSON.")],
    regime: Annotated[
        list[str] | None, typer.Option("--regime", "-r", help="A law by its id; may be repeated.")
    ] = None,
    config: Annotated[
        Path | None, typer.Option("--config", "-c", help="A node: its law, its partners' names, its days.")
    ] = None,
    kind: Annotated[
        list[str] | None,
        typer.Option("--recipient-kind", help="What the recipient is, such as health-care-provider."),
    ] = None,
    minor: Annotated[
        bool | None, typer.Option("--minor/--adult", help="Whether the person is under 18.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object, for programs.")] = False,
) -> None:
    """Say whether a release can be used, what each law misses in it, and what it would permit.

    Exit status: 0 complete, 1 something is wrong or missing, 2 the file cannot be read.
    """
    with said():
        found = settings.read(config) if config else None
        resource = _resource(file, found)
        policy = policy_of(found) if found else consent.load_policy()
        result = check(
            resource, chosen(regime, found, policy, resource), kinds=kind, minor=minor, found=found
        )
        names = _names(config) if config else {}
        if as_json:
            _as_json(result, names)
        else:
            _show(result, policy, names)
    raise typer.Exit(0 if result.complete else 1)


def _resource(file: Path, found: settings.Settings | None) -> Mapping[str, Any]:
    data: Mapping[str, Any] = load(file, {"type": "object"}).data
    if "resourceType" in data:
        return data
    if found is None:
        raise ValueError("These are answers, not a Consent: --config node.yaml says whose release they make.")
    return read_release(file, found)


def _names(config: Path) -> Mapping[str, str]:
    with opened(config) as node:
        return node.names


# ---------------------------------------------------------------- for people


def _show(found: Checked, policy: Policy, names: Mapping[str, str]) -> None:
    if found.issues:
        say(f"This consent cannot be used: {many(len(found.issues), 'thing')} to correct.", "red")
    for issue in found.issues:
        say(f"  {issue.diagnostics()}{f' ({issue.expression})' if issue.expression else ''}")
        say(f"    {what_to_do(issue)}", "bold")
    if not found.issues:
        say("This consent can be used: it is valid FHIR R4, and everything in it is understood.", "green")
    if found.status in ABSENT:
        say(f'Its status is "{found.status}", so it permits nothing now.', "yellow")
    whole = [(regime, rules) for regime, rules in found.missing if regime.whole]
    part = [(regime, rules) for regime, rules in found.missing if not regime.whole]
    quiet = [regime.title for regime, rules in part if not any(_wanting(one) for one in rules)]
    for regime, rules in whole:
        _show_regime(found, regime, rules)
    for regime, rules in part:
        if any(_wanting(one) for one in rules):
            _show_regime(found, regime, rules)
    if found.minor is None and any(_of_minors(rules) for _, rules in whole):
        say("Say --adult or --minor. For a record without a date of birth a node asks for both.")
    if quiet:
        say(f"Nothing is missing either for: {'; '.join(quiet)}.")
    if not found.issues:
        _show_permits(found, policy, names)


def _of_minors(rules: tuple[Lacking, ...]) -> bool:
    """Whether something is missing only if the person is a minor."""
    return any(one.elements and one.rule.person == "minor" for one in rules)


def _wanting(one: Lacking) -> bool:
    return bool(one.elements) or one.rule.consent == "refused"


def _show_regime(found: Checked, regime: Regime, rules: tuple[Lacking, ...]) -> None:
    lacks = {element: [one for one in rules if element in one.elements] for element in MISSING}
    refused = [one.rule.text for one in rules if one.rule.consent == "refused"]
    count = sum(1 for ones in lacks.values() if ones)
    what = (
        f"{many(count, 'thing')} {'is' if count == 1 else 'are'} missing" if count else "nothing is missing"
    )
    if refused:
        what = "not even a release lets it go"
    labels = ", ".join(sorted(code for _, code in regime.about or ()))
    only = f" (only for what is labelled {labels})" if labels else ""
    say(f"{regime.title}{only}: {what}.", "yellow" if count or refused else "green")
    for text in refused:
        say(f"  {text}")
    for element, ones in lacks.items():
        if ones:
            say(f"  {MISSING[element]}")
        for one in ones if len(ones) < len(rules) else ():
            say(f"    {'By' if found.surely(regime, one) else 'Only by'} this rule: {one.rule.text}")


def _show_permits(found: Checked, policy: Policy, names: Mapping[str, str]) -> None:
    if found.ended:
        say("Its last day is over: it permits nothing any more. A new release is needed.", "yellow")
        return
    if not any(one.items for one in found.permits):
        say("It permits nothing by itself.")
    for one in found.permits:
        who = "Anyone" if one.recipient == ANYONE else names.get(one.recipient, one.recipient)
        purpose = "anything" if one.purpose == ANYTHING else policy.purposes.get(one.purpose, one.purpose)
        if one.items:
            until = f"until {one.until:%Y-%m-%d}, that day included" if one.until else "without an end"
            begins = f"from {found.begins:%Y-%m-%d} " if found.begins else ""
            say(f"{who} may be told, for {purpose}, {begins}{until}:")
            say(f"  {policy.items.listed(one.items)}")
            if implied := found.implied - set(one.items) - set(one.refused):
                say(f"  and, as nobody can be referred without a word: {policy.items.listed(implied)}")
        if one.refused:
            say(f"{who} must not be told, for {purpose}:")
            say(f"  {policy.items.listed(one.refused)}")
    if found.more:
        say("It also goes by labels, dates or places, so a record decides: it may permit less or more.")
    say("What leaves can be less: law, agreement and the kind of help decide as well.")


# ---------------------------------------------------------------- for programs


def _as_json(found: Checked, names: Mapping[str, str]) -> None:
    told = {
        "complete": found.complete,
        "usable": not found.issues,
        "active": found.status == ACTIVE,
        "ended": found.ended,
        "issues": [
            {"expression": one.expression, "diagnostics": one.diagnostics(), "do": what_to_do(one)}
            for one in found.issues
        ],
        "regimes": [
            {"id": regime.id, "title": regime.title, "rules": [_rule(found, regime, one) for one in rules]}
            for regime, rules in found.missing
        ],
        "permits": [
            {
                "recipient": one.recipient or None,
                "name": names.get(one.recipient),
                "purpose": one.purpose or None,
                "items": list(one.items),
                "refused": list(one.refused),
                "until": one.until.isoformat() if one.until else None,
            }
            for one in found.permits
        ],
        "implied": sorted(found.implied),
        "depends-on-labels-or-dates": found.more,
    }
    sys.stdout.write(json.dumps(told, ensure_ascii=False) + "\n")


def _rule(found: Checked, regime: Regime, one: Lacking) -> dict[str, Any]:
    return {
        "id": one.rule.id,
        "consent": one.rule.consent,
        "applies": "surely" if found.surely(regime, one) else "perhaps",
        "text": one.rule.text,
        "citation": one.rule.citation,
        "missing": [
            {"element": element, "says": MISSING[element].lacks, "do": MISSING[element].do}
            for element in one.elements
        ],
    }
