"""The Segmentation Query Language (v1 conditions) that `POST /contacts/search` understands.

A query is parsed into a function from a field look-up to a truth value, with SQL's three values: an unset field is
NULL, and a comparison with NULL is neither true nor false [unverified].
"""

import operator
import re
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from attrs import frozen

Lookup = Callable[[str], Any]
Evaluate = Callable[[Lookup], Any]

STRING, NUMBER, BOOLEAN, TIME, INTERVAL, ARRAY, NULL = (
    "string",
    "number",
    "boolean",
    "time",
    "interval",
    "array",
    "null",
)

_TOKEN = re.compile(
    r"""\s*(?:
      (?P<string>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")
    | (?P<number>(?:0|[1-9]\d*)(?:\.\d+)?(?![\w.]))
    | (?P<quoted>`[^`]+`)
    | (?P<word>[A-Za-z_][A-Za-z0-9_.]*)
    | (?P<symbol><>|!=|<=|>=|[=<>(),+\-*/%])
    )""",
    re.VERBOSE | re.DOTALL,
)
_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<>": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
    "<=": operator.le,
    ">=": operator.ge,
}
_ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": lambda one, other: one / other,
    "%": operator.mod,
}
_SECONDS = {
    "second": 1,
    "minute": 60,
    "hour": 3600,
    "day": 86400,
    "week": 604800,
    "month": 2592000,
    "year": 31536000,
}


MAX_DEPTH = 40  # of conditions, functions and signs within each other
MAX_OPERATORS = 200  # of arithmetic
MAX_VALUES = 2_000  # of fields and literals
MAX_DIGITS = 30


class SgqlError(Exception):
    """The query is not valid; the text says where."""


@frozen
class Query:
    """A parsed query.

    `email` is set where it is nothing but `email = '...'`, which the vendor answers another way. `texts` are all
    strings in it.
    """

    evaluate: Evaluate
    email: str | None
    texts: tuple[str, ...]

    def matches(self, lookup: Lookup) -> bool:
        """Whether the condition is true, as opposed to false or NULL."""
        return self.evaluate(lookup) is True


@frozen
class _Token:
    kind: str
    text: str
    position: int


@frozen
class _Node:
    kind: str
    evaluate: Evaluate
    field: str | None = None
    literal: Any = None


def parse(text: str, fields: Mapping[str, str], now: datetime) -> Query:
    """Parse a query over `fields` (name to type); raises `SgqlError`."""
    tokens = _tokens(text)
    parser = _Parser(tokens, fields, now)
    node = parser.condition()
    parser.expect_end()
    _require(node, BOOLEAN)
    texts = tuple(_unquote(token.text) for token in tokens if token.kind == "string")
    return Query(node.evaluate, parser.lone_email, texts)


def _tokens(text: str) -> list[_Token]:
    tokens: list[_Token] = []
    position, end = 0, len(text.rstrip())
    while position < end:
        match = _TOKEN.match(text, position)
        if match is None or match.lastgroup is None:
            raise SgqlError(f"unexpected input at position {position}")
        tokens.append(_Token(match.lastgroup, match[match.lastgroup], match.start(match.lastgroup)))
        position = match.end()
    return tokens


