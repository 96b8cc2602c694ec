"""Makes what a call plays: a voice URL, or TwiML whose `{{field}}` is what the contact's row says there."""

import html
import re
import unicodedata
from collections.abc import Iterator, Mapping
from functools import lru_cache
from ipaddress import ip_address
from xml.etree import ElementTree as ET

from outbound.errors import Fault
from outbound.formats import urls

TWIML_MAX = 4000  # characters; Twilio's limit for Twiml of a call

_FIELD = re.compile(r"\{\{([^{}]*)\}\}")
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # no escape makes these XML


@lru_cache(256)  # a file's, or a text's, few names are asked for with each row
def field_name(text: str) -> str:
    """The name of a contact's field, as a file or a placeholder writes it: case and spacing do not count."""
    seen = "".join(" " if character.isspace() else character for character in text)
    return " ".join("".join(c for c in seen if unicodedata.category(c) not in ("Cf", "Cc")).split()).casefold()


def render(twiml: str | None, contact: Mapping[str, object] | None) -> str | None:
    """*twiml* with each `{{field}}` replaced by the contact's, as text that is no markup; a missing one is empty."""
    if twiml is None or "{{" not in twiml:
        return twiml
    known = {field_name(name): value for name, value in (contact or {}).items() if value is not None}

    def value_of(placeholder: re.Match[str]) -> str:
        text = _NOT_XML.sub("", str(known.get(field_name(placeholder[1]), "")))
        return html.escape(text, quote=False).replace('"', "&quot;").replace("'", "&apos;")

    return _FIELD.sub(value_of, twiml)


def faults(voice_url: str | None, twiml: str | None, *, may_be_http: bool = False) -> Iterator[Fault]:
    """
    Everything that is wrong with what was given of a voice; None is nothing given.

    Args:
        may_be_http: a voice URL may be http:// on other hosts than this one, as OUTBOUND_HTTP_VOICE_URLS says.
    """
    if voice_url and twiml:
        yield Fault("", "a call plays a voice URL or TwiML, not both")
    if fault := _voice_url_fault(voice_url, may_be_http=may_be_http):
        yield Fault("voice_url", fault)
    if fault := _twiml_fault(twiml):
        yield Fault("twiml", fault)


def _voice_url_fault(voice_url: str | None, *, may_be_http: bool) -> str | None:
    if voice_url is None:
        return None
    parts = urls.parts(voice_url)
    good = parts and parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    if not (parts and good and voice_url.isascii() and voice_url.isprintable() and " " not in voice_url):
        return "the voice URL must be an https:// or http:// address, without spaces"
    if not urls.login_is_readable(voice_url.partition("?")[0]):
        return "the voice URL has an @ or # in its login or path: write %40 for @, %23 for #"
    if parts.scheme == "http" and not may_be_http and not _is_loopback(parts.hostname or ""):
        return (
            "the voice URL must be https://, or others could read and change what is said; on this host alone, or with"
            " OUTBOUND_HTTP_VOICE_URLS=true, it may be http://"
        )
    if "{{" in voice_url:
        return "a contact's field does not go into a URL, where logs would keep it: ask call_contact(call_sid) for it"
    return None


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


class _Doctype(ValueError):
    pass


class _Tree(ET.TreeBuilder):
    """The elements of a text without a DOCTYPE, which could name entities, and files and addresses of others."""

    def doctype(self, *_: object) -> None:
        raise _Doctype


def _twiml_fault(twiml: str | None) -> str | None:
    if twiml is None:
        return None
    if len(twiml) > TWIML_MAX:
        return f"the TwiML has {len(twiml)} characters, and {TWIML_MAX} are allowed"
    try:
        # Without a DOCTYPE there is no entity.
        root = ET.fromstring(twiml, ET.XMLParser(target=_Tree()))  # noqa: S314  # nosec B314
    except _Doctype:
        return "the TwiML has a DOCTYPE: leave it out"
    except (ET.ParseError, UnicodeEncodeError) as error:
        return f"the TwiML is not XML: {getattr(error, 'reason', error)}"
    if root.tag != "Response":
        return "the TwiML must be one <Response> element"
    # A cell of somebody's file must not choose whom <Dial> calls, or travel in a URL.
    if len(_FIELD.findall(twiml)) != sum(len(_FIELD.findall(text)) for text in _spoken(root)):
        return "a {{field}} may stand only in what <Say> says"
    return None


def _spoken(element: ET.Element, *, inside: bool = False) -> Iterator[str]:
    """The texts and attributes of every <Say> and of what is in it."""
    inside = inside or element.tag == "Say"
    if inside:
        yield element.text or ""
        yield from element.attrib.values()
    for child in element:
        yield from _spoken(child, inside=inside)
        if inside:
            yield child.tail or ""
