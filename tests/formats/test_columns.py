"""Files as other programs write them: which column holds the number, what else is understood, and what is refused."""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from outbound import BadFile, ImportReport, import_calls
from outbound.rules import consent, registry, suppression
from tests.cli.test_cli import Outbound, _outbound, says
from tests.conftest import World

pytestmark = pytest.mark.rows_only

TO, SECOND = "+15005550101", "+15005550102"
OUTLOOK = (
    "Title,First Name,Middle Name,Last Name,Suffix,Company,Department,Job Title,Business Street,Business Street 2,"
    "Business Street 3,Business City,Business State,Business Postal Code,Business Country/Region,Home Street,"
    "Home Street 2,Home Street 3,Home City,Home State,Home Postal Code,Home Country/Region,Other Street,Other Street 2,"
    "Other Street 3,Other City,Other State,Other Postal Code,Other Country/Region,Assistant's Phone,Business Fax,"
    "Business Phone,Business Phone 2,Callback,Car Phone,Company Main Phone,Home Fax,Home Phone,Home Phone 2,ISDN,"
    "Mobile Phone,Other Fax,Other Phone,Pager,Primary Phone,Radio Phone,TTY/TDD Phone,Telex,Account,Anniversary,"
    "Assistant's Name,Billing Information,Birthday,Business Address PO Box,Categories,Children,Directory Server,"
    "E-mail Address,E-mail Type,E-mail Display Name,Gender,Government ID Number,Hobby,Keywords,Language,Location,"
    "Manager's Name,Mileage,Notes,Office Location,Organizational ID Number,Priority,Private,Profession,Referred By,"
    "Sensitivity,Spouse,User 1,User 2,User 3,User 4,Web Page"
)
GOOGLE = (
    "First Name,Middle Name,Last Name,Phonetic First Name,Phonetic Middle Name,Phonetic Last Name,Name Prefix,"
    "Name Suffix,Nickname,File As,Organization Name,Organization Title,Organization Department,Birthday,Notes,Photo,"
    "Labels,E-mail 1 - Label,E-mail 1 - Value,Phone 1 - Label,Phone 1 - Value,Phone 2 - Label,Phone 2 - Value,"
    "Address 1 - Label,Address 1 - Formatted,Address 1 - Street,Address 1 - City,Address 1 - PO Box,"
    "Address 1 - Region,Address 1 - Postal Code,Address 1 - Country,Address 1 - Extended Address,Website 1 - Label,"
    "Website 1 - Value"
)
VICIDIAL = (
    "vendor_lead_code|source_id|list_id|phone_number|title|first_name|middle_initial|last_name|address1|city|state"
    "|province|postal_code|gender|date_of_birth|alt_phone|email|security_phrase|comments|rank|owner"
)

# A header of each program's export, the columns that hold numbers as we read them, and a name that goes to the contact.
EXPORTS = {
    "VICIdial": (VICIDIAL, ["phone_number", "alt_phone"]),
    "HubSpot": (
        "Record ID,First Name,Last Name,Email,Phone Number,Mobile Phone Number,Contact owner,Lead Status",
        ["Mobile Phone Number", "Phone Number"],
    ),
    "Salesforce report": (
        "First Name,Last Name,Title,Account Name,Mailing City,Phone,Mobile,Home Phone,Other Phone,Fax,Asst. Phone",
        ["Mobile", "Phone", "Home Phone", "Other Phone"],
    ),
    "Salesforce data export": (
        '"ID","FIRSTNAME","LASTNAME","PHONE","FAX","MOBILEPHONE","HOMEPHONE","OTHERPHONE","ASSISTANTPHONE","EMAIL"',
        ["MOBILEPHONE", "PHONE", "HOMEPHONE", "OTHERPHONE"],
    ),
    "Google Contacts": (GOOGLE, ["Phone 1 - Value", "Phone 2 - Value"]),
    "Outlook": (
        OUTLOOK,
        [
            "Mobile Phone",
            "Primary Phone",
            "Business Phone",
            "Business Phone 2",
            "Home Phone",
            "Home Phone 2",
            "Other Phone",
        ],
    ),
    "Excel": ("Name;Cell;Phone;City", ["Cell", "Phone"]),
    "ElevenLabs": ("phone_number,language,first_message,first_name", ["phone_number"]),
    "Vapi": ("number,name,account_tier,renewal_date", ["number"]),
    "Bolna": ("contact_number,customer_name,appointment_day", ["contact_number"]),
    "Dograh": ("phone_number,first_name,company", ["phone_number"]),
    "Retell": ("phone number,first_name,ignore e164 validation", ["phone number"]),
    "Pipedrive": ("Name,Phone - Work,Phone - Mobile,Phone - Home", ["Phone - Mobile", "Phone - Work", "Phone - Home"]),
    "Zoho": ("Last Name,Phone,Mobile,Home Phone", ["Mobile", "Phone", "Home Phone"]),
    **{
        name: (f"{name},name", [name])
        for name in (
            *("to", "to_number", "TO NUMBER", "Mobile", "Cell", "Cell Phone", "msisdn", "Telephone", "PhoneNumber"),
            *("Business Phone", "HomePhone", "customer_number", "Tel.", "Phone No.", "Phone #", "Mobile-Phone"),
            *("פלאפון", "מס' נייד", "מס׳ נייד", "מס’ טלפון", "טלפון נייד", "נייד", "טלפון", "מספר טלפון", "סלולרי"),  # noqa: RUF001
            *("To Phone Number", "Mobile (Primary)", "WhatsApp Number", "user_phone", "called_number", "Direct Phone"),
            *("מספר לחיוג", "מספר הנייד", "נייד הלקוח", "מס' טל'", "טלפון נייד 1", "טלפון להתקשרות"),
            *("טל'", "טל\u05f3", "מספר-נייד", "\u200fנייד\u200f", "מספר", "טלפון_נייד", "טלפון:", "\ufeffטלפון"),  # noqa: RUF001
        )
    },
}

