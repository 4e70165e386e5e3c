"""`waymeet map`: an agency's own records to FHIR, tried and checked before anything is sent."""

from __future__ import annotations

import typer

from gateway.cli import map_check as cli_map_check
from gateway.cli import map_export as cli_map_export
from gateway.cli import map_infer as cli_map_infer
from gateway.cli import map_lineage as cli_map_lineage
from gateway.cli import map_preview as cli_map_preview
from gateway.cli import map_run as cli_map_run

app = typer.Typer(help="Map your own records to FHIR, and check how.", no_args_is_help=True)

app.command("infer")(cli_map_infer.infer)
app.command("check")(cli_map_check.check)
app.command("preview")(cli_map_preview.preview)
app.command("run")(cli_map_run.run)
app.command("lineage")(cli_map_lineage.lineage)
app.command("export")(cli_map_export.export)
