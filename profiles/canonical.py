"""The names everybody must spell alike: canonical URLs and code systems, ours and the standards'.

Nothing here resolves on the network. `BASE` is a documentation domain (RFC 2606): a community that runs
Waymeet under its own name changes this one constant.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

BASE: Final = "https://waymeet.example/fhir"

# Our profiles.
SERVICE_REQUEST: Final = f"{BASE}/StructureDefinition/waymeet-service-request"
REFERRAL_TASK: Final = f"{BASE}/StructureDefinition/waymeet-referral-task"
CONSENT: Final = f"{BASE}/StructureDefinition/waymeet-consent"
PATIENT: Final = f"{BASE}/StructureDefinition/waymeet-patient"
OFFER_SERVICE_REQUEST: Final = f"{BASE}/StructureDefinition/waymeet-offer-service-request"
HEALTHCARE_SERVICE: Final = f"{BASE}/StructureDefinition/waymeet-healthcare-service"
LOCATION: Final = f"{BASE}/StructureDefinition/waymeet-location"
ORGANIZATION: Final = f"{BASE}/StructureDefinition/waymeet-organization"
ENDPOINT: Final = f"{BASE}/StructureDefinition/waymeet-endpoint"

# Our extensions, on ServiceRequest.
PREFERRED_LANGUAGE: Final = f"{BASE}/StructureDefinition/preferred-language"
ELIGIBILITY: Final = f"{BASE}/StructureDefinition/eligibility"

# Our extensions, on Consent.
CONSENT_STATEMENT: Final = f"{BASE}/StructureDefinition/consent-statement"
CONSENT_REPLACES: Final = f"{BASE}/StructureDefinition/consent-replaces"

# Our code systems.
DISCLOSURE_ITEM: Final = f"{BASE}/CodeSystem/disclosure-item"
REFERRAL_OUTCOME: Final = f"{BASE}/CodeSystem/referral-outcome"
STATUS_REASON: Final = f"{BASE}/CodeSystem/status-reason"
CONTACT_RULE: Final = f"{BASE}/CodeSystem/contact-rule"
REGIME: Final = f"{BASE}/CodeSystem/regime"
TASK_OUTPUT: Final = f"{BASE}/CodeSystem/task-output"
REFERRAL_TYPE: Final = f"{BASE}/CodeSystem/referral-type"

# FHIR R4 (4.0.1).
FHIR: Final = "http://hl7.org/fhir/StructureDefinition"
DATA_ABSENT_REASON: Final = f"{FHIR}/data-absent-reason"
CONSENT_LOCATION: Final = f"{FHIR}/consent-location"
TASK_CODE: Final = "http://hl7.org/fhir/CodeSystem/task-code"
CONSENT_SCOPE: Final = "http://terminology.hl7.org/CodeSystem/consentscope"
CONSENT_ACTION: Final = "http://terminology.hl7.org/CodeSystem/consentaction"
CONSENT_POLICY: Final = "http://terminology.hl7.org/CodeSystem/consentpolicycodes"
OBSERVATION_CATEGORY: Final = "http://terminology.hl7.org/CodeSystem/observation-category"

# HL7 version 3 terminology.
ACT_REASON: Final = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
ACT_CODE: Final = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
CONFIDENTIALITY: Final = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
OBSERVATION_VALUE: Final = "http://terminology.hl7.org/CodeSystem/v3-ObservationValue"
PARTICIPATION_TYPE: Final = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType"

# SDOH Clinical Care 3.0.0 (the Gravity Project).
SDOHCC: Final = "http://hl7.org/fhir/us/sdoh-clinicalcare"
SDOHCC_CODES: Final = f"{SDOHCC}/CodeSystem/SDOHCC-CodeSystemTemporaryCodes"
SDOHCC_SERVICE_REQUEST: Final = f"{SDOHCC}/StructureDefinition/SDOHCC-ServiceRequest"
SDOHCC_REFERRAL_TASK: Final = f"{SDOHCC}/StructureDefinition/SDOHCC-TaskForReferralManagement"
SDOHCC_CONSENT: Final = f"{SDOHCC}/StructureDefinition/SDOHCC-Consent"
SDOHCC_PROCEDURE: Final = f"{SDOHCC}/StructureDefinition/SDOHCC-Procedure"
SDOHCC_TASK_TOPIC: Final = f"{SDOHCC}/SubscriptionTopic/Task"
SDOHCC_SERVICE_REQUEST_TOPIC: Final = f"{SDOHCC}/SubscriptionTopic/Servicerequest"  # the guide's spelling

# US Core 7.0.0.
US_CORE: Final = "http://hl7.org/fhir/us/core"
US_CORE_PATIENT: Final = f"{US_CORE}/StructureDefinition/us-core-patient"
US_CORE_ORGANIZATION: Final = f"{US_CORE}/StructureDefinition/us-core-organization"
US_CORE_CATEGORY: Final = f"{US_CORE}/CodeSystem/us-core-category"

# Subscriptions R5 Backport 1.1.0 (the R4 forms).
BACKPORT: Final = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition"
BACKPORT_SUBSCRIPTION: Final = f"{BACKPORT}/backport-subscription"
BACKPORT_NOTIFICATION: Final = f"{BACKPORT}/backport-subscription-notification-r4"
BACKPORT_STATUS: Final = f"{BACKPORT}/backport-subscription-status-r4"
BACKPORT_PAYLOAD_CONTENT: Final = f"{BACKPORT}/backport-payload-content"
BACKPORT_FILTER_CRITERIA: Final = f"{BACKPORT}/backport-filter-criteria"
BACKPORT_MAX_COUNT: Final = f"{BACKPORT}/backport-max-count"
BACKPORT_HEARTBEAT: Final = f"{BACKPORT}/backport-heartbeat-period"
BACKPORT_TIMEOUT: Final = f"{BACKPORT}/backport-timeout"

# Code systems of others.
LOINC: Final = "http://loinc.org"
SNOMED: Final = "http://snomed.info/sct"
BCP47: Final = "urn:ietf:bcp:47"

# What the profiles of others that ours refer to are for, so that the type of a reference is checked even
# where the packages they come with are not held.
PROFILE_TYPES: Final[Mapping[str, str]] = {
    US_CORE_PATIENT: "Patient",
    US_CORE_ORGANIZATION: "Organization",
    SDOHCC_PROCEDURE: "Procedure",
    SDOHCC_SERVICE_REQUEST: "ServiceRequest",
    SDOHCC_CONSENT: "Consent",
    f"{SDOHCC}/StructureDefinition/SDOHCC-practitionerrole": "PractitionerRole",
}
