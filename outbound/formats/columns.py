"""
Knows the names that people and programs give to the columns of a file: those that hold phone numbers, and all the
others.
"""

import re
import unicodedata
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from outbound.formats.twiml_template import field_name

SHOWN_MAX = 20  # columns of a file that a refusal names
SHOWN_CHARS = 40  # of each

# By how surely it is the number to call: one that says so, a mobile, just a phone, one of a place, one more.
# From the exports of VICIdial (phone_number, alt_phone), HubSpot (Phone Number, Mobile Phone Number), Salesforce
# (Phone, MobilePhone, HomePhone, OtherPhone), Google Contacts (Phone 1 - Value), Outlook (Mobile Phone, Home Phone,
# Business Phone, Primary Phone), Zoho and Pipedrive (Phone - Mobile); the call lists of ElevenLabs, Bland and Dograh
# (phone_number), Vapi (number), Bolna (contact_number), Retell (phone number); and Hebrew spreadsheets.
_PHONES = (
    (
        "to|to number|to phone|to phone number|recipient phone|recipient phone number|destination number|dial number|"
        "phone number to call|מספר לחיוג|טלפון לחיוג"
    ),
    (
        "mobile|mobile phone|mobile phone number|mobile number|mobile no|mobile telephone|mobile telephone number|"
        "primary mobile|mobile primary|contact mobile|customer mobile|cell|"
        "cell phone|cell phone number|cell number|cell no|cellular|cellular phone|cellular number|"
        "msisdn|phone mobile|person phone mobile|נייד|טלפון נייד|מספר נייד|מס נייד|הנייד|מספר טלפון נייד|"
        "מס טלפון נייד|טל נייד|טלפון סלולרי|טלפון סלולארי|סלולרי|סלולארי|סלולר|מספר סלולרי|מס סלולרי|פלאפון|פלפון|"
        "מספר פלאפון|מס פלאפון|מספר פלפון|טלפון נייד של הלקוח|נייד לקוח|נייד הלקוח|"
        "מספר הנייד|טלפון הנייד|נייד ראשי"
    ),
    (
        "phone|phone number|phone num|phone no|phone nr|contact number|contact phone|contact phone number|"
        "customer phone|customer phone number|client phone|patient phone|lead phone|tel|tel no|tel number|telephone|"
        "telephone number|telephone no|primary phone|primary phone number|main phone|main phone number|person phone|"
        "user phone|user phone number|callee phone|callee number|called number|receiver number|participant phone|"
        "e164|phone e164|"
        "מס טל|מספר טלפון של הלקוח|טלפון|מספר טלפון|מספר הטלפון|מס טלפון|מס הטלפון|הטלפון|טל|טלפון לקוח|טלפון הלקוח|"
        "טלפון ראשי|טלפון להתקשרות|טלפון ליצירת קשר|מספר ליצירת קשר"
    ),
    (
        "home phone|home phone number|home telephone|home tel|phone home|person phone home|landline|"
        "landline number|business phone|business phone number|business telephone|"
        "business telephone number|work phone|work phone number|work telephone|phone work|person phone work|"
        "office phone|direct phone|direct phone number|"
        "טלפון בית|טלפון בבית|טל בית|טל בבית|מס טלפון בבית|טלפון עבודה|טלפון בעבודה|טל עבודה|טלפון קווי|"
        "טלפון נייח|נייח|קווי"
    ),
    (
        "other phone|other phone number|phone other|person phone other|alt phone|alternate phone|"
        "alternative phone|secondary phone|second phone|additional phone|whatsapp number|"
        "טלפון נוסף|נייד נוסף|טלפון אחר"
    ),
)
# What holds a telephone's number in a list of calls, and the number of a customer or an order elsewhere: where another
# column holds phone numbers it is none.
_PERHAPS = "number|customer number|contact no|recipient|recipient number|callee|מספר"
# A country's calling code in a column of its own, as VICIdial has it; `country code` may hold letters too.
_CODES = (
    (
        "phone code|dial code|dialing code|calling code|country calling code|country dial code|phone country code|"
        "קידומת מדינה|קידומת בינלאומית"
    ),
    "country code|קוד מדינה",
)
KNOWN_SHOWN = (
    "to, phone, phone_number, mobile, cell, number, contact_number, telephone, נייד, טלפון, פלאפון, מספר טלפון"
)

_NUMBERED = re.compile(r"(.*?)([1-9])")  # Phone 1, Business Phone 2, טלפון 2
_OF_GOOGLE = re.compile(r"phone([1-9]\d?)value")
# Google's and Outlook's exports have more columns than a contact may have fields.  Most are empty in each row.
_OF_OUTLOOK = {"businessphone", "homephone", "mobilephone", "homefax"}


@lru_cache(4096)
def key(name: str) -> str:
    """Return what two writings of one column's name share: its letters and digits alone."""
    return "".join(c for c in unicodedata.normalize("NFKC", name).casefold() if c.isalnum())


def keys(names: str) -> list[str]:
    """The keys of names with bars between."""
    return [key(name) for name in names.split("|")]


