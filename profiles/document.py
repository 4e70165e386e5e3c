"""Read the project's own data files (mappings, policies, agreements, node settings) and check them.

A file is YAML or JSON, checked with a JSON Schema (draft 2020-12), and every value keeps the line and column
it stands at, so that whoever wrote the file is told where to look. Reading is strict where YAML is loose:
only the core types of YAML 1.2 (`no`, `on` and `2024-01-02` stay text), no repeated keys, no aliases and no
tags. Messages show the offending *key*, never a value: agreements hold people's names.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any, cast

import yaml
from jsonschema import Draft202012Validator, FormatChecker
from jsonschema.exceptions import ValidationError

from profiles.outcome import Issue
from profiles.yaml_core import CoreLoader, SyntaxFault, place, read_node
from profiles.yaml_core import DataPath as DataPath

_Places = tuple[Mapping[DataPath, int], Mapping[DataPath, int]]  # lines and columns

# Only the formats that jsonschema checks by itself; others would depend on what happens to be installed.
_FORMATS = FormatChecker(formats=("date", "regex", "email"))
_TYPE_NAMES = {
    "object": "a mapping of keys to values",
    "array": "a list",
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "null": "empty",
}


class DocumentError(Exception):
    """A data file that cannot be used. `issues` say why, one `file:line:column: field: message` line each."""

    def __init__(self, issues: Iterable[Issue], name: str = "") -> None:
        self.issues = tuple(issues)
        self.name = name
        super().__init__("\n".join(_text(name, issue) for issue in self.issues))


@dataclass(frozen=True, slots=True)
class Document:
    """A data file that fits its schema: plain `data`, and where each part of it stands.

    columns: empty where nothing but the line tells a part from others.
    """

    name: str
    data: Any
    lines: Mapping[DataPath, int]
    columns: Mapping[DataPath, int] = field(default_factory=dict)

    def line(self, path: DataPath) -> int:
        """The line of the value at `path` (`("steps", 0, "field")`), or of the nearest part around it."""
        return self.lines.get(_nearest(self.lines, path), 1)

    def column(self, path: DataPath) -> int | None:
        """The column of what `line` finds: of a member its key's."""
        return self.columns.get(_nearest(self.lines, path))

    def issue(self, path: DataPath, message: str, code: str = "invalid") -> Issue:
        """An error about the value at `path`, for checks that a schema cannot express."""
        return _issue(code, message, path, (self.lines, self.columns))

    def error(self, issues: Iterable[Issue]) -> DocumentError:
        """`issues` as an exception that names this file: `raise document.error([document.issue(...)])`."""
        return DocumentError(issues, self.name)


def load(path: Path, schema: Mapping[str, Any]) -> Document:
    """The data file at `path`, checked with `schema`.

    Raises DocumentError when it is not readable, not YAML (JSON for a `.json` name) or does not fit.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as fault:
        reason = "is not UTF-8 text" if isinstance(fault, UnicodeDecodeError) else "cannot be read"
        raise DocumentError([Issue("error", "not-found", f"the file {reason}")], path.name) from None
    return parse(text, schema, path.name)


def parse(text: str, schema: Mapping[str, Any], name: str) -> Document:
    """`text` as a Document; `name` is shown in messages, and one ending in `.json` makes it strict JSON."""
    data, places = _read_json(text, name) if name.endswith(".json") else _read_yaml(text, name)
    validator = Draft202012Validator(schema, format_checker=_FORMATS)
    # jsonschema names a missing key at a time; our message names all that are missing, once.
    found = dict.fromkeys(_as_issue(error, places) for error in validator.iter_errors(data))
    if found:
        raise DocumentError(sorted(found, key=lambda issue: (issue.line, issue.field)), name)
    return Document(name, data, *places)


@cache
def read_schema(path: Path) -> Mapping[str, Any]:
    """The JSON Schema in the file at `path`, itself checked, so that a typing error in it is not ignored.

    It comes with the project and is read once.
    """
    schema = cast("dict[str, Any]", json.loads(path.read_text(encoding="utf-8")))
    Draft202012Validator.check_schema(schema)
    return schema


def field_name(path: Sequence[str | int]) -> str:
    """`("steps", 0, "field")` as people write it: `steps[0].field`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def _read_yaml(text: str, name: str) -> tuple[Any, _Places]:
    lines: dict[DataPath, int] = {}
    columns: dict[DataPath, int] = {}
    try:
        node = yaml.compose(text, Loader=CoreLoader)
        if node is None:
            raise SyntaxFault("the file is empty")
        return read_node(node, (), lines, columns), (lines, columns)
    except yaml.MarkedYAMLError as fault:
        message = f"not YAML: {fault.problem or 'cannot be parsed'}"
        raise _fault(name, message, *place(fault.problem_mark or fault.context_mark)) from None
    except yaml.YAMLError:
        raise _fault(name, "not YAML: a character that YAML does not allow") from None
    except SyntaxFault as fault:
        raise _fault(name, fault.message, fault.line, fault.column) from None
    except RecursionError:
        raise _fault(name, "nested too deeply") from None


