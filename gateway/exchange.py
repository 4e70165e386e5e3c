"""The road, in order. One pass of a record through this node is an exchange; each step is a call.

    at the source     receive → map → validate → open → route → decide → notify
    a partner reads   authenticate → decide → minimise → audit → answer
    a partner answers authenticate → decide → (Task table) → audit → write back
    a person decides  record a consent, or withdraw one → decide again → offer, or cancel (permission.py)
    at the recipient  learn of a Task → pull → hand over; take an answer → send it to the source

Nothing here does I/O but through the store: what must be sent is written to the outbox in the same unit
of work, and `gateway.worker` sends it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import uuid4

import msgspec

import consent
from gateway import (
    audit,
    consenting,
    decoy,
    excluding,
    exclusion,
    fhir_json,
    keeping,
    notification,
    notify,
    outbox,
    quiet,
    receive,
    referral,
    route,
)
from gateway.clock import stamp
from gateway.correcting import correct
from gateway.errors import Refused, no_new_dossier, not_found, refuse
from gateway.judge import Denied, judge, permitted
from gateway.node import Node
from gateway.offering import Receipt, after_change, offer_if_permitted
from gateway.recording import Ask, or_refuse, record
from gateway.store import consents, contents, disclosures, inbound, persons, received, referrals, tasks
from gateway.store.inbound import Inbound
from gateway.store.referrals import Referral
from gateway.store.tasks import Task
from gateway.store.work import Work
from gateway.task_resource import resulting_activity
from gateway.view import disclosed_items, etag, find, view
from mappings import Mapped
from profiles import canonical, validate
from profiles.outcome import errors

PURPOSE = "COC"  # coordination of care, the purpose of a referral (v3-ActReason)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a caller gets: a resource, its entity tag, and the HTTP status.

    disclosure: what to note as ended once the last byte is sent, where something of a referral goes out.
    """

    resource: Mapping[str, Any]
    etag: str
    disclosure: str = ""
    status: int = 200
    location: str = ""


@dataclass(frozen=True, slots=True)
class Listed:
    """The Tasks that a search found; disclosures: what to note as ended once the last byte is sent."""

    tasks: list[Mapping[str, Any]]
    disclosures: tuple[str, ...]


