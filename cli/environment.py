"""Files of environment variables, as `python-dotenv` reads them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial

from .loading import Unusable

_NOTHING = re.compile(r"(?:\s+|#[^\n]*)*")
_VARIABLE = re.compile(
    r"\s*(?:export[ \t]+)?(?P<name>[^\s=#'\"]+)[ \t]*"
    r"(?:=[ \t]*(?:"
    r"'(?P<single>(?:[^'\\]|\\.)*)'"
    r'|"(?P<double>(?:[^"\\]|\\.)*)"'
    r"|(?P<plain>[^\n]*?)"
    r"))?[ \t]*(?:(?<=\s)#[^\n]*)?(?:\n|$)",
    re.DOTALL,
)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_ESCAPED = {"n": "\n", "r": "\r", "t": "\t", "f": "\f", "v": "\v", "b": "\b", "a": "\a"}
_REFERENCE = re.compile(r"\$\{(?P<name>[^}:]*)(?::-(?P<default>[^}]*))?\}")


def read_environment(text: str, source: str, known: Mapping[str, str]) -> dict[str, str]:
    """The variables that a text sets. Quoted values may have many lines.

    Args:
        text: the file's.
        source: its name, for people.
        known: what `${NAME}` may stand for beside the text's own.

    Raises:
        Unusable: a line of it sets nothing.

    """
    found: dict[str, str] = {}
    text = text.removeprefix("\ufeff").replace("\r\n", "\n")
    place = _begin(text, 0)
    while place < len(text):
        variable = _VARIABLE.match(text, place)
        if variable is None:
            line = text[place:].partition("\n")[0]
            raise Unusable(f"{source} has a line that sets nothing: {line!r}")
        value = _value(variable)
        if value is not None:
            meanings = {**known, **found}
            found[variable["name"]] = _REFERENCE.sub(partial(_meaning, meanings), value)
        place = _begin(text, variable.end())
    return found


def _begin(text: str, place: int) -> int:
    """Behind the blanks and comments that are at a place."""
    nothing = _NOTHING.match(text, place)
    return place if nothing is None else nothing.end()


def _value(variable: re.Match[str]) -> str | None:
    """What is written behind the name; `None` for a name alone."""
    if (single := variable["single"]) is not None:
        return re.sub(r"\\([\\'])", r"\1", single)
    if (double := variable["double"]) is not None:
        return _ESCAPE.sub(lambda found: _ESCAPED.get(found[1], found[1]), double)
    plain: str | None = variable["plain"]
    return plain


def _meaning(meanings: Mapping[str, str], reference: re.Match[str]) -> str:
    return meanings.get(reference["name"], reference["default"] or "")