def _read_json(text: str, name: str) -> tuple[Any, _Places]:
    try:
        data = json.loads(text, parse_constant=_no_constant)
    except json.JSONDecodeError as fault:
        raise _fault(name, f"not JSON: {fault.msg}", fault.lineno, fault.colno) from None
    except (ValueError, RecursionError):
        raise _fault(name, "not JSON: a number or a nesting that JSON data files may not use") from None
    # Every JSON text is YAML but for tabs, which JSON allows only between tokens. Reading it so gives the
    # places and refuses repeated keys; the values are JSON's own (it alone joins surrogate escapes).
    _, places = _read_yaml(text.replace("\t", " "), name)
    return data, places


def _no_constant(_: str) -> Any:
    raise ValueError  # NaN and Infinity, which Python reads and JSON does not know


def _fault(name: str, message: str, line: int = 1, column: int = 1) -> DocumentError:
    return DocumentError([Issue("error", "structure", message, line=line, column=column)], name)


def _text(name: str, issue: Issue) -> str:
    stands = ":".join(str(part) for part in (name, issue.line, issue.column) if part not in ("", None))
    return ": ".join(part for part in (stands, issue.field, issue.message) if part)


def _nearest(lines: Mapping[DataPath, int], path: DataPath) -> DataPath:
    while path and path not in lines:
        path = path[:-1]
    return path


def _issue(code: str, message: str, path: DataPath, places: _Places) -> Issue:
    lines, columns = places
    found = _nearest(lines, path)
    line, column = lines.get(found, 1), columns.get(found)
    return Issue("error", code, message, field=field_name(path), line=line, column=column)


def _as_issue(error: ValidationError, places: _Places) -> Issue:
    code = "required" if error.validator == "required" else "value"
    return _issue(code, _message(error), _where(error), places)


def _where(error: ValidationError) -> DataPath:
    """The path to what is wrong; for an unknown key that key itself, so that its own line is shown."""
    path = tuple(error.absolute_path)
    unknown = _unknown_keys(error)
    return (*path, unknown[0]) if unknown else path


def _unknown_keys(error: ValidationError) -> list[str]:
    if error.validator not in ("additionalProperties", "unevaluatedProperties"):
        return []
    known = _known_keys(error)
    return [key for key in cast("dict[str, Any]", error.instance) if key not in known]


def _known_keys(error: ValidationError) -> list[str]:
    return list(cast("dict[str, Any]", error.schema).get("properties", {}))


def _message(error: ValidationError) -> str:
    """The rule that was broken in plain words; jsonschema's own message would repeat the value."""
    rule: Any = error.validator_value
    match error.validator:
        case "additionalProperties" | "unevaluatedProperties":
            return _unknown_message(_unknown_keys(error), _known_keys(error))
        case "required":
            missing = [key for key in rule if key not in cast("dict[str, Any]", error.instance)]
            return f"needs {', '.join(repr(key) for key in missing)}"
        case "type":
            kinds = [rule] if isinstance(rule, str) else rule
            return f"must be {' or '.join(_TYPE_NAMES.get(kind, kind) for kind in kinds)}"
        case "enum":
            return f"must be one of {', '.join(json.dumps(value) for value in rule)}"
        case "const":
            return f"must be {json.dumps(rule)}"
        case "pattern":
            return f"must match the pattern {rule}"
        case "format":
            return f"must be a valid {rule}"
        case "minItems" | "minProperties" | "minLength":
            return "must not be empty" if rule == 1 else f"needs at least {rule}"
        case "maxItems" | "maxProperties" | "maxLength":
            return f"may have at most {rule}"
        case "minimum" | "exclusiveMinimum" | "maximum" | "exclusiveMaximum":
            return f"is out of range ({error.validator} {rule})"
        case "uniqueItems":
            return "has the same entry twice"
        case "propertyNames":
            return "has a key of a form that is not allowed"
        case "dependentRequired":
            return "lacks a key that another key here calls for"
        case "oneOf" | "anyOf":
            return _alternatives(error)
        case _:
            return f"breaks the rule {error.validator!r}"


def _unknown_message(unknown: list[str], known: list[str]) -> str:
    close = get_close_matches(unknown[0], known, n=1) if unknown else []
    hint = f"; did you mean {close[0]!r}?" if close else f" (known here: {', '.join(known)})" if known else ""
    keys = ", ".join(repr(key) for key in unknown)
    return f"unknown key{'s' if len(unknown) > 1 else ''} {keys}{hint}"


def _alternatives(error: ValidationError) -> str:
    """One of several forms was expected: say what the form that came closest still misses."""
    if not error.context:
        return "fits more than one of the allowed forms"
    deepest = max(error.context, key=lambda found: (len(found.absolute_path), found.validator != "type"))
    inner = field_name(tuple(deepest.relative_path))
    return f"fits none of the allowed forms; the nearest: {inner + ': ' if inner else ''}{_message(deepest)}"