class _Parser:
    """Recursive descent; one method for each level of precedence, loosest first."""

    def __init__(self, tokens: list[_Token], fields: Mapping[str, str], now: datetime) -> None:
        self._tokens = tokens
        self._fields = fields
        self._now = now
        self._at = 0
        self._equalities: list[str] = []
        self._conditions = 0
        self._depth = 0
        self._operators = 0
        self._values = 0

    @contextmanager
    def _deeper(self) -> Generator[None, None, None]:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise SgqlError("the query is nested too deeply")
        yield
        self._depth -= 1

    def _calculation(self, left: _Node, symbol: str, right: _Node) -> _Node:
        self._operators += 1
        if self._operators > MAX_OPERATORS:
            raise SgqlError("the query has too many operators")
        return _calculate(left, symbol, right)

    @property
    def lone_email(self) -> str | None:
        return self._equalities[0] if self._conditions == 1 and self._equalities else None

    # -- tokens

    def _peek(self) -> _Token:
        return self._tokens[self._at] if self._at < len(self._tokens) else _Token("end", "", -1)

    def _next(self) -> _Token:
        token = self._peek()
        self._at += 1
        return token

    def _is(self, *words: str) -> bool:
        token = self._peek()
        return token.kind in ("word", "symbol") and token.text.upper() in words

    def _accept(self, *words: str) -> str | None:
        return self._next().text.upper() if self._is(*words) else None

    def _expect(self, word: str) -> None:
        if self._accept(word) is None:
            raise self._unexpected(f"expected {word}")

    def _unexpected(self, wanted: str) -> SgqlError:
        token = self._peek()
        return SgqlError(f"{wanted}, found {token.text or 'the end of the query'!r}")

    def expect_end(self) -> None:
        if self._peek().kind != "end":
            raise self._unexpected("expected the end of the query")

    # -- conditions

    def condition(self) -> _Node:
        return self._all_or_any("OR", self._conjunction, decisive=True)

    def _conjunction(self) -> _Node:
        return self._all_or_any("AND", self._negation, decisive=False)

    def _all_or_any(self, word: str, part: Callable[[], _Node], *, decisive: bool) -> _Node:
        parts = [part()]
        while self._accept(word):
            parts.append(part())
        if len(parts) == 1:
            return parts[0]
        for node in parts:
            _require(node, BOOLEAN)
        evaluators = [node.evaluate for node in parts]

        def combine(lookup: Lookup) -> bool | None:
            values = [evaluate(lookup) for evaluate in evaluators]
            if decisive in values:
                return decisive
            return None if None in values else not decisive

        return _Node(BOOLEAN, combine)

    def _negation(self) -> _Node:
        if not self._accept("NOT"):
            return self._predicate()
        self._conditions += 1  # so that NOT email = '...' is not taken for the plain form
        with self._deeper():
            inner = self._negation()
        _require(inner, BOOLEAN)
        return _Node(BOOLEAN, _negate(inner.evaluate))

    def _predicate(self) -> _Node:
        self._conditions += 1
        left = self._sum()
        symbol = self._accept(*_COMPARISONS)
        if symbol:
            return self._comparison(left, symbol, self._sum())
        if self._accept("IS"):
            return self._null_test(left)
        negative = bool(self._accept("NOT"))
        if self._accept("LIKE"):
            found = self._like(left)
        elif self._accept("IN"):
            found = self._among(left)
        elif self._accept("BETWEEN"):
            found = self._between(left)
        elif negative:
            raise self._unexpected("expected LIKE, IN or BETWEEN after NOT")
        else:
            return left
        return _Node(BOOLEAN, _negate(found.evaluate)) if negative else found

    def _comparison(self, left: _Node, symbol: str, right: _Node) -> _Node:
        if symbol == "=" and left.field == "email" and isinstance(right.literal, str):
            self._equalities.append(right.literal)
        return _compare(left, _COMPARISONS[symbol], right)

    def _null_test(self, left: _Node) -> _Node:
        negative = bool(self._accept("NOT"))
        self._expect("NULL")
        return _Node(BOOLEAN, lambda lookup: (left.evaluate(lookup) is None) is not negative)

    def _like(self, left: _Node) -> _Node:
        pattern = self._sum()
        _require(left, STRING)
        if not isinstance(pattern.literal, str):
            raise SgqlError("LIKE needs a string literal")
        parts = _like_parts(pattern.literal)

        def like(lookup: Lookup) -> bool | None:
            value = left.evaluate(lookup)
            return None if value is None else _like(parts, value)

        return _Node(BOOLEAN, like)

    def _among(self, left: _Node) -> _Node:
        self._expect("(")
        choices = [_compare(left, operator.eq, self._sum())]
        while self._accept(","):
            choices.append(_compare(left, operator.eq, self._sum()))
        self._expect(")")

        def among(lookup: Lookup) -> bool | None:
            values = [choice.evaluate(lookup) for choice in choices]
            if True in values:
                return True
            return None if None in values else False

        return _Node(BOOLEAN, among)

    def _between(self, left: _Node) -> _Node:
        low = _compare(left, operator.ge, self._sum())
        self._expect("AND")
        high = _compare(left, operator.le, self._sum())

        def between(lookup: Lookup) -> bool | None:
            values = (low.evaluate(lookup), high.evaluate(lookup))
            if False in values:
                return False
            return None if None in values else True

        return _Node(BOOLEAN, between)

    # -- expressions

    def _sum(self) -> _Node:
        left = self._product()
        while symbol := self._accept("+", "-"):
            left = self._calculation(left, symbol, self._product())
        return left

    def _product(self) -> _Node:
        left = self._unary()
        while symbol := self._accept("*", "/", "%"):
            left = self._calculation(left, symbol, self._unary())
        return left

    def _unary(self) -> _Node:
        if self._accept("-"):
            with self._deeper():
                return self._calculation(_constant(NUMBER, 0), "-", self._unary())
        return self._primary()

    def _primary(self) -> _Node:
        token = self._next()
        self._values += 1
        if self._values > MAX_VALUES:
            raise SgqlError("the query has too many values")
        if token.kind == "string":
            return _constant(STRING, _unquote(token.text))
        if token.kind == "number":
            if len(token.text) > MAX_DIGITS:
                raise SgqlError("a number has too many digits")
            return _constant(NUMBER, float(token.text) if "." in token.text else int(token.text))
        if token.kind == "quoted":
            return self._field(token.text[1:-1])
        if token.kind == "word":
            return self._word(token.text)
        if token.text == "(":
            with self._deeper():
                inner = self.condition()
            self._expect(")")
            return inner
        self._at -= 1
        raise self._unexpected("expected a value")

    def _word(self, word: str) -> _Node:
        upper = word.upper()
        if upper in ("TRUE", "FALSE"):
            return _constant(BOOLEAN, upper == "TRUE")
        if upper == "NULL":
            return _constant(NULL, None)
        if upper == "TIMESTAMP":
            return _constant(TIME, _timestamp(self._literal()))
        if upper == "INTERVAL":
            return self._interval()
        if self._is("("):
            return self._function(upper)
        return self._field(word)

    def _literal(self) -> str:
        node = self._primary()
        if not isinstance(node.literal, str):
            raise SgqlError("TIMESTAMP needs a string literal")
        return node.literal

    def _interval(self) -> _Node:
        amount = self._primary()
        unit = self._next().text.lower().removesuffix("s")
        if not isinstance(amount.literal, int) or unit not in _SECONDS:
            raise SgqlError("INTERVAL needs a number and a unit")
        try:
            return _constant(INTERVAL, timedelta(seconds=amount.literal * _SECONDS[unit]))
        except OverflowError:
            raise SgqlError("the interval is too long") from None

    def _field(self, name: str) -> _Node:
        if name not in self._fields:
            raise SgqlError(f"unknown field {name!r}")
        return _Node(self._fields[name], lambda lookup: lookup(name), field=name)

    def _function(self, name: str) -> _Node:
        self._expect("(")
        arguments: list[_Node] = []
        while not self._accept(")"):
            if arguments:
                self._expect(",")
            with self._deeper():
                arguments.append(self._sum())
        return _call(name, arguments, self._now)