Written = Callable[[str | bytes], Path]


@pytest.fixture
def acme(world: World) -> int:
    return world.business("Acme", "+15005550006")


@pytest.fixture
def written(tmp_path: Path) -> Written:
    def write(content: str | bytes) -> Path:
        path = tmp_path / "people.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


@pytest.fixture
def outbound(database: str, tmp_path: Path) -> Outbound:
    return _outbound(database, tmp_path)


def numbers(world: World) -> list[str]:
    return [call.to_number for call in world.rows("select to_number from call_log order by 1")]


@pytest.mark.parametrize("program", EXPORTS)
def test_the_column_of_the_number_is_found_in_what_programs_export(
    world: World, acme: int, written: Written, program: str
) -> None:
    header, names = EXPORTS[program]
    separator = next(s for s in "|;," if s in header)
    places = [cell.strip('"').strip() for cell in header.split(separator)]
    place = next(
        place for place, name in enumerate(places) if name.strip("\ufeff\u200f") == names[0].strip("\ufeff\u200f")
    )
    cells = [""] * len(places)
    cells[place] = TO

    report = import_calls(written(f"{header}\n{separator.join(cells)}\n"), business_id=acme)

    assert (report.created, report.rejected_lines) == (1, [])
    assert report.number_columns == [name.strip("\ufeff\u200f") for name in names]
    assert numbers(world) == [TO]


def test_of_several_columns_each_row_s_first_number_is_called_mobiles_before_others(
    world: World, acme: int, written: Written
) -> None:
    file = written(
        "Name,Home Phone,Mobile\n"
        f"a,+15005550111,{TO}\n"  # both: the mobile
        f"b,{SECOND},\n"
        "c,+15005550103,none\n"  # what is no number holds none
        "d,,\n"
        "e,12,34\n"
    )

    report = import_calls(file, business_id=acme)

    assert numbers(world) == [TO, SECOND, "+15005550103"]
    assert [line for line, _ in report.rejected_lines] == [5, 6]
    assert report.numbers_from == {"Mobile": 2, "Home Phone": 2}
    assert "the number is from `Mobile` (2), else `Home Phone` (2)" in report.readings()
    assert world.value("select contact from call_log where to_number = %s", TO) == {"name": "a"}


def test_the_label_of_a_number_says_which_is_the_mobile_and_which_is_a_fax(
    world: World, acme: int, written: Written
) -> None:
    people = [
        {
            "Phone 1 - Label": "Work Fax",
            "Phone 1 - Value": "+15005550111",
            "Phone 2 - Label": "",
            "Phone 2 - Value": TO,
        },
        {
            "Phone 1 - Label": "Home",
            "Phone 1 - Value": "+15005550112",
            "Phone 2 - Label": "* Mobile",
            "Phone 2 - Value": SECOND,
        },
        {"Phone 1 - Label": "Mobile", "Phone 1 - Value": "+15005550103 ::: +15005550113"},
    ]
    lines = [",".join(person.get(name, "") for name in GOOGLE.split(",")) for person in people]

    import_calls(written("\n".join([GOOGLE, *lines])), business_id=acme)

    assert numbers(world) == [TO, SECOND, "+15005550103"]


