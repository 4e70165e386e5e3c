"""How the command line fails: one line that says what is wrong, exit status 2, and no traceback."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec
import typer
from rich.console import Console

from gateway.calling.transport import PeerError
from gateway.errors import Refused
from gateway.own_system import NoClient
from gateway.signing.keys import KeysError
from gateway.trust.directory import DirectoryError
from profiles.document import DocumentError

out = Console()
err = Console(stderr=True)

_EXPECTED = (DocumentError, DirectoryError, KeysError, NoClient, ValueError, msgspec.MsgspecError)


def tell(text: str, style: str = "", to: Console = out) -> None:
    """One line of text; nothing in it is taken for markup.

    On a terminal what does not fit goes on below, further in, so that one sees where the next line begins.
    """
    lines = [text]
    if to.is_terminal:
        further_in = " " * (len(text) - len(text.lstrip()) + 2)
        lines = textwrap.wrap(
            text, to.width, subsequent_indent=further_in, break_long_words=False, break_on_hyphens=False
        ) or [""]
    for line in lines:
        to.print(line, style=style or None, markup=False, highlight=False, soft_wrap=True)


@contextmanager
def said() -> Iterator[None]:
    """Run a command's body; whatever goes wrong in a way we know is said plainly."""
    try:
        yield
    except Refused as refusal:
        lines = [issue.diagnostics() for issue in refusal.issues]
    except PeerError as fault:
        lines = [f"{fault}. Is the node up? Start it with `waymeet serve`."]
    except OSError as fault:
        reason = fault.strerror or str(fault)
        lines = [f"{fault.filename}: {reason}" if fault.filename else reason]
    except _EXPECTED as fault:
        lines = [str(fault)]
    else:
        return
    for line in lines:
        tell(line, "red", err)
    raise typer.Exit(2)