def _require(node: _Node, kind: str) -> None:
    if node.kind not in (kind, NULL):
        raise SgqlError(f"expected a {kind}, found a {node.kind}")


def _constant(kind: str, value: Any) -> _Node:
    return _Node(kind, lambda _: value, literal=value)


def _negate(evaluate: Evaluate) -> Evaluate:
    def negate(lookup: Lookup) -> bool | None:
        value = evaluate(lookup)
        return None if value is None else not value

    return negate


def _compare(left: _Node, compare: Callable[[Any, Any], bool], right: _Node) -> _Node:
    if left.kind != right.kind and NULL not in (left.kind, right.kind):
        raise SgqlError(f"cannot compare a {left.kind} with a {right.kind}")
    if left.kind == ARRAY:
        raise SgqlError("an array is asked with CONTAINS")
    evaluate_left, evaluate_right = left.evaluate, right.evaluate

    def comparison(lookup: Lookup) -> bool | None:
        one, other = evaluate_left(lookup), evaluate_right(lookup)
        return None if one is None or other is None else compare(one, other)

    return _Node(BOOLEAN, comparison)


def _calculate(left: _Node, symbol: str, right: _Node) -> _Node:
    in_time = left.kind == TIME and right.kind == INTERVAL and symbol in "+-"
    if not in_time and (left.kind, right.kind) != (NUMBER, NUMBER):
        raise SgqlError(f"cannot calculate {left.kind} {symbol} {right.kind}")
    calculate = _ARITHMETIC[symbol]

    def calculation(lookup: Lookup) -> Any:
        one, other = left.evaluate(lookup), right.evaluate(lookup)
        if one is None or other is None or (symbol in "/%" and not other):
            return None
        try:
            return calculate(one, other)
        except OverflowError:  # beyond what the type can hold
            return None

    return _Node(left.kind, calculation)