def test_a_country_s_code_may_have_a_column_of_its_own(world: World, acme: int, written: Written) -> None:
    world.do("update business set default_region = 'US'")
    file = written(
        "list_id|phone_code|phone_number|first_name\n"
        "1|972|505550134|a\n"
        "1|972|0505550135|b\n"
        "1|1|5005550101|c\n"
        "1||5005550102|d\n"
        "1|1|+972505550136|e\n"
        "1|IL|505550137|f\n"
    )

    report = import_calls(file, business_id=acme)

    assert numbers(world) == [TO, SECOND, "+972505550134", "+972505550135", "+972505550136"]
    assert report.rejected_lines == [(7, "`phone_code` is not a country's calling code, like 972")]
    assert report.code_column == "phone_code"


def test_to_column_names_the_one_that_counts(world: World, acme: int, written: Written) -> None:
    file = written(f"Reach me at,Mobile,Fax\n{TO},+15005550111,\n")

    report = import_calls(file, business_id=acme, to_column="reach ME at")

    assert (report.created, report.number_columns, numbers(world)) == (1, ["Reach me at"], [TO])
    with pytest.raises(BadFile, match="no column is named `Handy`: found are `Reach me at`, `Mobile`, `Fax`"):
        import_calls(file, business_id=acme, to_column="Handy")


def test_what_stands_above_the_names_of_the_columns_is_stepped_over_and_said(
    world: World, acme: int, written: Written
) -> None:
    above = "\r\nCalls of next week;;\r\n26/11/2026 10:15;;\r\n;;\r\n"

    report = import_calls(written(f"{above}שם;מס' נייד;מועד\r\nדנה;{TO};\r\n"), business_id=acme)

    assert (report.created, report.header_line, report.separator) == (1, 5, "semicolons")
    assert report.stepped_over == [(1, "empty"), (2, "a title"), (3, "a title"), (4, "empty")]
    assert report.columns == {"at": "מועד"}


def test_a_call_is_never_taken_for_a_title(world: World, acme: int, written: Written) -> None:
    with pytest.raises(BadFile, match="no column is named `to`"):
        import_calls(written(f"Dana,{TO}\nphone,name\n{SECOND},Al\n"), business_id=acme)

    assert world.statuses() == []


def test_a_refusal_names_the_columns_that_were_found_and_those_that_are_known(
    world: World, acme: int, written: Written
) -> None:
    with pytest.raises(BadFile) as refusal:
        import_calls(written(f"Name;Reach me at\nDana;{TO}\n"), business_id=acme)

    assert "found are `Name`, `Reach me at`" in str(refusal.value)
    assert "Known are to, phone, phone_number, mobile" in str(refusal.value)
    assert "--to-column" in str(refusal.value)


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("says", [True, False])
def test_four_separators_are_read_and_excel_may_say_which(
    world: World, acme: int, written: Written, separator: str, says: bool
) -> None:
    text = f"name{separator}phone{separator}number\nAl{separator}{TO}{separator}7\n"

    report = import_calls(written(f"sep={separator}\n" * says + text), business_id=acme)

    assert (report.created, report.number_columns, numbers(world)) == (1, ["phone"], [TO])


def test_a_header_that_comes_again_is_refused_and_below_another_nothing_is_read(
    world: World, acme: int, written: Written
) -> None:
    file = written(f"phone,name\n{TO},a\nPhone,Name\n{SECOND},b\nname,mobile\nc,+15005550103\n+15005550104,d\n")

    report = import_calls(file, business_id=acme)

    assert numbers(world) == [TO, SECOND]
    assert report.rejected_lines == [
        (3, "names columns, and is no row: two files were joined"),
        (5, "names columns, and is no row: two files were joined"),
        (6, "stands below another header, in line 5: make two files of it"),
        (7, "stands below another header, in line 5: make two files of it"),
    ]


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"PK\x03\x04\x14\0", "is a zip archive, or a workbook of another program (.ods"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an older Excel (.xls)"),
        (b"%PDF-1.7\n", "a PDF"),
        (b"\x1f\x8b\x08\0", "compressed"),
        (b"SQLite format 3\0", "a SQLite database"),
        (b"<html><table><tr><td>phone", "a web page or XML"),
        (b'\xef\xbb\xbf<?xml version="1.0"?>', "a web page or XML"),
        (b'[{"phone": "+15005550101"}]', "JSON"),
        (b"BEGIN:VCARD\r\nVERSION:3.0\r\n", "vCard"),
    ],
)
def test_what_is_no_csv_is_refused_with_what_to_do(
    world: World, acme: int, written: Written, content: bytes, what: str
) -> None:
    file = written(content)

    with pytest.raises(BadFile) as refusal:
        import_calls(file, business_id=acme)
    assert what in str(refusal.value)
    assert "as CSV" in str(refusal.value)
    with pytest.raises(BadFile):
        suppression.import_suppressions(file, actor="ann")


