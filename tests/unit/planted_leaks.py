"""Leaks as somebody could write them by mistake, each planted in the running code."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import NAMESPACE_OID, uuid4, uuid5

import pytest

import consent
from gateway import exchange, judge, notification
from gateway.errors import refuse
from gateway.exchange import Exchange
from gateway.view import View, find, view

Alter = Callable[["Scene"], View]


@dataclass
class Scene:
    """What stands ready where a view is made."""

    node: Any
    record: Mapping[str, Any]
    decision: Any
    shown: View

    @property
    def family(self) -> str:
        return str(self.record["Patient"]["name"][-1].get("family", ""))

    def with_task(self, **more: Any) -> View:
        return replace(self.shown, task={**self.shown.task, **more})

    def with_patient(self, **more: Any) -> View:
        held = self.shown.resources
        if "Patient" not in held:
            return self.shown
        return replace(self.shown, resources={**held, "Patient": {**held["Patient"], **more}})


@dataclass
class Leak:
    """plant: put it in. between: which worlds show it. phase: where, of two kinds of agency.

    change: what differs, where the worlds are of one field.
    """

    plant: Callable[[pytest.MonkeyPatch], None]
    between: str
    phase: str = "offer"
    change: Mapping[str, str] = field(default_factory=lambda: {"last_name": "Thompsonby"})


def in_view(alter: Alter) -> Callable[[pytest.MonkeyPatch], None]:
    """A leak in what a partner is shown of a referral."""

    def plant(patch: pytest.MonkeyPatch) -> None:
        def leaking(node: Any, work: Any, found: Any, task: Any, judged: Any) -> View:
            shown = view(node, work, found, task, judged)
            return alter(Scene(node, judged.resources, judged.decision, shown)) if judged.resources else shown

        patch.setattr(exchange, "view", leaking)

    return plant


def in_answers(alter: Callable[[Any, str], None]) -> Callable[[pytest.MonkeyPatch], None]:
    """A leak in the HTTP answer: what it does to the response, knowing a withheld name."""

    def plant(patch: pytest.MonkeyPatch) -> None:
        from gateway import app

        known = [""]

        def seen(node: Any, work: Any, found: Any, task: Any, judged: Any) -> View:
            if judged.resources:
                known[0] = str(judged.resources["Patient"]["name"][-1].get("family", ""))
            return view(node, work, found, task, judged)

        made = app._answer

        def answered(*given: Any) -> Any:
            response = made(*given)
            alter(response, known[0])
            return response

        patch.setattr(exchange, "view", seen)
        patch.setattr(app, "_answer", answered)

    return plant


def pad(response: Any, family: str) -> None:
    response.body += b" " * len(family)
    response.headers["content-length"] = str(len(response.body))


def etag(of: Callable[[str], str]) -> Callable[[pytest.MonkeyPatch], None]:
    def plant(patch: pytest.MonkeyPatch) -> None:
        family = [""]

        def seen(node: Any, work: Any, found: Any, task: Any, judged: Any) -> View:
            if judged.resources:
                family[0] = str(judged.resources["Patient"]["name"][-1].get("family", ""))
            return view(node, work, found, task, judged)

        patch.setattr(exchange, "view", seen)
        patch.setattr(exchange, "etag", lambda work, versioned: of(family[0]))

    return plant


def excerpt_for_one_kind(patch: pytest.MonkeyPatch) -> None:
    """A notice that only a victim service provider sends."""
    made = consent.minimise

    def minimise(resources: Any, decision: Any, policy: Any, ids: Any) -> Any:
        if any("vawa" in one.lower() for one in decision.basis):
            extra = replace(decision.obligations[0], code="consent-scope")
            decision = replace(decision, obligations=(*decision.obligations, extra))
        return made(resources, decision, policy, ids)

    patch.setattr(consent, "minimise", minimise)


def denial(status: int, told: Callable[[Any], str]) -> Callable[[pytest.MonkeyPatch], None]:
    """A denial that is not answered as what does not exist is."""

    def plant(patch: pytest.MonkeyPatch) -> None:
        def finding(node: Any, work: Any, ask: Any, kind: str, at: str) -> Any:
            from gateway.store import referrals, tasks

            pointed = (at, "Task") if kind == "Task" else tasks.pointed_at(work, kind, at) or ("", "")
            task = tasks.get(work, pointed[0])
            found = referrals.get(work, task.referral_id) if task else None
            if task and found and task.status == "draft":
                decision = judge.judge(node, work, found, task).decision
                raise refuse(status, "not-found", told(decision))
            return find(node, work, ask, kind, at)

        patch.setattr(exchange, "find", finding)

    return plant


def drafts_counted(patch: pytest.MonkeyPatch) -> None:
    """A search whose total counts what this partner may not see."""
    from gateway import task_search
    from gateway.store import schema

    hidden = [0]
    listed, made = Exchange.search_tasks, task_search.Search.bundle

    def search(self: Exchange, ask: Any, wanted: Any) -> Any:
        with self.store.work() as work:
            hidden[0] = len([row for row in work.tx.execute(schema.task.select()) if row.status == "draft"])
        return listed(self, ask, wanted)

    def bundle(self: Any, tasks: Any, base: str) -> Any:
        return made(self, tasks, base) | {"total": len(tasks) + hidden[0]}

    patch.setattr(Exchange, "search_tasks", search)
    patch.setattr(task_search.Search, "bundle", bundle)


def sorted_by_name(patch: pytest.MonkeyPatch) -> None:
    """A list in the order of something withheld."""
    names: dict[str, str] = {}
    listed = Exchange.search_tasks

    def seen(node: Any, work: Any, found: Any, task: Any, judged: Any) -> View:
        if judged.resources:
            names[task.id] = str(judged.resources["Patient"]["name"][-1].get("family", ""))
        return view(node, work, found, task, judged)

    def search(self: Exchange, ask: Any, wanted: Any) -> Any:
        found = listed(self, ask, wanted)
        return replace(found, tasks=sorted(found.tasks, key=lambda one: names.get(one["id"], "")))

    patch.setattr(exchange, "view", seen)
    patch.setattr(Exchange, "search_tasks", search)


def events_of_all(patch: pytest.MonkeyPatch) -> None:
    """A Subscription that counts the referrals that are held."""
    from gateway.store import schema, subscriptions

    made, found = notification.subscription_resource, subscriptions.of_subscriber
    held = [0]

    def counting(work: Any, *given: Any) -> Any:
        held[0] = len(work.tx.execute(schema.referral.select()).all())
        return found(work, *given)

    patch.setattr(subscriptions, "of_subscriber", counting)
    patch.setattr(
        notification, "subscription_resource", lambda one: made(one) | {"reason": f"{held[0]} referrals"}
    )


def _input(scene: Scene) -> View:
    if scene.decision.view != "dossier":
        return scene.shown
    withheld = {"type": {"text": "withheld"}, "valueReference": {"reference": f"Observation/{uuid4()}"}}
    extra = [withheld] * (len(scene.family) % 4)
    return scene.with_task(input=[*scene.shown.task.get("input", []), *extra])


LEAKS: Mapping[str, Leak] = {
    "the person's name as a display": Leak(
        in_view(lambda s: s.with_task(**{"for": {**s.shown.task["for"], "display": s.family}})), "fields"
    ),
    "the agency's name as a display": Leak(
        in_view(
            lambda s: s.with_task(requester={**s.shown.task["requester"], "display": s.node.settings.name})
        ),
        "kinds",
    ),
    "narrative": Leak(
        in_view(lambda s: s.with_patient(text={"status": "generated", "div": f"<div>{s.family}</div>"})),
        "fields",
    ),
    "how long something withheld is": Leak(
        in_view(lambda s: s.with_task(description="x" * len(s.family))), "fields"
    ),
    "how many elements are withheld": Leak(
        in_view(
            lambda s: s.with_task(
                meta={**s.shown.task["meta"], "tag": [{"code": str(len(s.shown.withheld))}]}
            )
        ),
        "fields",
        change={"last_name": ""},
    ),
    "a total over what is withheld": Leak(drafts_counted, "existence"),
    "a count in a Subscription": Leak(events_of_all, "existence"),
    "an entity tag made of the record": Leak(
        etag(lambda family: f'W/"{hashlib.sha256(family.encode()).hexdigest()[:20]}"'), "fields"
    ),
    "an entity tag made of what all records of a kind share": Leak(
        etag(lambda family: f'W/"{hashlib.sha256(b"the same").hexdigest()[:20]}"'), "fields"
    ),
    "an entity tag as long as a name": Leak(etag(lambda family: f'W/"{"0" * len(family)}"'), "fields"),
    "a body as long as a name": Leak(in_answers(pad), "fields"),
    "a header": Leak(
        in_answers(lambda response, family: response.headers.append("X-Part", family[:1])), "fields"
    ),
    "a notice of one kind of agency": Leak(excerpt_for_one_kind, "kinds", "dossier"),
    "an id made of the person": Leak(
        in_view(
            lambda s: s.with_patient(
                identifier=[
                    {"system": "urn:ietf:rfc:3986", "value": f"urn:uuid:{uuid5(NAMESPACE_OID, s.family)}"}
                ]
            )
        ),
        "fields",
    ),
    "a reason in the words of an error": Leak(denial(404, lambda decision: decision.code), "existence"),
    "a status of its own for what is denied": Leak(
        denial(403, lambda decision: "There is nothing here for you at this address."), "existence"
    ),
    "an input for what is withheld": Leak(in_view(_input), "fields"),
    "a list in the order of something withheld": Leak(sorted_by_name, "fields"),
}
