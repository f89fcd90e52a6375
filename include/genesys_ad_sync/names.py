"""Equality of names, distinguished names and mail addresses.

Nothing else decides whether two of them are the same. Pure text. Knows neither AD nor Genesys Cloud.
"""

from __future__ import annotations

import fnmatch
import functools
import itertools
import re
import unicodedata
from collections.abc import Iterable, Mapping

from genesys_ad_sync import patterns

Dn = tuple[tuple[tuple[str, str], ...], ...]
"""A distinguished name to compare: RDNs from the leaf up, each a sorted tuple of (attribute type, value)."""

_PART = re.compile(r"((?:\\.?|[^\\,;+])*)([,;+]|$)", re.DOTALL)
_SEPARATOR = re.compile(r"[\\,+]")
_HEX_PAIR = re.compile("[0-9a-fA-F]{2}")


_LETTERS_WITHOUT_CASE = range(0x13000, 0x1342F)  # Egyptian hieroglyphs


def normal_name(name: str) -> str:
    """Return the form in which two names are equal.

    It is composed, case folded, with single spaces inside and none around.

    See `composed` and `fold`: a name that merely looks like another one is not equal to it.
    """
    return fold(tidy(name))


def tidy(name: str) -> str:
    """Return the name composed, with single spaces inside and none around."""
    return " ".join(composed(name).split())


def fold(text: str) -> str:
    """Return the text with each capital letter small, if both are partners.

    Partners: the capital letter has exactly one small letter, and back. Other letters stay. Otherwise people could
    choose a name that looks different and counts as another one: the long s is not "s", the Kelvin sign is not "k", and
    "ß" is not "ss".
    """
    return text.lower() if text.isascii() else "".join(map(_small, text))


def composed(text: str) -> str:
    """Return the text in NFC, but keep characters that change into a single one.

    NFC would replace such a character by another single one. So an accent may be written in either way, and the Kelvin
    sign does not become the letter K.
    """
    if text.isascii():
        return text
    parts = itertools.groupby(text, _is_replaced_by_nfc)
    return "".join(
        "".join(part) if is_replaced else unicodedata.normalize("NFC", "".join(part)) for is_replaced, part in parts
    )


@functools.cache
def _small(character: str) -> str:
    small = character.lower()
    return small if len(small) == 1 and small.upper() == character else character


@functools.cache
def _is_replaced_by_nfc(character: str) -> bool:
    decomposition = unicodedata.decomposition(character)
    return bool(decomposition) and not decomposition.startswith("<") and " " not in decomposition


@functools.cache
def _is_odd(character: str) -> bool:
    """Return True for a letter with a case and no partner of its own.

    An example is the long s.
    """
    small, capital = character.lower(), character.upper()
    if character.isascii() or small == character == capital or _small(character) != character:
        return False
    return len(capital) != 1 or capital == character or _small(capital) != character


def match_whole(expression: str, name: str) -> Mapping[str, str | None] | None:
    """Return the named groups of a regular expression that fits the whole name.

    None: it does not fit. Case is ignored as by `fold`. Python itself ignores more: for it, the long s is an "s".
    Raises PatternTooSlow.
    """
    texts = expression + name
    if texts.isascii():
        return patterns.full_match(expression, name)
    odd = sorted({character for character in texts if _is_odd(character)})
    free = (chr(number) for number in _LETTERS_WITHOUT_CASE if chr(number) not in texts)
    stand_ins = dict(zip(odd, free, strict=False))
    there = str.maketrans(stand_ins)
    found = patterns.full_match(expression.translate(there), name.translate(there))
    if found is None:
        return None
    back = str.maketrans({stand_in: character for character, stand_in in stand_ins.items()})
    return {key.translate(back): value and value.translate(back) for key, value in found.items()}


def normal_dn(dn: str) -> Dn:
    r"""Return the form in which two DNs are equal (RFC 4514).

    It ignores case, escaping (``\,`` = ``\2C``) and spaces around ``,`` ``+`` ``=``. Raises ValueError when the text
    is not a DN.
    """
    # ldap3's parse_dn keeps the escapes, and refuses spaces after a comma, which people type.
    return tuple(
        tuple(sorted((_type(raw, dn), normal_name_keeping_spaces(value)) for raw, value in rdn)) for rdn in _rdns(dn)
    )


