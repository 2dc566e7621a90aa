"""SOQL: as much as a client's first queries need, by a grammar (lark). Whatever it does not know is an error."""

from __future__ import annotations

import datetime as dt
import functools
import operator
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

import attrs
import lark

GRAMMAR: Final = r"""
    start: _SELECT (count | fields) _FROM NAME [_WHERE any] [_ORDER _BY order ("," order)*] [_LIMIT INT] [_OFFSET INT]
    count: _COUNT "(" ")"
    fields: NAME ("," NAME)*
    order: NAME [DIRECTION] [NULLS]
    ?any: all | one (_OR one)+
    ?all: one | one (_AND one)+
    ?one: "(" any ")" | NOT one -> negated | NAME OPERATOR value -> compared
        | NAME _LIKE STRING -> like | NAME [NOT] _IN "(" value ("," value)* ")" -> among
    value: STRING | NUMBER | BOOLEAN | NULL | DATETIME | DATE
    _SELECT: /SELECT\b/i
    _FROM: /FROM\b/i
    _WHERE: /WHERE\b/i
    _ORDER: /ORDER\b/i
    _BY: /BY\b/i
    _LIMIT: /LIMIT\b/i
    _OFFSET: /OFFSET\b/i
    _COUNT: /COUNT\b/i
    _OR: /OR\b/i
    _AND: /AND\b/i
    _LIKE: /LIKE\b/i
    _IN: /IN\b/i
    NOT: /NOT\b/i
    OPERATOR: "!=" | "<>" | "<=" | ">=" | "=" | "<" | ">"
    DIRECTION: /(ASC|DESC)\b/i
    NULLS: /NULLS\s+(FIRST|LAST)\b/i
    BOOLEAN.3: /(true|false)\b/i
    NULL.3: /null\b/i
    DATETIME.4: /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:?\d\d)/i
    DATE.3: /\d{4}-\d\d-\d\d/
    NUMBER: /[+-]?\d+(\.\d+)?\b/
    STRING: /'([^'\\]|\\.)*'/
    NAME: /(?!(SELECT|FROM|WHERE|ORDER|LIMIT|OFFSET|AND|OR|NOT|LIKE|IN|NULL|TRUE|FALSE|COUNT)\b)[A-Za-z]\w*/i
    INT: /\d+\b/
    %ignore /\s+/
"""
_OPERATORS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip
_ESCAPES: Final = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f"}
Row = Mapping[str, Any]


@attrs.define
class DataError(Exception):
    """A rejected data request, in the form of the REST API: `errorCode`, `message`, HTTP status."""

    code: str
    message: str
    status: int = 400
    fields: tuple[str, ...] = ()


DELETED: Final = DataError("ENTITY_IS_DELETED", "entity is deleted", 404)
MISSING: Final = DataError("NOT_FOUND", "The requested resource does not exist", 404)


def no_external_id(name: str) -> DataError:
    """The error for a field that records cannot be found by."""
    return DataError("NOT_FOUND", f"Provided external ID field does not exist or is not accessible: {name}", 404)


@attrs.frozen
class Query:
    """A parsed query. `fields` is None for `COUNT()`; `condition` and `order` refer to fields by the query's names."""

    kind: str
    fields: list[str] | None
    named: frozenset[str]
    condition: Callable[[Row], bool]
    order: list[tuple[str, bool, bool]]
    limit: int | None
    offset: int


def parse(soql: str) -> Query:
    """Parse a query.

    Raises:
        DataError: `MALFORMED_QUERY`: the emulator does not understand it. `INVALID_FIELD`: a field is named twice.
            `INVALID_QUERY_FILTER_OPERATOR`: an `Id` is compared with something else.
    """
    try:
        query: Query = _Reader().transform(_parser().parse(soql))
    except RecursionError as error:
        raise DataError("MALFORMED_QUERY", "the conditions are nested too deeply for the emulator") from error
    except lark.exceptions.VisitError as error:
        if isinstance(error.orig_exc, DataError):
            raise error.orig_exc from None
        raise DataError("MALFORMED_QUERY", str(error.orig_exc)) from error
    except lark.exceptions.LarkError as error:
        place = "" if (column := getattr(error, "column", -1)) in (-1, "?") else f" at column {column}"
        raise DataError(
            "MALFORMED_QUERY",
            f"unexpected token{place}: the emulator has fields or COUNT() of one object, conditions by AND, OR, NOT, "
            "comparisons, IN and LIKE, ORDER BY, LIMIT and OFFSET; no relationships, subqueries, other functions, "
            "GROUP BY or date literals",
        ) from error
    return query


@functools.cache
def _parser() -> lark.Lark:
    return lark.Lark(GRAMMAR, parser="lalr", maybe_placeholders=True)


