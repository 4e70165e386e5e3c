"""Hand something to the agency's own system, in that system's own form: a file in a folder, or a webhook.

Both are at-least-once with a stable name (file name, `Idempotency-Key`), so a second delivery of the same
thing can be told from a new one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gateway import durable
from gateway.calling.client import PeerClient
from gateway.calling.transport import PeerError, PeerRefused, PeerUnavailable
from gateway.node import Node
from gateway.outbox import GiveUp, Later
from gateway.sending import Stopped, succeeded
from gateway.store import contents, referrals, tasks
from mappings import RecordError


async def send(node: Node, client: PeerClient, body: Mapping[str, Any]) -> None:
    """Tell the source's own system what became of a referral it sent. Content is read only now."""
    system, facts = await asyncio.to_thread(_change_of_task, node, body)
    await hand_over(node, client, system, "task", facts)


def _change_of_task(node: Node, body: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    with node.store.work() as work:
        found = referrals.get(work, body["referral"])
        task = tasks.get(work, body["task"])
        record = contents.get(work, body["referral"], referrals.RECORD)
    if found is None or task is None or record is None:
        raise Stopped(GiveUp("the referral's content is gone"))
    current = task.detail if task.status == body["status"] else {}
    return found.system, {
        "referral": found.id,
        "task": {**current, "resourceType": "Task", "id": task.id, "status": body["status"]},
        "local": record["local"],
        "now": work.stamp,
        "message": f"{found.id}-{body['version']}",
    }


async def hand_over(
    node: Node, client: PeerClient, system: str, event: str, facts: Mapping[str, Any]
) -> None:
    """Deliver one event (`offer`, `dossier`, `task`) to a local system; its name is `facts["message"]`.

    Returns when it is on disk or acknowledged, or when the system wants no answers. Raises Stopped.
    """
    settings = node.settings.systems[system]
    if settings.folder is None and settings.webhook is None:
        return
    try:
        rendered = node.mappings[system].render(event, facts)
    except RecordError:
        raise Stopped(GiveUp(f"the mapping of {system} cannot express this {event}")) from None
    name = str(facts["message"])
    if settings.folder is not None:
        await asyncio.to_thread(_write, settings.folder, f"{name}{rendered.suffix}", rendered.body)
    if settings.webhook is not None:
        headers = {"Content-Type": rendered.content_type, "Idempotency-Key": name}
        try:
            answer = await client.post_webhook(
                settings.webhook, headers, rendered.body, rendered.method, node.webhooks.get(system)
            )
            succeeded(answer)
        except PeerUnavailable:
            raise Stopped(Later("the agency's own system does not answer")) from None
        except PeerRefused as fault:
            raise Stopped(Later(f"the agency's own system cannot be called: {fault}")) from None
        except PeerError:
            raise Stopped(GiveUp("the agency's own system answered what must not be read")) from None


def _write(folder: Path, name: str, body: bytes) -> None:
    """A whole file or none, under a name that is there only when it is whole."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        durable.replace(folder / name, body, mark="part")
    except OSError:
        raise Stopped(Later("the folder of the agency's own system cannot be written")) from None
