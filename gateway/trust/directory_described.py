"""What somebody other than a participant says of it: its name and services, nothing that decides trust."""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from gateway.trust.directory_form import Day, Offer, OrganizationUrl, Source, Text
from gateway.trust.directory_statement import Own


class Described(Struct, forbid_unknown_fields=True, frozen=True, omit_defaults=True):
    """What somebody other than the participant says of it."""

    organization: OrganizationUrl
    source: Source
    assured: Day
    name: Text | UnsetType = UNSET
    services: Annotated[tuple[Offer, ...], Meta(max_length=256)] | UnsetType = UNSET


decoder: Final = msgspec.json.Decoder(Described)


def descriptive(own: Own) -> tuple[Any, ...]:
    """What a participant says of itself that others may say too."""
    return own.statement.name, own.statement.services


def merged(own: Own, said: Described | None) -> dict[str, Any]:
    """The members of an entry: the owner's, with what a third party has said of its name and services."""
    members = own.members
    if said is None:
        return members
    vouched = {"source": said.source, "assured": said.assured}
    if said.name is not UNSET:
        members |= {"name": said.name, "name_source": said.source, "name_assured": said.assured}
    if said.services is not UNSET:
        members["services"] = [one | vouched for one in msgspec.to_builtins(said.services)]
    return members