def test_who_asked_not_to_be_called_is_not_called_on_any_number(world: World, written: Written) -> None:
    file = written(f"name,mobile,home phone\na,{TO},{SECOND}\nb,12,+15005550103\n")

    report = suppression.import_suppressions(file, actor="ann")

    assert (report.created, [line for line, _ in report.rejected_lines]) == (3, [3])
    assert world.rows("select phone from suppression order by 1") == [(TO,), (SECOND,), ("+15005550103",)]


def test_what_a_registry_or_a_consent_says_of_one_of_two_numbers_is_not_guessed(
    world: World, acme: int, written: Written
) -> None:
    file = written(f"mobile,home phone,listed,given\n{TO},{SECOND},no,2026-01-01\n")

    def checks(to_column: str | None) -> ImportReport:
        return registry.import_registry(file, actor="ann", checked_at="2026-01-01", to_column=to_column)

    def consents(to_column: str | None) -> ImportReport:
        return consent.import_consents(file, actor="ann", business_id=acme, to_column=to_column)

    for work in (checks, consents):
        with pytest.raises(BadFile, match="`mobile`, `home phone` hold phone numbers: say which with --to-column"):
            work(None)
        assert work("Mobile").created == 1
    assert world.rows("select phone from registry_check") == [(TO,)]
    with pytest.raises(BadFile, match="no column is named `listed`: found are `phone`, `name`"):
        registry.import_registry(written(f"phone,name\n{TO},a\n"), actor="ann", checked_at="2026-01-01")


def test_a_due_moment_that_has_passed_or_is_in_doubt_is_said(world: World, acme: int, written: Written) -> None:
    world.do("update business set time_zone = 'Asia/Jerusalem'")
    passed = datetime.now(UTC) - timedelta(days=2)
    file = written(
        f"to,at\n{TO},2032-03-26T02:30\n{SECOND},2032-11-30\n"
        "+15005550103,01/01/1970 00:00\n+15005550104,11/12/2032 9:00\n"
        f"+15005550105,{passed:%Y-%m-%dT12:00}\n"
    )

    report = import_calls(file, business_id=acme)

    assert report.remarks == [(2, "`at` 02:30 does not exist that day in Asia/Jerusalem: taken as 03:30")]
    assert report.overdue == 1
    assert [(line, why.split(":")[0]) for line, why in report.rejected_lines] == [
        (3, "`at` is a date without a time"),
        (4, "`at` is 1970-01-01, as an empty date is saved"),
        (5, "`at` may be day and month or month and day"),
    ]


def test_the_command_says_how_it_read_a_file(world: World, acme: int, outbound: Outbound, written: Written) -> None:
    file = str(written(f"Export of Monday|\n\nName|Cell\nDana|{TO}\nAl|12\n"))

    told = outbound("import", file, "--business", "1")
    data = outbound("import", file, "--business", "1", "--json")
    plain = outbound("import", str(written(f"to\n{SECOND}\n")), "--business", "1")
    named = outbound("import", str(written("Reach me\n+15005550103\n")), "--business", "1", "--to-column", "reach me")

    assert told.returncode == data.returncode == 1
    assert told.stdout == "1 queued, 0 there already, 1 refused\n"
    assert told.stderr.splitlines()[:3] == [
        "read with bars between the columns",
        "the columns are named in line 3; stepped over: line 1 (a title), 2 (empty)",
        "the number is from `Cell`",
    ]
    waits = plain.stderr  # all that there is to say of a plain file: no process runs here
    assert re.fullmatch(r"(No (worker|scheduler) is alive.*\n){1,2}", waits)
    assert told.stderr.removesuffix(waits).splitlines()[-1].startswith("line 5: `to` is not a phone number")
    report = json.loads(data.stdout)
    assert (report["already_there"], report["refused"], report["header_line"]) == (1, 1, 3)
    assert (report["encoding"], report["separator"], report["number_columns"]) == ("UTF-8", "bars", ["Cell"])
    assert report["refused_lines"][0]["line"] == 5
    says(plain, "1 queued, 0 there already, 0 refused")
    says(named, "1 queued, 0 there already, 0 refused")


def test_a_country_s_two_letters_say_whose_number_it_is(world: World, written: Written) -> None:
    israeli = world.business("Acme", "+15005550006")
    world.do("update business set default_region = 'IL' where id = %s", israeli)
    # 055 12 34 56 7 is a mobile of Israel, and 05 51 23 45 67 a landline of France.
    file = written("Country Code,Phone\nFR,0551234567\nil,0551234568\nUS,5005550102\nElsewhere,0551234569\n")

    import_calls(file, business_id=israeli)

    assert set(numbers(world)) == {"+33551234567", "+972551234568", "+15005550102", "+972551234569"}
