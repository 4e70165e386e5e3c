"""The documentation says what the code does: states, links, commands, addresses and configuration keys."""

from __future__ import annotations

import json
import re
import runpy
import tomllib
from itertools import chain
from pathlib import Path

import pytest
import typer.main
from pytest import param
from typer.core import TyperGroup

from gateway.cli.main import app

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *DOCS.rglob("*.md")])
_EVERY_PAGE = [param(page, id=str(page.relative_to(ROOT))) for page in PAGES]

_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ +(.+?) *$", re.MULTILINE)
_FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
# A command as a page shows it: at the start of a line or of a code span, or after a pipe.
_COMMAND = re.compile(r"(?:^|`|\| |\$ )waymeet ([a-z][a-z-]*)(?: ([a-z][a-z-]*))?", re.MULTILINE)
_ROUTE = re.compile(r'route\("([A-Z]+)", (?:f?"([^"]+)"|notify\.NOTIFICATIONS)')


def _anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    text = _FENCE.sub("", page.read_text(encoding="utf-8"))
    return {
        re.sub(r"[^\w\- ]", "", heading.replace("`", "").lower()).replace(" ", "-")
        for heading in _HEADING.findall(text)
    }


def _unknown(commands: TyperGroup, text: str) -> list[str]:
    """The `waymeet …` commands in a text that the program does not have."""
    found = []
    for name, sub in _COMMAND.findall(text):
        command = commands.commands.get(name)
        known = command is not None and (
            not isinstance(command, TyperGroup) or not sub or sub in command.commands
        )
        if not known:
            found.append(f"waymeet {name} {sub}".strip())
    return found


def _commands() -> TyperGroup:
    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)
    return group


def test_the_task_states_page_is_what_the_code_says() -> None:
    page = (DOCS / "reference/task-states.md").read_text(encoding="utf-8")
    shown = page.partition("<!-- tables -->\n")[2].partition("<!-- /tables -->")[0]
    drawn = runpy.run_path(str(ROOT / "scripts/task_states.py"))["tables"]()
    assert shown == drawn, "run: python scripts/task_states.py"


@pytest.mark.parametrize("page", _EVERY_PAGE)
def test_every_link_leads_somewhere(page: Path) -> None:
    broken = []
    for link in _LINK.findall(_FENCE.sub("", page.read_text(encoding="utf-8"))):
        if "://" in link or link.startswith("mailto:"):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        if not target.exists() or (anchor and anchor not in _anchors(target)):
            broken.append(link)
    assert broken == []


@pytest.mark.parametrize("page", _EVERY_PAGE)
def test_every_command_that_a_page_shows_exists(page: Path) -> None:
    assert _unknown(_commands(), page.read_text(encoding="utf-8")) == []


def test_a_command_that_does_not_exist_would_be_found() -> None:
    shown = "```sh\nwaymeet serve\nwaymeet fly\n$ waymeet consent burn\n```\nand `waymeet dance`"
    assert _unknown(_commands(), shown) == ["waymeet fly", "waymeet consent burn", "waymeet dance"]


def test_every_page_can_be_reached_from_the_index() -> None:
    reached, new = set[Path](), {DOCS / "README.md"}
    while new:
        page = new.pop()
        reached.add(page)
        links = _LINK.findall(page.read_text(encoding="utf-8"))
        targets = {(page.parent / link.partition("#")[0]).resolve() for link in links if "://" not in link}
        new |= {target for target in targets if target.suffix == ".md"} - reached
    assert set(DOCS.rglob("*.md")) <= reached


def test_every_configuration_key_is_described() -> None:
    schema = json.loads((ROOT / "gateway/node.schema.json").read_text(encoding="utf-8"))
    page = (DOCS / "reference/configuration.md").read_text(encoding="utf-8")
    assert [key for key in _keys(schema) if f"`{key}`" not in page] == []


def _keys(schema: dict[str, object]) -> list[str]:
    """Every property that a schema names, at any depth."""
    found: list[str] = []
    properties = schema.get("properties", {})
    assert isinstance(properties, dict)
    for name, inner in properties.items():
        found += [name, *_keys(inner)]
    for deeper in ("items", "additionalProperties"):
        inner = schema.get(deeper)
        if isinstance(inner, dict):
            found += _keys(inner)
    return found


def test_every_direct_dependency_is_described() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    named = [*project["dependencies"], *chain(*project["optional-dependencies"].values())]
    page = (DOCS / "dependencies.md").read_text(encoding="utf-8")
    names = [re.split(r"[^A-Za-z0-9._-]", one)[0] for one in named]
    assert [name for name in names if f"| {name} |" not in page] == []


def test_every_address_is_described() -> None:
    code = (ROOT / "gateway/app.py").read_text(encoding="utf-8")
    page = (DOCS / "reference/http-api.md").read_text(encoding="utf-8")
    routes = [(method, path or "/notifications") for method, path in _ROUTE.findall(code)]
    assert len(routes) > 15
    missing = [
        f"{method} {path}"
        for method, path in routes
        if f"{method} {path.replace('{{id}}', '{id}').replace('{resource_type}', 'Patient')}" not in page
    ]
    assert missing == []
