"""`waymeet directory`: for the convening body, which signs who takes part."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from gateway import clock, keys
from gateway.cli_said import out, said
from gateway.directory import sign
from gateway.initialise import DIRECTORY_DAYS, write_anchor, write_json
from profiles.document import load

app = typer.Typer(help="Sign who takes part (for the convening body).", no_args_is_help=True)

_ENTRIES: Final = {"type": "array", "items": {"type": "object"}}


@app.command()
def anchor(folder: Annotated[Path, typer.Argument(help="Where the key is kept; it never leaves.")]) -> None:
    """Make the key that signs the directory; nodes pin its public half, `anchor.pub.json`."""
    with said():
        key = write_anchor(folder)
        write_json(folder / "anchor.pub.json", keys.public_jwks(key)["keys"][0])
        out.print(f"Written: {folder}/anchor.pem (secret) and {folder}/anchor.pub.json", markup=False)


@app.command("sign")
def sign_directory(
    entries: Annotated[list[Path], typer.Argument(help="The participants: files of directory entries.")],
    key: Annotated[Path, typer.Option(help="The anchor's private key.")],
    issuer: Annotated[str, typer.Option(help="What every organization URL begins with.")],
    sequence: Annotated[int, typer.Option(help="One more than the last directory's.")],
    to: Annotated[Path, typer.Option(help="The file to write.")] = Path("directory.jws"),
    days: Annotated[int, typer.Option(help="How long it is in force.")] = DIRECTORY_DAYS,
) -> None:
    """Sign a directory of these entries. Nodes refuse one whose sequence is lower than one they have used."""
    with said():
        listed: list[Any] = []
        for file in entries:
            listed += load(file, _ENTRIES).data
        now = clock.now()
        manifest = {
            "iss": issuer,
            "iat": int(now.timestamp()),
            "exp": int((now + timedelta(days=days)).timestamp()),
            "sequence": sequence,
            "entries": listed,
        }
        to.write_text(sign(manifest, keys.load(key)), encoding="ascii")
        out.print(f"Written: {to}, {len(listed)} entries, in force for {days} days", markup=False)
