"""Stories 2 and 3 run in a world of their own, with every byte of the wire and every file kept.

What the shelter's records say is the only thing that differs from world to world.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import unquote_plus
from uuid import uuid4

from happenings import NODES, case_of, look_into, offer_after, running, settle
from partner_calls import Door, partner
from recorder import _JWT, Connection, Recorder, jwt_parts, messages
from sample_records import shelter_release, shelter_row
from sqlalchemy import select

from gateway.demo.agencies import ALIAS, HOSPITAL, PANTRY, SHELTER
from gateway.demo.network import Network, Refusal
from gateway.store.schema import metadata
from gateway.store.work import Work

Sent = Mapping[tuple[str, str], Counter[tuple[int, str]]]
"""By who is spoken to and in which role: each message, normalised, with its true size, and how often."""


@dataclass(frozen=True)
class Seen:
    """What one world left behind."""

    wire: list[Connection]  # what the shelter's node sent, to whom; `asked` is empty where it answered
    sent: Sent
    pantry_records: list[dict[str, object]]
    case: dict[str, object]
    held: dict[str, object]
    refusals: list[dict[str, object]]
    files: dict[str, bytes]
    rows: dict[str, str]


def run(
    folder: Path,
    released: Mapping[str, str],
    held: Mapping[str, str] | None,
    spoilt: list[Mapping[str, str]],
) -> Seen:
    """Both stories. released, held: columns of the shelter's row in story 2 and 3 (None: no story 3).

    spoilt: rows that the shelter's node must refuse.
    """
    recorder = Recorder()
    began = datetime.now(UTC)
    try:
        with running(folder, recorder.between) as network:
            case = _story_2(network, released)
            files = _files(network, "while the dossier is open")
            network.answer(str(case["referral"]), "completed", outcome="need met", service="food")
            settle(network)
            receipt = _story_3(network, recorder, held)
            refusals = [_refused(network, row) for row in spoilt]
            settle(network)
            files |= _files(network, "at the end")
            rows = {name: look_into(network, name, _rows) for name in NODES}
    finally:
        recorder.close()
    files |= _files(network, "after stopping")
    wire = [one for connection in recorder.connections if (one := _from_shelter(connection))]
    return Seen(
        wire=wire,
        sent=_normalised(recorder, wire, began, datetime.now(UTC)),
        pantry_records=[
            one for kind in ("offer", "case", "notice") for one in network.pantry_system.records(kind)
        ],
        case=case,
        held=receipt,
        refusals=refusals,
        files=files,
        rows=rows,
    )


def _story_2(network: Network, columns: Mapping[str, str]) -> dict[str, object]:
    row = shelter_row(**columns)
    network.consent(SHELTER, shelter_release(columns["client_ref"]))
    _sent, offer = offer_after(network, lambda: network.send(SHELTER, row, ".csv"))
    network.answer(offer["referral"], "accepted")
    case = case_of(network, offer)
    network.answer(offer["referral"], "started")
    settle(network)
    return case


def _story_3(network: Network, recorder: Recorder, columns: Mapping[str, str] | None) -> dict[str, object]:
    """The held referral, and the hospital asking about it in every way it has."""
    receipt: dict[str, object] = {}
    task_id = str(uuid4())
    if columns is not None:
        receipt = network.send(SHELTER, shelter_row(**columns), ".csv")
        task_id = network.task_of(SHELTER, str(receipt["referral"]))
    settle(network)
    at = Door(f"http://127.0.0.1:{recorder.port(ALIAS)}")
    token = at.token(partner(network, HOSPITAL), "system/Task.rs")
    for path in ("Task", "Task?status=draft", f"Task/{task_id}", f"Task/{uuid4()}", "Task?_count=1"):
        at.get(path, token)
    return receipt


def _refused(network: Network, columns: Mapping[str, str]) -> dict[str, object]:
    try:
        network.send(SHELTER, shelter_row(**columns), ".csv")
    except Refusal as refusal:
        return dict(refusal.answer)
    raise AssertionError(f"a record was taken that should have been refused for {list(columns)[-1]}")


# ------------------------------------------------------------------ what is kept


def _files(network: Network, when: str) -> dict[str, bytes]:
    """Every file of the nodes, and their logs; not the folders of the agencies' own systems."""
    found = {}
    for name, agency in network.agencies.items():
        paths = [*agency.folder.rglob("*"), network.folder / name / "node.log"]
        found |= {
            f"{path.relative_to(network.folder)}, {when}": path.read_bytes()
            for path in paths
            if path.is_file()
        }
    return found


