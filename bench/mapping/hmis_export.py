"""An HMIS CSV export (FY2026) of any size, wholly invented and the same each time.

    from mapping.hmis_export import write

    write(folder, events=100_000)

The files have every column of the format, as a real export does. One event in ten refers nobody, one in a
hundred is a tombstone, and half of the referrals have a result.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from datetime import date, timedelta
from pathlib import Path
from random import Random

ORGANIZATIONS, PROJECTS = 12, 40
_AUDIT = "DateCreated DateUpdated UserID DateDeleted ExportID"
_COLUMNS = {
    "Export": """
        ExportID SourceType SourceID SourceName SourceContactFirst SourceContactLast SourceContactPhone
        SourceContactExtension SourceContactEmail ExportDate ExportStartDate ExportEndDate SoftwareName
        SoftwareVersion CSVVersion ExportPeriodType ExportDirective HashStatus ImplementationID
    """,
    "Organization": """
        OrganizationID OrganizationName VictimServiceProvider OrganizationCommonName
    """,
    "Project": """
        ProjectID OrganizationID ProjectName ProjectCommonName OperatingStartDate OperatingEndDate
        ContinuumProject ProjectType HousingType RRHSubType ResidentialAffiliation TargetPopulation
        HOPWAMedAssistedLivingFac PITCount
    """,
    "Client": """
        PersonalID FirstName MiddleName LastName NameSuffix NameDataQuality SSN SSNDataQuality DOB
        DOBDataQuality Sex AmIndAKNative Asian BlackAfAmerican HispanicLatinao MidEastNAfrican
        NativeHIPacific White RaceNone AdditionalRaceEthnicity VeteranStatus YearEnteredService
        YearSeparated WorldWarII KoreanWar VietnamWar DesertStorm AfghanistanOEF IraqOIF IraqOND
        OtherTheater MilitaryBranch DischargeStatus
    """,
    "Enrollment": """
        EnrollmentID PersonalID ProjectID EntryDate HouseholdID RelationshipToHoH EnrollmentCoC
        LivingSituation RentalSubsidyType LengthOfStay LOSUnderThreshold PreviousStreetESSH DateToStreetESSH
        TimesHomelessPastThreeYears MonthsHomelessPastThreeYears DisablingCondition DateOfEngagement
        MoveInDate DateOfPATHStatus ClientEnrolledInPATH ReasonNotEnrolled PercentAMI ReferralSource
        CountOutreachReferralApproaches DateOfBCPStatus EligibleForRHY ReasonNoServices RunawayYouth
        FormerWardChildWelfare ChildWelfareYears ChildWelfareMonths FormerWardJuvenileJustice
        JuvenileJusticeYears JuvenileJusticeMonths UnemploymentFam MentalHealthDisorderFam
        PhysicalDisabilityFam AlcoholDrugUseDisorderFam InsufficientIncome IncarceratedParent VAMCStation
        TargetScreenReqd TimeToHousingLoss AnnualPercentAMI LiteralHomelessHistory ClientLeaseholder
        HOHLeaseholder SubsidyAtRisk EvictionHistory CriminalRecord IncarceratedAdult PrisonDischarge
        SexOffender DisabledHoH CurrentPregnant SingleParent DependentUnder6 HH5Plus CoCPrioritized
        HPScreeningScore ThresholdScore MentalHealthConsultation
    """,
    "HealthAndDV": """
        HealthAndDVID EnrollmentID PersonalID InformationDate DomesticViolenceSurvivor WhenOccurred
        CurrentlyFleeing GeneralHealthStatus DentalHealthStatus MentalHealthStatus PregnancyStatus DueDate
        DataCollectionStage
    """,
    "Event": """
        EventID EnrollmentID PersonalID EventDate Event ProbSolDivRRResult ReferralCaseManageAfter
        LocationCrisisOrPHHousing ReferralResult ResultDate
    """,
}
_GIVEN = ("Ana", "Bo", "Cal", "Dee", "Eli", "Fay", "Gus", "Hana", "Ines", "Jo", "Kai", "Lena", "Mo", "Nia")
_FAMILY = ("Alder", "Birch", "Cedar", "Dale", "Elm", "Field", "Grove", "Heath", "Isle", "Lake", "Marsh")
_TYPED = {
    "DateCreated": "2026-09-01 08:00:00",
    "DateUpdated": "2026-09-02 17:34:04",
    "UserID": "U1",
    "ExportID": "X1",
}

Row = dict[str, object]


def write(folder: Path, events: int) -> None:
    """The export's files in `folder`: `events` rows in Event.csv, half as many people and enrolments."""
    people = events // 2 + 1
    tables: dict[str, Iterable[Row]] = {
        "Export": [{"SourceName": "Cove County", "CSVVersion": "2026 v1", "HashStatus": 1, "ExportID": "X1"}],
        "Organization": _organizations(),
        "Project": _projects(),
        "Client": _clients(people),
        "Enrollment": _enrollments(people),
        "HealthAndDV": _health(people),
        "Event": _events(events, people),
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in tables.items():
        with (folder / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
            columns = _COLUMNS[name] if name == "Export" else _COLUMNS[name] + _AUDIT
            writer = csv.DictWriter(file, columns.split())
            writer.writeheader()
            writer.writerows(rows)


def _organizations() -> Iterator[Row]:
    for number in range(ORGANIZATIONS):
        yield {
            "OrganizationID": f"O{number}",
            "OrganizationName": f"Agency {number}",
            "VictimServiceProvider": 0,
            **_TYPED,
        }


def _projects() -> Iterator[Row]:
    for number in range(PROJECTS):
        organization = f"O{number % ORGANIZATIONS}"
        yield {"ProjectID": f"P{number}", "OrganizationID": organization, "ProjectType": 14, **_TYPED}


def _clients(people: int) -> Iterator[Row]:
    random = Random(1)
    for number in range(people):
        yield {
            "PersonalID": f"C{number}",
            "FirstName": random.choice(_GIVEN),
            "LastName": random.choice(_FAMILY),
            "NameDataQuality": random.choice([1, 1, 1, 2]),
            "SSN": "xxxxxxxxx",
            "SSNDataQuality": 99,
            "DOB": date(1945, 1, 1) + timedelta(days=random.randrange(25_000)),
            "DOBDataQuality": random.choice([1, 1, 1, 2, 9]),
            "Sex": random.choice([0, 1, 8, 9, 99]),
            "RaceNone": 99,
            "VeteranStatus": 0,
            **_TYPED,
        }


def _enrollments(people: int) -> Iterator[Row]:
    for number in range(people):
        yield {
            "EnrollmentID": f"E{number}",
            "PersonalID": f"C{number}",
            "ProjectID": f"P{number % PROJECTS}",
            "EntryDate": "2026-01-05",
            "HouseholdID": f"H{number}",
            "RelationshipToHoH": 1,
            "EnrollmentCoC": "CT-505",
            **_TYPED,
        }


def _health(people: int) -> Iterator[Row]:
    random = Random(2)
    for number in range(people):
        yield {
            "HealthAndDVID": f"D{number}",
            "EnrollmentID": f"E{number}",
            "PersonalID": f"C{number}",
            "InformationDate": "2026-01-05",
            "DomesticViolenceSurvivor": random.choice([0, 0, 1, 8, 9, 99]),
            "DataCollectionStage": 1,
            **_TYPED,
        }


def _events(events: int, people: int) -> Iterator[Row]:
    random = Random(3)
    referrals = [code for code in range(1, 19) if code not in (2, 3, 4)]
    for number in range(events):
        kind = 2 if number % 10 == 9 else random.choice(referrals)
        answered = kind != 2 and number % 2 == 0
        person = random.randrange(people)
        on = date(2026, 1, 5) + timedelta(days=random.randrange(300))
        yield {
            "EventID": f"V{number}",
            "EnrollmentID": f"E{person}",
            "PersonalID": f"C{person}",
            "EventDate": on,
            "Event": kind,
            "ReferralResult": random.choice([1, 2, 3]) if answered else "",
            "ResultDate": on + timedelta(days=random.randrange(30)) if answered else "",
            **_TYPED,
            "DateDeleted": "2026-09-03 09:00:00" if number % 100 == 50 else "",
        }
