"""What the fields of made-up records hold: of all that the mapping takes from each, what suits it best."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, Final

from mappings.check.r4_types import SourceTypes
from mappings.check.samples import Functions, Sample
from mappings.check.uses import Use
from mappings.check.wants import Key, Want, Wants
from mappings.record import Rejected

_SOME_WORD: Final = "sample"


class Fields:
    """The fields of one record kind. `words`: what its conditions ask for, by field."""

    def __init__(
        self,
        uses: Iterable[Use],
        words: Mapping[Key, Iterable[str]],
        functions: Functions,
        types: SourceTypes,
    ) -> None:
        self._types = types
        self._functions = functions
        self._uses: dict[Key, list[Use]] = defaultdict(list)
        for use in uses:
            for key in use.keys:
                self._uses[key].append(use)
        self._words = words
        self._values: dict[Key, list[Any]] = {}

    def of(self, wants: Wants) -> dict[Key, Any]:
        """Fields as they are wanted. One that nothing fits holds some word."""
        return {key: self._value(key, want) for key, want in wants.items() if want.present}

    def prefer(self, key: Key, value: Any) -> None:
        """From now on `key` holds `value` where it may."""
        self._ranked(key).insert(0, value)

    def samples(self, use: Use) -> list[Sample]:
        """What to try in the fields of `use`: of samples that come to the same, one.

        A sample without a value stands for whatever suits the others who read the fields.
        """
        if use.source is None:
            return [Sample(None)]
        if not use.chain and use.line.kind is not None and use.line.kind.is_text:
            several = self._types.samples(use.keys[0])
            return [Sample(value) for value in several] if len(several) > 1 else [Sample(None)]
        distinct: dict[str, Sample] = {}
        passed_over = self._functions.passed_over(use.chain)
        for sample in [*self._functions.samples(use.chain, use.line.kind), *passed_over]:
            if use.source.fields(sample.value):
                distinct.setdefault(self._signature(use, sample.value), sample)
        return list(distinct.values()) or ([] if use.source.translated else [Sample(None)])

    def _signature(self, use: Use, value: Any) -> str:
        if use.source is None or use.source.joined is not None:
            return repr(self._made(use, value))
        words = str(value) if str(value) in self._words.get(use.keys[0], ()) else ""
        made = [repr(self._made(other, value)) for other in self._single(use.keys[0]) if other.chain]
        return "\n".join([words, *made]) if made else str(value)

    def _made(self, use: Use, value: Any) -> Any:
        try:
            return self._functions.apply(use.chain, value)
        except Rejected:
            return Rejected

    def _value(self, key: Key, want: Want) -> Any:
        fitting = (
            value
            for value in self._ranked(key)
            if str(value) not in want.but and (want.among is None or str(value) in want.among)
        )
        return next(fitting, want.among[0] if want.among else _SOME_WORD)

    def _ranked(self, key: Key) -> list[Any]:
        if key not in self._values:
            samples = [
                use.source.fields(sample.value).get(key)
                for use in sorted(self._uses[key], key=lambda use: use.line.kind is None)
                for sample in self._functions.samples(use.chain, use.line.kind)
                if use.source
            ]
            every = [*self._types.samples(key), *samples, *self._words.get(key, ())]
            known = {str(value): value for value in every if value is not None}
            self._values[key] = sorted(known.values(), key=lambda value: self._rank(key, value))
        return self._values[key]

    def _rank(self, key: Key, value: Any) -> tuple[int, int]:
        made = [self._made(use, value) for use in self._single(key)]
        return made.count(Rejected), sum(each is None for each in made)

    def _single(self, key: Key) -> list[Use]:
        """The uses that read this field and no other with it."""
        return [use for use in self._uses[key] if len(use.keys) == 1]