_RANKS = {name: rank for rank, names in enumerate(_PHONES) for name in keys(names)}
_RANKS |= dict.fromkeys(keys(_PERHAPS), len(_PHONES))
_CODE_KEYS = [name for names in _CODES for name in keys(names)]
_ANY_CODE = set(keys(_CODES[1]))
# Of a moment, without a word of what it is the moment.
OF_SOME_MOMENT = set(keys("date|time|date time|date and time|when|schedule|scheduled|תאריך|זמן|תאריך ושעה|מתי"))


@dataclass(frozen=True)
class Phones:
    """
    The place of a phone number in a row: that of the cell, of the one that says of which kind it is, and its rank.
    """

    place: int
    rank: int
    label: int | None = None


@dataclass
class Columns:
    """
    The meaning of each column of a file.

    Attributes:
        names: as the file has them.
        fields: by place, our name of it; its own, where it is none of ours; nothing where it is not kept.
        phones: those that hold a number to call, the likeliest first.
        code: the place of the country's calling code.
        lenient_code: whether that may hold something else, which is passed over.
        taken: the file's name of each of ours but the number's.
        is_address_book: whether it is a whole export of Google Contacts or Outlook.
    """

    names: list[str]
    fields: list[str]
    phones: list[Phones]
    code: int | None = None
    lenient_code: bool = False
    taken: dict[str, str] = field(default_factory=dict)
    is_address_book: bool = False


def of_header(cells: Sequence[str], known: Mapping[str, str], to_column: str | None) -> Columns | None:
    """
    Return what the columns of a header are, or None where none of them holds phone numbers.

    Args:
        known: our name of each key that is no phone number's.
        to_column: the one column that holds the number, whatever it is called.
    """
    if len(cells) == 1 and re.search(r"[,;|\t]", cells[0]):
        return None  # several names, with another separator between
    found = [key(cell) for cell in cells]
    phones = _named(found, to_column) if to_column is not None else _phones(found, known)
    if not phones:
        return None
    fields = [known.get(name) or field_name(cell) for name, cell in zip(found, cells, strict=True)]
    for phone in phones:
        fields[phone.place] = ""
    fields[phones[0].place] = "to"
    code = next((found.index(name) for name in _CODE_KEYS if name in found), None)
    if code is not None:
        fields[code] = ""
    names = [visible(cell) for cell in cells]
    taken = {ours: names[place] for place, ours in enumerate(fields) if ours in known.values()}
    lenient = code is not None and found[code] in _ANY_CODE
    is_book = set(found) >= _OF_OUTLOOK or any(map(_OF_GOOGLE.fullmatch, found))
    return Columns(names, fields, phones, code, lenient, taken, is_book)


def _named(found: list[str], to_column: str) -> list[Phones]:
    return [Phones(place, 0) for place, name in enumerate(found) if name == key(to_column) and name]


def _phones(found: list[str], known: Mapping[str, str]) -> list[Phones]:
    phones = []
    for place, name in enumerate(found):
        of_google = _OF_GOOGLE.fullmatch(name)
        if of_google:
            labels = (f"phone{of_google[1]}label", f"phone{of_google[1]}type")
            label = next((found.index(text) for text in labels if text in found), None)
            phones.append(Phones(place, 2, label))
        elif name not in known and (rank := _rank(name)) is not None:
            phones.append(Phones(place, rank))
    sure = [phone for phone in phones if phone.rank < len(_PHONES)]
    return sorted(sure or phones, key=lambda phone: (phone.rank, phone.place))


def _rank(name: str) -> int | None:
    numbered = _NUMBERED.fullmatch(name)
    return _RANKS.get(name, _RANKS.get(numbered[1]) if numbered else None)


def rank_of_label(label: str, rank: int) -> int | None:
    """Return how likely a number is the one to call, by what its own row says of it; None for a fax or a pager."""
    text = key(label)
    if any(word in text for word in ("fax", "pager", "פקס")):
        return None
    if any(word in text for word in ("mobile", "cell", "נייד", "iphone")):
        return 1
    return 3 if any(word in text for word in ("home", "work", "office", "בית", "עבודה")) else rank


def visible(name: str) -> str:
    """A column's name as it can be shown in a line."""
    seen = "".join(" " if c.isspace() else c for c in name if unicodedata.category(c) not in ("Cf", "Cc"))
    return " ".join(seen.split())


def shown(names: Iterable[str]) -> str:
    """The names of columns for a message."""
    texts = [text for text in map(visible, names) if text]
    more = f" and {len(texts) - SHOWN_MAX} more" if len(texts) > SHOWN_MAX else ""
    return ", ".join(f"`{text[:SHOWN_CHARS]}`" for text in texts[:SHOWN_MAX]) + more


def is_header_again(cells: Sequence[str], header: Columns, known: Collection[str]) -> bool:
    """Is this row made of names of columns alone, as where two exports were joined into one file?"""
    found = [key(cell) for cell in cells if cell.strip()]
    ours = {key(name) for name in header.names}
    return (
        bool(found)
        and all(name in ours or name in known or _rank(name) is not None for name in found)
        and any(_rank(name) is not None or name == key(header.names[header.phones[0].place]) for name in found)
    )


def named(names: Mapping[str, str]) -> dict[str, str]:
    """Our name of a column by each key that it may have; *names* has all writings of each, with bars between."""
    return {name: ours for ours, writings in names.items() for name in keys(writings)}