def _rows(work: Work) -> str:
    """Every value of every row of a node's store, as text."""
    return "\n".join(
        f"{table.name}: {list(row)!r}"
        for table in metadata.sorted_tables
        for row in work.tx.execute(select(table))
    )


def _from_shelter(connection: Connection) -> Connection | None:
    """The half of a connection that the shelter's node sent to a partner."""
    if connection.at in (SHELTER, ALIAS):
        return (
            None
            if connection.caller == "own-system"
            else Connection(connection.at, answered=connection.answered)
        )
    if connection.caller in (SHELTER, ALIAS):
        return Connection(connection.at, asked=connection.asked)
    return None


# ------------------------------------------------------------------ what is made alike


def _normalised(recorder: Recorder, wire: list[Connection], began: datetime, ended: datetime) -> Sent:
    """Random ids, tokens, tags, ports and this run's own times taken out; everything else as it was sent."""
    found: dict[tuple[str, str], Counter[tuple[int, str]]] = {}
    for connection in wire:
        role = "asks" if connection.asked else "answers"
        for message in messages(bytes(connection.asked or connection.answered)):
            text = message.raw.decode("utf-8")
            alike = _alike(text, recorder, began, ended)
            found.setdefault((role, connection.at), Counter())[(len(message.raw), alike)] += 1
    return found


_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)")
_PORT = re.compile(r"127\.0\.0\.1:(\d+)")


def _alike(text: str, recorder: Recorder, began: datetime, ended: datetime) -> str:
    head, blank, body = text.partition("\r\n\r\n")
    if "x-www-form-urlencoded" in head:
        body = unquote_plus(body)
    text = head + blank + body

    def token(found: re.Match[str]) -> str:
        header, claims = jwt_parts(found[0])
        claims = {name: "<time>" if name in ("iat", "exp") else value for name, value in claims.items()}
        shown = header | {"kid": "<key>"}, claims | {"jti": f"<{len(claims['jti'])} random>"}
        return f"<token of {len(found[0])}: {json.dumps(shown)}>"

    def instant(found: re.Match[str]) -> str:
        second = timedelta(seconds=1)
        during = began - second <= datetime.fromisoformat(found[0]) <= ended + second
        return "<now>" if during else found[0]

    text = _JWT.sub(token, text)
    text = _UUID.sub("<id>", text)
    text = _INSTANT.sub(instant, text)
    text = _PORT.sub(lambda found: f"127.0.0.1:<{recorder.names[int(found[1])]}>", text)
    text = re.sub(r'W/"[0-9a-f]{20}"', 'W/"<tag>"', text)
    text = re.sub(r"(?i)(\r\nwaymeet-directory: \d+:)[0-9a-f]{64}", r"\1<directory>", text)
    return re.sub(r"(?i)(\r\ndate: )[^\r]+", r"\1<date>", text)


def differences(one: Sent, other: Sent) -> list[str]:
    """Every message of one world that has no equal in the other."""
    return [
        f"{role} {name}, in world {world}: {size} bytes: {text}"
        for (role, name) in sorted({*one, *other})
        for world, more, less in (("1", one, other), ("2", other, one))
        for (size, text), _ in sorted((more.get((role, name), {}) - less.get((role, name), {})).items())
    ]


__all__ = ["HOSPITAL", "PANTRY", "Seen", "Sent", "differences", "run"]
