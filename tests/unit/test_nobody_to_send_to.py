"""A referral for which the directory has nobody: its people see it, and can take it back."""

from __future__ import annotations

from pathlib import Path

import pytest
from hospital_world import make_hospital
from typer.testing import CliRunner

from gateway.cli.main import app
from gateway.errors import Refused
from gateway.exchange import Exchange
from gateway.recording import Ask
from gateway.settings import Settings

ORDER = Path(__file__).parents[1] / "cases/mapping/hl7v2-referral/order-for-housing.hl7"


@pytest.fixture
def held(tmp_path: Path) -> tuple[Path, str]:
    """The hospital's configuration, and an order that names nobody, for help that no partner offers."""
    node = make_hospital(tmp_path)
    receipt = Exchange(node).hand_in(Ask("operator", node.home, "1"), "hl7v2-referral", ORDER.read_bytes())[0]
    assert not isinstance(receipt, Refused), receipt
    assert (receipt.state, receipt.decided) == (
        "held",
        ("No partner in the directory offers what is needed.",),
    )
    found: Settings = node.settings
    node.close()
    return found.path, receipt.referral


def run(config: Path, *words: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, [*words, "--config", str(config)], env={"COLUMNS": "200"})
    return done.exit_code, " ".join(done.output.split())


def test_it_is_listed(held: tuple[Path, str]) -> None:
    config, referral = held
    assert f"{referral} sent nobody held" in run(config, "status")[1]
    code, said = run(config, "status", referral)
    assert code == 0 and "sent to nobody: held" in said
    assert "No partner in the directory offers what is needed." in said


def test_it_can_be_taken_back(held: tuple[Path, str]) -> None:
    config, referral = held
    assert run(config, "cancel", referral)[0] == 0
    assert "sent to nobody: closed" in run(config, "status", referral)[1]
    assert run(config, "cancel", referral)[0] == 2
    assert run(config, "audit")[0] == 0
