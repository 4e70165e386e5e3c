"""What is valid: FHIR R4 structure, our profiles, terminology, and the project's own data files."""

from profiles.outcome import Issue, errors, operation_outcome
from profiles.validation import validate

__all__ = ["Issue", "errors", "operation_outcome", "validate"]
