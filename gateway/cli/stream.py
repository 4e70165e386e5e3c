"""What commands that work through long files share: a closed pipe, a progress bar, a line of text."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from gateway.cli.said import err, out

BAR_FROM = 2 * 1024 * 1024  # bytes; less is done before a bar could be read


@contextmanager
def a_closed_pipe_ends_it() -> Iterator[None]:
    """Whoever reads the output has read enough (`| head`): end without a word."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for what is flushed at exit
        raise typer.Exit(1) from None


@contextmanager
def progress(doing: str, total: int) -> Iterator[Callable[[int], None] | None]:
    """A bar on standard error when it is a terminal and there are many bytes to do.

    Gives what moves it by a number of bytes, or None where there is no bar.
    """
    if not err.is_terminal or total < BAR_FROM:
        yield None
        return
    columns = (TextColumn(doing), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    # What is printed to a terminal meanwhile goes above the bar; into a pipe or a file it goes as it is.
    with Progress(*columns, console=err, transient=True, redirect_stdout=out.is_terminal) as bar:
        task = bar.add_task("", total=total)
        yield lambda size: bar.advance(task, size)


def say(text: str, style: str = "", to: Console = out) -> None:
    """One line of text as it stands: nothing in it is taken for markup, and it is not wrapped."""
    to.print(text, style=style or None, markup=False, highlight=False, soft_wrap=True)


def many(count: int, name: str) -> str:
    """`1 record`, `2 records`."""
    return f"{count} {name}{'' if count == 1 else 's'}"