def dn_key(dn: str) -> str:
    """Return one text for all forms of a DN, for look-ups.

    A text that is not a DN gives the folded text.
    """
    try:
        rdns = normal_dn(dn)
    except ValueError:
        return normal_name(dn)
    return ",".join("+".join(f"{name}={_SEPARATOR.sub(_escaped, value)}" for name, value in rdn) for rdn in rdns)


def highest_dns(dns: Iterable[str]) -> tuple[str, ...]:
    """Return the DNs that are not below another one, each once, sorted.

    The order is that of their normal form.
    """
    by_name = {normal_dn(dn): dn for dn in reversed(list(dns))}
    highest = [name for name in by_name if not any(name != other and is_below(name, other) for other in by_name)]
    return tuple(by_name[name] for name in sorted(highest))


def is_below(name: Dn, other: Dn) -> bool:
    """Return True if a DN is another one, or lies below it."""
    return len(name) >= len(other) and name[len(name) - len(other) :] == other


def _escaped(separator: re.Match[str]) -> str:
    return f"\\{separator.group()}"


def normal_name_keeping_spaces(value: str) -> str:
    """Normalise like `normal_name`, but keep an escaped space at the edge of a DN's value."""
    return fold(composed(value))


def _type(raw: str, dn: str) -> str:
    attribute_type = raw.strip().lower()
    if not attribute_type:
        raise ValueError(f"not a distinguished name: {dn!r}")
    return attribute_type


def _rdns(dn: str) -> list[list[tuple[str, str]]]:
    rdns: list[list[tuple[str, str]]] = [[]]
    for part, separator in _split(dn):
        attribute_type, equals, value = part.partition("=")
        text = _unescape(value)
        if not equals or not text:
            raise ValueError(f"not a distinguished name: {dn!r}")
        rdns[-1].append((attribute_type, text))
        if separator != "+":
            rdns.append([])
    return rdns[:-1]


def _split(dn: str) -> Iterable[tuple[str, str]]:
    """Yield the escaped parts between unescaped ``,`` ``;`` ``+``, each with the separator behind it."""
    for part in _PART.finditer(dn):
        yield part[1], part[2]
        if not part[2]:
            return


def _unescape(value: str) -> str:
    if "\\" not in value:
        return value.strip()
    decoded = bytearray()
    keep = 0  # up to here nothing is stripped at the end
    position = 0
    while position < len(value):
        character = value[position]
        if character == "\\":
            pair = value[position + 1 : position + 3]
            if _HEX_PAIR.fullmatch(pair):
                decoded += bytes.fromhex(pair)
                position += 3
            else:
                decoded += pair[:1].encode()
                position += 2
            keep = len(decoded)
            continue
        if not character.isspace():
            decoded += character.encode()
            keep = len(decoded)
        elif decoded:  # a space inside; at the beginning it does not count
            decoded += character.encode()
        position += 1
    return decoded[:keep].decode("utf-8", errors="surrogateescape")


def matches_any(patterns: Iterable[str], names: Iterable[str | None]) -> bool:
    """Tell whether any name matches any shell pattern (``*``, ``?``, ``[…]``), whatever case and spaces.

    A pattern also matches with its brackets taken literally: many names have brackets, as in "[VIP] Voice".
    """
    patterns = list(patterns)
    folded = [normal_name(name) for name in names if name] if patterns else []
    return any(_matches(normal_name(pattern), name) for pattern in patterns for name in folded)


def without_match(patterns: Iterable[str], names: Iterable[str | None]) -> list[str]:
    """Return the patterns that match none of the names, in their order."""
    patterns = list(patterns)
    folded = {normal_name(name) for name in names if name} if patterns else set()
    return [pattern for pattern in patterns if not any(_matches(normal_name(pattern), name) for name in folded)]


def _matches(pattern: str, name: str) -> bool:
    return fnmatch.fnmatchcase(name, pattern) or ("[" in pattern and fnmatch.fnmatchcase(name, _literal(pattern)))


def _literal(pattern: str) -> str:
    """Return the pattern with its brackets as characters of the name."""
    return pattern.replace("[", "[[]")


def normal_mail(address: str) -> str:
    """Return the form in which two mail addresses or user names are equal.

    It is composed, stripped and case folded.
    """
    return fold(composed(address).strip())