class _Reader(lark.Transformer[Any, Any]):
    """Turns the tree of a query into functions of a row, whose keys are names in lower case."""

    def __init__(self) -> None:
        super().__init__()
        self.named: set[str] = set()

    def _name(self, token: str) -> str:
        self.named.add(str(token))
        return str(token).lower()

    def start(self, parts: list[Any]) -> Query:
        fields, kind, condition, *order, limit, offset = parts
        for name in (lower := [each.lower() for each in fields or ()]):
            if lower.count(name) > 1:
                raise DataError("INVALID_FIELD", f"duplicate field selected: {name}")
        self.named.update(fields or ())
        found = [each for each in order if each is not None]
        return Query(str(kind), fields, frozenset(self.named), condition or (lambda _: True), found,
                     None if limit is None else int(limit), int(offset or 0))  # fmt: skip

    def count(self, _: list[Any]) -> None:
        return None

    def fields(self, names: list[Any]) -> list[str]:
        return [str(name) for name in names]

    def order(self, parts: list[Any]) -> tuple[str, bool, bool]:
        name, direction, nulls = parts
        return self._name(name), str(direction).upper() == "DESC", "LAST" in str(nulls).upper()

    def any(self, parts: list[Callable[[Row], bool]]) -> Callable[[Row], bool]:
        return lambda row: any(part(row) for part in parts)

    def all(self, parts: list[Callable[[Row], bool]]) -> Callable[[Row], bool]:
        return lambda row: all(part(row) for part in parts)

    def negated(self, parts: list[Any]) -> Callable[[Row], bool]:
        return lambda row: not parts[1](row)

    def value(self, parts: list[lark.Token]) -> Any:
        [token] = parts
        text = str(token)
        if token.type == "STRING":
            return re.sub(r"\\(.)", lambda found: _ESCAPES.get(found[1].lower(), found[1]), text[1:-1])
        if token.type == "BOOLEAN":
            return text.lower() == "true"
        if token.type == "NULL":
            return None
        return float(text) if token.type == "NUMBER" else _time(text)

    def compared(self, parts: list[Any]) -> Callable[[Row], bool]:
        name, sign, value = self._name(parts[0]), str(parts[1]), parts[2]
        _check_id(name, value)
        if sign in _OPERATORS:
            if value is None or isinstance(value, bool):
                raise ValueError(f"{sign} does not compare {parts[0]!s} with null, true or false")
            compare = _OPERATORS[sign]
            return lambda row: row[name] is not None and compare(*_comparable(name, row[name], value))
        return lambda row: _equal(name, row[name], value) is (sign == "=")

    def among(self, parts: list[Any]) -> Callable[[Row], bool]:
        name, negated, values = self._name(parts[0]), parts[1] is not None, parts[2:]
        for value in values:
            _check_id(name, value)
        return lambda row: any(_equal(name, row[name], value) for value in values) is not negated

    def like(self, parts: list[Any]) -> Callable[[Row], bool]:
        name, text = self._name(parts[0]), str(parts[1])[1:-1]
        wild = {"%": ".*", "_": "."}
        pieces = re.findall(r"\\.|.", text, re.DOTALL)
        shape = "".join(wild.get(piece) or re.escape(piece[-1]) for piece in pieces)
        pattern = re.compile(shape, re.IGNORECASE | re.DOTALL)
        return lambda row: row[name] is not None and bool(pattern.fullmatch(_text(name, row[name])))


def _check_id(name: str, value: object) -> None:
    if name == "id" and isinstance(value, str) and not re.fullmatch(r"[A-Za-z0-9]{15}([A-Za-z0-9]{3})?", value):
        raise DataError("INVALID_QUERY_FILTER_OPERATOR", f"invalid ID field: {value}")


def _time(text: str) -> dt.datetime:
    time = dt.datetime.fromisoformat(text.upper())
    return time if time.tzinfo else time.replace(tzinfo=dt.UTC)


def _text(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise DataError("INVALID_FIELD", f"LIKE compares texts, and {name} is not one")
    return value


def _equal(name: str, value: Any, other: Any) -> bool:
    if value is None or other is None:
        return value is None and other is None
    value, other = _comparable(name, value, other)
    return bool(value == other)


def _comparable(name: str, value: Any, other: Any) -> tuple[Any, Any]:
    """Both in one type: texts without case, ids in their short form, times as times."""
    if isinstance(value, str) and isinstance(other, str):
        if name.endswith("id") and {len(value), len(other)} <= {15, 18}:
            return value[:15], other[:15]
        return value.casefold(), other.casefold()
    if isinstance(value, str) and isinstance(other, dt.datetime):
        try:
            return _time(value), other
        except ValueError:
            pass
    numbers = isinstance(value, int | float) and isinstance(other, int | float)
    if numbers and isinstance(value, bool) is isinstance(other, bool):
        return value, other
    raise DataError("INVALID_FIELD", f"value of filter criterion for field '{name}' must be of the field's type")
