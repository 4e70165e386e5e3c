"""Whether a narrative is the XHTML that FHIR allows (R4 "Narrative", txt-1 and txt-2).

The text is cut at its tags by one regular expression that never reaches beyond the next `<`, so that it costs
time in proportion to its length. Nothing is fetched and no entity is expanded.
"""

from __future__ import annotations

import re
from functools import lru_cache
from html.entities import name2codepoint


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_NAMES = _words(
    "p br div h1 h2 h3 h4 h5 h6 a span b em i strong small big tt dfn q var abbr acronym cite blockquote hr"
    " address bdo kbd sub sup ul ol li dl dt dd pre table caption colgroup col thead tr tfoot tbody th td"
    " code samp img map area"
)
_ANYWHERE = _words(
    "title style class id idref lang xml:lang xml:space dir accesskey tabindex span width align valign char"
    " charoff abbr axis headers scope rowspan colspan"
)
_ON = _words(
    "a.href a.name img.src img.border blockquote.cite q.cite a.charset a.type a.hreflang a.rel a.rev a.shape"
    " a.coords img.alt img.longdesc img.height img.width img.usemap img.ismap map.name area.shape area.coords"
    " area.href area.nohref area.alt table.summary table.border table.frame table.rules table.cellspacing"
    " table.cellpadding pre.space td.nowrap"
)
_TAG = re.compile(
    r"""<(/?)([A-Za-z][\w:.-]*)((?:\s+[\w:.-]+\s*=\s*(?:"[^"<]*"|'[^'<]*'))*)\s*(/?)>""", re.ASCII
)
_GROUPS = 4
_NAMESPACE = re.compile(r"""\sxmlns\s*=\s*["']http://www\.w3\.org/1999/xhtml["']""")
_ATTRIBUTE = re.compile(r"""([\w:.-]+)\s*=\s*(?:"([^"]*)"|'([^']*)')""", re.ASCII)
_ENTITY = re.compile(r"&(?:#\d{1,7};|#x[0-9A-Fa-f]{1,6};|(\w{1,32});)?", re.ASCII)
_BLANK = " \t\r\n\0"


def is_narrative(text: str) -> bool:
    """Whether the text is one well-formed `div` of allowed elements and attributes, with some content."""
    cut = _TAG.split(text if "<!--" not in text else _without_comments(text))
    runs = cut[:: _GROUPS + 1]
    if any("<" in run for run in runs) or runs[0].strip(_BLANK) or runs[-1].strip(_BLANK):
        return False
    open_: list[str] = []
    content = False
    for at in range(1, len(cut), _GROUPS + 1):
        closing, name, attributes, alone, run = cut[at : at + _GROUPS + 1]
        if closing:
            if not open_ or open_.pop() != name or attributes or alone:
                return False
        elif not _allowed(name, attributes) or not (open_ or (at == 1 and _is_root(name, attributes))):
            return False
        elif not alone:
            open_.append(name)
        if run.strip(_BLANK):
            if not _entities_known(run) or not open_:
                return False
            content = True
        content = content or name == "img"
    return content and not open_


def _is_root(name: str, attributes: str) -> bool:
    return name == "div" and _NAMESPACE.search(attributes) is not None


def _without_comments(text: str) -> str:
    """The text with a mark in place of every comment, which joins nothing that the comment has parted."""
    kept = []
    position = 0
    while (start := text.find("<!--", position)) >= 0:
        end = text.find("-->", start + 4)
        if end < 0:
            break
        kept.append(text[position:start])
        position = end + 3
    return "\0".join([*kept, text[position:]])


@lru_cache(maxsize=1024)
def _allowed(name: str, attributes: str) -> bool:
    if name not in _NAMES:
        return False
    seen = set()
    for found in _ATTRIBUTE.finditer(attributes):
        attribute, value = found[1], found[2] or found[3] or ""
        known = attribute in _ANYWHERE or f"{name}.{attribute}" in _ON or attribute.startswith("xmlns")
        if not known or attribute in seen or not _entities_known(value):
            return False
        seen.add(attribute)
    return True


def _entities_known(text: str) -> bool:
    return "&" not in text or all(
        len(found[0]) > 1 and (found[1] is None or found[1] in name2codepoint or found[1] == "apos")
        for found in _ENTITY.finditer(text)
    )