class Exchange:
    """The steps of every road through one node."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.store = node.store
        decoy.prepare(node)

    # ---------------------------------------------------------------- a local record comes in

    def hand_in(self, ask: Ask, system: str, body: bytes) -> list[Receipt | Refused]:
        """Every record in `body`, durably taken in or refused. Raises Refused when nothing can be read."""
        done: list[Receipt | Refused] = []
        for mapped in receive.mapped_records(self.node, system, body):
            try:
                done.append(mapped if isinstance(mapped, Refused) else self._take(ask, system, mapped))
            except Refused as refusal:
                done.append(refusal)
            if isinstance(mapped, Mapped):
                consenting.settled(self.node, mapped)
                excluding.settled(self.node, mapped)
        return done

    def _take(self, ask: Ask, system: str, mapped: Mapped) -> Receipt:
        match mapped.kind:
            case "referral":
                return self._open_referral(ask, system, mapped)
            case "amendment" | "cancellation":
                return correct(self.node, ask, system, mapped)
            case "status" if "id" in mapped.resources["Task"]:
                return self._answer_partner(ask, system, keeping.with_person(self.node, mapped))
            case "skip":
                return Receipt("", "passed over", self.node.stamp(), (mapped.because,))
            case _:
                raise refuse(
                    422,
                    "not-supported",
                    "The record is no referral, nothing about one that was sent from here, and no answer.",
                )

    def _open_referral(self, ask: Ask, system: str, mapped: Mapped) -> Receipt:
        said = receive.same_record(mapped)
        with self.store.work() as work:
            if again := received.first_answer(work, system, mapped.key, said):
                return msgspec.convert(again, Receipt)
            resources = receive.referral_resources(mapped, self.node.definitions)
            given = consenting.given_with(self.node, mapped)
            excluded = exclusion.in_record(self.node, system, mapped)
            systems = self.node.settings.systems
            candidates = route.candidates(self.node, systems[system], mapped, excluded.closed)
            referral_id = str(uuid4())
            self.store.vault.create(referral_id)  # durable before the content that it opens
            opened = Referral(
                id=referral_id,
                organization=self.node.sends_as.organization,
                system=system,
                referral_type=route.referral_type(resources["ServiceRequest"]),
                purpose=PURPOSE,
                subject_digest=consents.subject_digest(work, *mapped.subject) if mapped.subject else "",
                state="held",
                opened_at=work.stamp,
            )
            sealed = receive.record(self.node, system, mapped, resources, excluded)
            referrals.open_referral(work, opened, sealed)
            excluding.note(ask, work, opened, exclusion.Exclusions(), excluded)
            if given:
                consenting.keep(self.node, ask, work, *given, but=referral_id)
            receipt = self._offer_to_first(ask, work, opened, candidates, resources)
            received.remember(work, system, mapped.key, said, referral_id, msgspec.to_builtins(receipt))
            return receipt

    def _offer_to_first(
        self,
        ask: Ask,
        work: Work,
        opened: Referral,
        candidates: tuple[str, ...],
        resources: Mapping[str, Any],
    ) -> Receipt:
        """Offer to the first candidate that may be told; if none may, hold it and say what is needed."""
        receipt = Receipt(
            opened.id, "held", opened.opened_at, ("No partner in the directory offers what is needed.",)
        )
        for organization in candidates:
            served = consent.served_names(resources, self.node.policy)
            task = tasks.add(work, opened.id, organization, served)
            receipt = offer_if_permitted(self.node, ask, work, opened, task)
            if receipt.state == "offered":
                break
        return receipt

    # ---------------------------------------------------------------- a partner reads

    def read(self, ask: Ask, resource_type: str, resource_id: str) -> Answer:
        """One resource as this partner may see it now. Raises the one 404 for everything it may not."""

        def step(work: Work) -> Answer:
            found, task, name = find(self.node, work, ask, resource_type, resource_id)
            judged = permitted(self.node, work, found, task, name, ask.purposes)
            shown = view(self.node, work, found, task, judged)
            resource = shown.task if name == "Task" else shown.resources.get(name)
            if resource is None:
                raise Denied(found.id, judged.decision, persons.epoch(work, found.subject_digest))
            items = disclosed_items(self.node, judged.decision, name)
            decision, withheld = judged.decision, shown.withheld
            record(work, ask, "read", "R", found, task, decision, what=name, items=items, withheld=withheld)
            tag = etag(work, task if name == "Task" else resource)
            return Answer(resource, tag, disclosures.begin(work, found))

        return or_refuse(self.store, ask, "read", "R", step)

    def search_tasks(self, ask: Ask, wanted: Callable[[Mapping[str, Any]], bool]) -> Listed:
        """The Tasks that this partner may see now and that fit, oldest change first."""

        def step(work: Work) -> Listed:
            seen: list[Mapping[str, Any]] = []
            under_way: dict[str, str] = {}
            for task in tasks.for_owner(work, ask.identity.organization, ask.agent):
                found = referrals.get(work, task.referral_id)
                judged = judge(self.node, work, found, task, ask.purposes) if found else None
                if found is None or judged is None or not judged.decision.permit:
                    continue
                resource = view(self.node, work, found, task, judged).task
                if wanted(resource):
                    record(work, ask, "search-type", "E", found, task, judged.decision)
                    seen.append(resource)
                    if found.subject_digest not in under_way:
                        under_way[found.subject_digest] = disclosures.begin(work, found)
            return Listed(seen, tuple(under_way.values()))

        return or_refuse(self.store, ask, "search-type", "E", step)

    # ---------------------------------------------------------------- a partner answers

    def update_task(
        self, ask: Ask, task_id: str, wanted: Mapping[str, Any], if_match: str | None, key: str | None
    ) -> Answer:
        """The owner's new version of its Task. Order: idempotency key, decide, If-Match, change."""

        def step(work: Work) -> Answer:
            said = fhir_json.canonical(wanted)
            repeated = key is not None and received.first_answer(work, ask.agent, key, said) is not None
            found, task, _ = find(self.node, work, ask, "Task", task_id)
            if repeated and wanted.get("status") == task.status:
                # What it wrote itself it may hear again; anything that came later is decided below.
                record(work, ask, "read", "R", found, task, details={"repeated": "true"})
                return self._as_it_stands(work, found, task)
            judged = permitted(self.node, work, found, task, purposes=ask.purposes)
            current = view(self.node, work, found, task, judged).task
            if repeated or (task.status in referral.FINAL and wanted.get("status") == task.status):
                record(work, ask, "read", "R", found, task, judged.decision, details={"repeated": "true"})
                return Answer(current, etag(work, task), disclosures.begin(work, found))
            if if_match is None:
                raise refuse(428, "required", "Send If-Match with the ETag of the version that you read.")
            if if_match != etag(work, task):
                raise refuse(412, "conflict", "The Task has changed since you read it; read it again.")
            changed = self._change(work, task, current, wanted)
            if key:
                received.remember(work, ask.agent, key, said, found.id, {"task": task_id})
            record(work, ask, "update", "U", found, changed, judged.decision)
            after_change(work, found, changed)
            return self._as_it_stands(work, found, changed)

        return or_refuse(self.store, ask, "update", "U", step)

    def _as_it_stands(self, work: Work, found: Referral, task: Task) -> Answer:
        """The Task that its owner has just written, whatever its new state closes to later readers."""
        judged = judge(self.node, work, found, task)
        shown = view(self.node, work, found, task, judged).task
        return Answer(shown, etag(work, task), disclosures.begin(work, found))

    def _change(self, work: Work, task: Task, current: Mapping[str, Any], wanted: Mapping[str, Any]) -> Task:
        # Structure alone first: whatever profile it claims, what is forbidden is told before what is missing.
        held = self.node.definitions
        if found := errors(validate({name: wanted[name] for name in wanted.keys() - {"meta"}}, held=held)):
            raise Refused(422, found)
        referral.sole_changes(current, wanted)
        referral.check_transition(task.status, wanted["status"], "owner", wanted.get("statusReason"))
        if found := errors(validate(wanted, canonical.REFERRAL_TASK, held)):
            raise Refused(422, found)
        opens = task.status not in referral.OPEN and wanted["status"] in referral.OPEN
        if opens and not self.node.trust.opens_dossiers():
            raise no_new_dossier()
        detail = {name: wanted[name] for name in referral.OWNER_ELEMENTS[1:] if name in wanted}
        return tasks.change(work, task, wanted["status"], detail)

    def add_procedure(self, ask: Ask, wanted: Mapping[str, Any], key: str | None) -> Answer:
        """A Procedure that the owner did for the referral, kept with it and listed in `Task.output`."""

        def step(work: Work) -> Answer:
            if found := errors(validate(wanted, held=self.node.definitions)):
                raise Refused(422, found)
            based_on = str((wanted.get("basedOn") or [{}])[0].get("reference", ""))
            focus = based_on.removeprefix("ServiceRequest/")
            about, task, _ = find(self.node, work, ask, "ServiceRequest", focus)
            judged = permitted(self.node, work, about, task, purposes=ask.purposes)
            said = fhir_json.canonical(wanted)
            if key and (again := received.first_answer(work, ask.agent, key, said)):
                return Answer(wanted, "", status=201, location=f"Procedure/{again['procedure']}")
            person = f"Patient/{tasks.addresses(work, task.id)['Patient']}"
            if wanted.get("subject", {}).get("reference") != person:
                rule = "It must be about the Task's own person."
                raise refuse(422, "business-rule", rule, expression="Procedure.subject")
            if judged.decision.view != "dossier":
                raise refuse(409, "business-rule", "A Procedure belongs to an accepted, open referral.")
            made = tasks.add_address(work, task.id, "Procedure")
            contents.put(work, about.id, f"Procedure/{made}", wanted)
            output = [*task.detail.get("output", []), resulting_activity(made)]
            changed = tasks.change(work, task, task.status, {**task.detail, "output": output})
            if key:
                received.remember(work, ask.agent, key, said, about.id, {"procedure": made})
            record(work, ask, "create", "C", about, changed, judged.decision)
            return Answer({**wanted, "id": made}, "", status=201, location=f"Procedure/{made}")

        return or_refuse(self.store, ask, "create", "C", step)

    # ---------------------------------------------------------------- at the recipient

    def learn(self, ask: Ask, events: Iterable[notification.Event]) -> None:
        """A partner says that Tasks of ours changed there: note it, durably, and pull them later.

        Raises the one 404 under a name that nothing may be referred to.
        """

        def step(work: Work) -> None:
            if not quiet.receives_under(self.node, ask.identity.organization):
                raise not_found()
            for event in events:
                if event.task_id is None or event.number is None:
                    continue
                known = inbound.learn_of(work, ask.identity.organization, ask.agent, event.task_id)
                notify.pull_later(work, known)
                notify.note_event(work, ask.identity.organization, ask.agent, event)
                record(work, ask, "notify", "E", details={"task": event.task_id, "inbound": known.id})

        or_refuse(self.store, ask, "notify", "E", step)

    def _answer_partner(self, ask: Ask, system: str, mapped: Mapped) -> Receipt:
        """Our own system's answer to a referral: checked, sealed, and sent to the source by the worker.

        A quiet recipient keeps it until a release lets it go.
        """
        task = mapped.resources["Task"]
        said = receive.same_record(mapped)
        with self.store.work() as work:
            known = inbound.get(work, str(task.get("id", "")))
            if known is None:
                raise refuse(404, "not-found", "No referral with this id was offered here.", field="referral")
            if again := received.first_answer(work, system, mapped.key, said):
                return msgspec.convert(again, Receipt)
            send = keeping.take if quiet.answers_quietly(self.node) else self._send_answer
            receipt = send(self.node, ask, work, known, mapped)
            received.remember(work, system, mapped.key, said, known.id, msgspec.to_builtins(receipt))
            return receipt

    @staticmethod
    def _send_answer(node: Node, ask: Ask, work: Work, known: Inbound, mapped: Mapped) -> Receipt:
        task = mapped.resources["Task"]
        referral.check_transition(known.expected, task["status"], "owner", task.get("statusReason"))
        answer_id = str(uuid4())
        node.store.vault.create(answer_id)
        said = {name: one for name, one in mapped.resources.items() if name in ("Task", "Procedure")}
        contents.put(work, answer_id, "answer", said)
        inbound.change(work, known.id, expected=task["status"])
        outbox.post(work, "answer", notify.inbound_lane(known), {"inbound": known.id, "answer": answer_id})
        record(work, ask, "update", "U", details={"inbound": known.id, "status": task["status"]})
        return Receipt(known.id, task["status"], work.stamp)

    # ---------------------------------------------------------------- closing

    def erase_closed(self) -> int:
        """Destroy the content of closed referrals whose write-back is drained and whose grace is over.

        Rows first, then the key: a crash in between leaves a key that opens nothing, found next time.
        """
        grace = timedelta(minutes=self.node.settings.close_grace_minutes)
        with self.store.work() as work:
            for found in referrals.closed_before(work, stamp(work.now - grace)):
                if not outbox.pending(work, notify.write_back_lane(found.id), given_up=True):
                    contents.forget(work, found.id)
                    tasks.forget_details(work, found.id)
                    referrals.start_erasing(work, found.id)
                    audit.record(work, audit.Entry("erase", "D", "node", referral_id=found.id))
            erasing = referrals.in_state(work, "erasing")
        for found in erasing:
            if self.store.vault.destroy(found.id):
                with self.store.work() as work:
                    referrals.set_state(work, found.id, "erased")
        return len(erasing)
