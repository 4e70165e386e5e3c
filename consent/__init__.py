"""May it go, and how much: agreements, consents, law as data → a Decision; and building what it lets through.

Pure functions over given facts. No web, no database, no clock of its own.
"""

from consent import agreement
from consent.agreement import Agreement
from consent.decide import decide
from consent.decision import Decision, Obligation, Reason
from consent.describe import describe, person
from consent.explain import named, sentences
from consent.facts import Facts, Party, Person
from consent.matter import Matter
from consent.minimise import Disclosure, minimise, present, served_names
from consent.policy import SHIPPED, Policy, load_policy
from consent.provisions import CompiledConsent
from consent.r4 import compile_consent
from consent.release import missing_elements, new_consent

__all__ = [
    "SHIPPED",
    "Agreement",
    "CompiledConsent",
    "Decision",
    "Disclosure",
    "Facts",
    "Matter",
    "Obligation",
    "Party",
    "Person",
    "Policy",
    "Reason",
    "agreement",
    "compile_consent",
    "decide",
    "describe",
    "load_policy",
    "minimise",
    "missing_elements",
    "named",
    "new_consent",
    "person",
    "present",
    "sentences",
    "served_names",
]
