"""What organisations are called, looked up in the directory one at a time: it may hold very many."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from gateway.trust.directory import Directory


class Names(Mapping[str, str]):
    """Directory URL → name, of everybody in a directory."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory

    def __getitem__(self, organization: str) -> str:
        found = self._directory.entry(organization)
        if found is None:
            raise KeyError(organization)
        return found.name

    def __iter__(self) -> Iterator[str]:
        return (entry.organization for entry in self._directory.entries)

    def __len__(self) -> int:
        return len(self._directory)