def _lower(text: str) -> str:
    return text.lower()


def _call(name: str, arguments: list[_Node], now: datetime) -> _Node:
    kinds = [argument.kind for argument in arguments]
    if name == "NOW" and not arguments:
        return _constant(TIME, now)
    if name == "CONTAINS" and kinds == [ARRAY, STRING]:
        array, wanted = (argument.evaluate for argument in arguments)
        return _Node(BOOLEAN, lambda lookup: wanted(lookup) in array(lookup))
    if name == "LOWER" and kinds == [STRING]:
        return _Node(STRING, _strict(arguments, _lower))
    if name == "LENGTH" and kinds in ([STRING], [ARRAY]):
        return _Node(NUMBER, _strict(arguments, len))
    if name == "CONCAT" and arguments and set(kinds) == {STRING}:
        return _Node(STRING, _strict(arguments, lambda *texts: "".join(texts)))
    raise SgqlError(f"no function {name}({', '.join(kinds)})")


def _strict(arguments: list[_Node], function: Callable[..., Any]) -> Evaluate:
    """A function that is NULL where an argument is."""

    def call(lookup: Lookup) -> Any:
        values = [argument.evaluate(lookup) for argument in arguments]
        return None if None in values else function(*values)

    return call


def _unquote(text: str) -> str:
    """A backslash escapes the delimiter and the backslash itself; before anything else it is itself."""
    quote = text[0]
    return re.sub(rf"\\([{quote}\\])", lambda match: match[1], text[1:-1])


def _like_parts(pattern: str) -> list[str]:
    """What stands between the wildcards: `%` stands for any text, `%%` for a percent sign; nothing else is special."""
    parts = [""]
    for piece in re.split("(%%|%)", pattern):
        if piece == "%":
            parts.append("")
        else:
            parts[-1] += "%" if piece == "%%" else piece
    return parts


def _like(parts: list[str], text: str) -> bool:
    """Whether a text is these parts with any text between them; the first fit of each part is as good as any later."""
    first, *others = parts
    if not others:
        return text == first
    *middle, last = others
    if len(text) < len(first) + len(last) or not text.startswith(first) or not text.endswith(last):
        return False
    at, end = len(first), len(text) - len(last)
    for part in middle:
        found = text.find(part, at, end)
        if found < 0:
            return False
        at = found + len(part)
    return True


def _timestamp(text: str) -> datetime:
    try:
        when = datetime.fromisoformat(text)
        return when.astimezone(UTC) if when.tzinfo else when.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise SgqlError(f"{text!r} is no timestamp") from None
