"""`waymeet profiles`: which definitions records are checked against, and how much of each is enforced."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated

import typer

from gateway import settings
from gateway.cli.said import out, said
from profiles import package_store, packages
from profiles.elements import ProfileError
from profiles.engine import engine
from profiles.registry import Definitions, Held, Package, shipped

app = typer.Typer(help="The profiles that records are checked against.", no_args_is_help=True)

Config = Annotated[Path, typer.Option("--config", "-c", envvar="WAYMEET_CONFIG", help="The node's file.")]
OfNode = Annotated[
    Path | None,
    typer.Option("--config", "-c", envvar="WAYMEET_CONFIG", help="A node: its packages count as well."),
]
Packages = Annotated[
    list[Path] | None,
    typer.Option("--package", "-p", help="A FHIR package (.tgz or folder) to use as well; may be repeated."),
]

_CALLED = {
    "StructureDefinition": ("profile or extension", "profiles and extensions"),
    "ValueSet": ("value set", "value sets"),
    "CodeSystem": ("code system", "code systems"),
    "ConceptMap": ("concept map", "concept maps"),
}


@app.callback()
def profiles() -> None:
    """The profiles that records are checked against."""


@app.command()
def add(
    path: Annotated[Path, typer.Argument(help="A FHIR package: a .tgz, or a folder of definitions.")],
    config: Config = Path("node.yaml"),
    replace: Annotated[
        bool, typer.Option("--replace", help="Take it although this version is kept with other content.")
    ] = False,
    named: Annotated[
        str,
        typer.Option("--as", metavar="NAME#VERSION", help="For definitions that do not say it themselves."),
    ] = "",
) -> None:
    """Keep a package with the node, which uses it from its next start, and say what of it is not enforced."""
    with said():
        folder = settings.read(config).packages
        package = packages.read(path, named)
        name = packages.identity(package)
        if any(name == packages.identity(one) for one in shipped().packages):
            _say(f"{name} comes with this software; there is nothing to add.")
            return
        new = package_store.keep(package, folder, replace=replace)
        held = Definitions(package_store.kept(folder))
        _say(f"{'Added' if new else 'Kept already, the same'}: {name}, {_content(package)}.")
        if others := package_store.missing(package, held.packages):
            _say(f"It depends on packages that are not held: {', '.join(others)}.")
        lacking = sum(_show(one, held, whole_too=False) for one in _profiles(held, name))
        if lacking:
            _say("What is named above is not enforced. All else is.")
        else:
            _say("Every constraint in it is enforced.")
        if new:
            _say("A running node takes it up when it is started again.")


@app.command()
def remove(
    name: Annotated[str, typer.Argument(metavar="NAME#VERSION", help="As `waymeet profiles list` shows it.")],
    config: Config = Path("node.yaml"),
) -> None:
    """Let go of a package. A running node does so when it is started again."""
    with said():
        there = package_store.remove(name, settings.read(config).packages)
        _say(f"Removed: {name}" if there else f"The node has no package {name}.")
    raise typer.Exit(0 if there else 1)


@app.command("list")
def list_all(config: OfNode = None, package: Packages = None) -> None:
    """Every profile that is held, and how its constraints are checked.

    native: by code made from the constraint. interpreted: by a FHIRPath library. best practice: a
    recommendation, not checked. Whatever is not supported is named below its profile.
    """
    with said():
        held = definitions(config, package or ())
        for one in held.packages:
            _say(
                f"{packages.identity(one)}: {_content(one)}"
                if one.version
                else f"{one.name}: {_content(one)}"
            )
            for found in _profiles(held, packages.identity(one)):
                _show(found, held)


def definitions(config: Path | None, paths: Iterable[Path]) -> Definitions:
    """What ships, what the node of a configuration file keeps, and the packages at `paths`, which go first.

    Raises PackageError, DocumentError or OSError.
    """
    given = {packages.identity(one): one for one in map(packages.read, paths)}
    of_node = package_store.kept(settings.read(config).packages) if config else ()
    every = {packages.identity(one): one for one in of_node} | given
    return Definitions(every.values()) if every else shipped()


def _profiles(held: Definitions, name: str) -> Iterator[Held]:
    """The profiles and extensions of one package, by canonical URL."""
    every = (one for one in held.all("StructureDefinition") if packages.identity(one.package) == name)
    return iter(sorted(every, key=lambda one: one.url))


def _show(found: Held, held: Definitions, *, whole_too: bool = True) -> bool:
    """Print one profile, how it is checked, and below it what is not; says whether there was any.

    whole_too: also when all of it is enforced.
    """
    name = f"{found.url}|{found.version}"
    try:
        report = engine(held).report(found)
    except ProfileError as fault:
        _say(f"  {name}: not supported: {fault}")
        return True
    lacks = report.not_supported
    if lacks or whole_too:
        counts = (
            f"{report.native} native, {report.interpreted} interpreted, {report.best_practice} best practice"
        )
        _say(f"  {name} ({report.type}): {counts}, {len(lacks)} not supported")
    for sentence in lacks:
        _say(f"    not supported: {sentence}")
    return bool(lacks)


def _content(package: Package) -> str:
    """`18 profiles and extensions, 1 value set`."""
    counts = Counter(one["resourceType"] for one in package.resources)
    parts = [f"{counts[kind]} {names[counts[kind] != 1]}" for kind, names in _CALLED.items() if counts[kind]]
    return ", ".join(parts) or "nothing"


def _say(text: str) -> None:
    out.print(text, markup=False, highlight=False, soft_wrap=True)
