"""Characters that a reader cannot see, or that move what a terminal shows: shown as escapes, and refused or dropped."""

import unicodedata

# Control, format (marks of direction among them), halves of characters, line and paragraph separators.
_REFUSED = ("Cc", "Cf", "Cs", "Zl", "Zp")
_SHOWN_AS_ESCAPES = (*_REFUSED, "Co", "Cn")  # and what only some fonts, or none, have a picture of
_LINE_BREAKS = "\t\n\r"
_MORE_LINE_BREAKS = "\x0b\x0c\x85\u2028\u2029"  # of cells that were copied out of a web page or an old program
_JOINERS = "\u200c\u200d"  # between letters, and between the parts of an emoji, they are spelling
_NAMED = {"\t": "\\t", "\n": "\\n", "\r": "\\r"}


def visible(text: str) -> str:
    r"""*text* in one line, with an escape like \x1b or \u202e in place of each character that cannot be seen."""
    if text.isprintable():  # no to all of these categories, and to spaces that are not the plain one
        return text
    return "".join(_escape(c) if unicodedata.category(c) in _SHOWN_AS_ESCAPES else c for c in text)


def visible_lines(text: str) -> str:
    """*text* as `visible` shows it, but with its line ends left."""
    return text if text.isprintable() else "\n".join(map(visible, text.split("\n")))


def encodable(text: str, encoding: str) -> str:
    """*text* with an escape in place of each character that *encoding* does not have."""
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return "".join(c if _has(encoding, c) else _escape(c) for c in text)
    except LookupError:  # Python knows no such encoding
        return text
    return text


def _has(encoding: str, character: str) -> bool:
    try:
        character.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True


def _escape(character: str) -> str:
    number = ord(character)
    if number < 0x100:
        return _NAMED.get(character, f"\\x{number:02x}")
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def fault(text: str, *, allowed: str = "") -> str | None:
    """
    Return why a text is refused, as a phrase that goes on from its name; None where it has nothing that cannot be seen.
    """
    if text.isprintable():
        return None
    for character in text:
        if unicodedata.category(character) in _REFUSED and character not in allowed:
            return f"holds a character that cannot be seen, U+{ord(character):04X}: leave it out"
    return None


def cell(text: str) -> str:
    """
    A cell of a file without the marks that spreadsheets and web pages leave around numbers and names.

    Marks of direction and other format characters go, since they change nothing that is dialed, spoken or compared;
    joiners stay, for they are spelling.  What is left of other unseen characters is for `cell_fault` to refuse.
    """
    if text.isprintable():
        return text
    kept = (c for c in text if c in _JOINERS or unicodedata.category(c) != "Cf")
    return "".join("\n" if c in _MORE_LINE_BREAKS else c for c in kept)


def cell_fault(text: str) -> str | None:
    """Return why a cell is refused, as `fault` says it; tabs, ends of lines and joiners are not."""
    return fault(text, allowed=_LINE_BREAKS + _JOINERS)
