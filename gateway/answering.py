"""The recipient answers: take what our own system said to the referral's source. One attempt a call."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from gateway import keeping, notify, quiet, referral
from gateway.node import Node
from gateway.outbox import GiveUp
from gateway.pull import in_store
from gateway.sending import Clients, Gone, Partner, Read, Stopped, partner
from gateway.store import contents, disclosures, inbound
from gateway.store.inbound import Inbound
from gateway.store.work import Work

# A withdrawal waits for an answer under way no longer than this: then it is over, and decided on again.
_LONGEST_SECONDS = disclosures.LONGEST.total_seconds() - 1


async def answer(node: Node, clients: Clients, body: Mapping[str, Any]) -> None:
    """Take an answer to the source: the Procedure first, if there is one, then the Task itself."""

    def prepare(work: Work) -> tuple[Inbound | None, dict[str, Any] | None]:
        return inbound.get(work, body["inbound"]), contents.get(work, body["answer"], "answer")

    known, said = await in_store(node, prepare)
    if known is None or said is None:
        return
    if quiet.answers_quietly(node):
        await _tell(node, clients, known, said, body["answer"])
        return
    source = partner(node, clients, known.organization, known.source)
    try:
        task = await source.read(f"Task/{known.task_id}", "Task.rus")
        wanted = said["Task"]["status"]
        if task.resource["status"] == wanted and wanted in referral.FINAL:
            # An earlier attempt arrived and its answer was lost; a closed Task cannot change again.
            await _arrived(node, known, body["answer"], wanted)
            return
        if "Procedure" in said:
            await _add_procedure(source, task.resource, said["Procedure"], body["answer"])
            task = await source.read(f"Task/{known.task_id}", "Task.rus")  # its output has grown
        changed = _changed(task.resource, said["Task"])
        await _send_task(source, known, task, changed, body["answer"])
    except Gone:
        await _too_late(node, known, body["answer"], said["Task"]["status"])
    except Stopped as stopped:
        if not isinstance(stopped.outcome, GiveUp):
            raise
        await _too_late(node, known, body["answer"], said["Task"]["status"])
    else:
        await _arrived(node, known, body["answer"], changed["status"])


async def _tell(
    node: Node, clients: Clients, known: Inbound, said: Mapping[str, Any], answer_id: str
) -> None:
    """A quiet recipient's answer: only what a release lets go now, and without one nothing is even asked.

    What may not go waits on here. Refused by the source, or too late there, it is over.
    """
    if not await in_store(node, lambda work: keeping.may_go(node, work, known, answer_id)):
        return
    source = partner(node, clients, known.organization, known.source)
    try:
        task = await source.read(f"Task/{known.task_id}", "Task.rus")
        at_source = task.resource["status"]
        telling = await in_store(
            node, lambda work: keeping.decide_to_send(node, work, known, said, at_source)
        )
        if telling is None:
            return
        try:
            if telling.goes is not None:
                async with asyncio.timeout(_LONGEST_SECONDS):
                    await _send_part(source, known, task, telling.goes, answer_id)
        finally:
            node.ended.append(telling.disclosure)
    except Gone:
        await _told(node, known, answer_id, None, None)
    except Stopped as stopped:
        if not isinstance(stopped.outcome, GiveUp):
            raise
        await _told(node, known, answer_id, None, None)
    else:
        now_there = telling.goes["Task"]["status"] if telling.goes is not None else None
        await _told(node, known, answer_id, now_there, telling.stays)


async def _send_part(
    source: Partner, known: Inbound, task: Read, goes: Mapping[str, Any], answer_id: str
) -> None:
    if "Procedure" in goes:
        await _add_procedure(source, task.resource, goes["Procedure"], answer_id)
        task = await source.read(f"Task/{known.task_id}", "Task.rus")  # its output has grown
    await _send_task(source, known, task, _changed(task.resource, goes["Task"]), answer_id)


async def _told(
    node: Node, known: Inbound, answer_id: str, status: str | None, stays: Mapping[str, Any] | None
) -> None:
    """It is told, and the Task is there at `status`; None: nothing was, so look how it stands there."""

    def note(work: Work) -> list[str]:
        keeping.told(node, work, known, answer_id, stays)
        if status is None:
            notify.pull_later(work, known)
            return []
        inbound.change(work, known.id, status=status)
        return keeping.forget(work, known) if status in referral.FINAL else []

    for erased in [answer_id, *await in_store(node, note)]:
        await asyncio.to_thread(node.store.vault.destroy, erased)


async def _send_task(
    source: Partner, known: Inbound, task: Read, changed: Mapping[str, Any], answer_id: str
) -> None:
    await source.send(
        "PUT",
        f"/fhir/Task/{known.task_id}",
        "Task.rus",
        changed,
        If_Match=task.etag,
        Idempotency_Key=answer_id,
    )


async def _add_procedure(
    source: Partner, task: Mapping[str, Any], procedure: Mapping[str, Any], answer_id: str
) -> None:
    complete = {
        **procedure,
        "resourceType": "Procedure",
        "basedOn": [task["focus"]],
        "subject": task["for"],
    }
    await source.send(
        "POST", "/fhir/Procedure", "Procedure.c", complete, Idempotency_Key=f"{answer_id}/procedure"
    )


def _changed(task: Mapping[str, Any], said: Mapping[str, Any]) -> dict[str, Any]:
    """The Task as it was read, with what our own system says of it."""
    kept = {name: value for name, value in task.items() if name not in ("statusReason", "businessStatus")}
    given = {name: said[name] for name in ("status", "statusReason", "businessStatus") if name in said}
    output = [*task.get("output", []), *said.get("output", [])]
    return kept | given | ({"output": output} if output else {})


async def _arrived(node: Node, known: Inbound, answer_id: str, status: str) -> None:
    def note(work: Work) -> None:
        inbound.change(work, known.id, status=status)
        if status in referral.OPEN and known.opened_at is None:
            notify.pull_later(work, known)
        contents.forget(work, answer_id)

    await in_store(node, note)
    await asyncio.to_thread(node.store.vault.destroy, answer_id)


async def _too_late(node: Node, known: Inbound, answer_id: str, wanted: str) -> None:
    """The source has moved on or refuses the answer: read the Task again, which tells our own system.

    What our own system has closed stays closed for it, whichever way the source closed it.
    """

    def note(work: Work) -> None:
        if wanted not in referral.FINAL:
            inbound.change(work, known.id, expected=known.status)
        notify.pull_later(work, known)
        contents.forget(work, answer_id)

    await in_store(node, note)
    await asyncio.to_thread(node.store.vault.destroy, answer_id)
