"""FHIRPath constraints as predicates: compiled to Python closures, or else run by a library."""

from __future__ import annotations

from profiles.fhirpath.constraint import Compiled, Predicate, compile_predicate
from profiles.fhirpath.context import Context
from profiles.fhirpath.errors import EvaluationError, Unsupported

__all__ = ["Compiled", "Context", "EvaluationError", "Predicate", "Unsupported", "compile_predicate"]
