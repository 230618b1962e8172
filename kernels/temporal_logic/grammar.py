"""From text to a tree: one precedence-climbing parser that says where and why it stopped.

From loosest to tightest: `<-> xor`, `->` (to the right), `|`, `&`, the binary temporal operators
(to the right), the prefix operators, comparisons, `+ -`, `* /`. One letter means an operator
only where one may stand: `X > 5` compares a signal named X.
"""

from __future__ import annotations

from collections.abc import Callable

from kernels.temporal_logic.tree import (
    Arithmetic,
    Comparison,
    Expression,
    Node,
    Number,
    Operation,
    Proposition,
    Signal,
    Truth,
    fold,
    magnitude,
)
from kernels.temporal_logic.words import (
    COMPARATORS,
    FLAT,
    INFINITE,
    LEVELS,
    PREFIXES,
    RIGHTWARDS,
    TIMED,
    TRUTHS,
    FormulaError,
    Kind,
    Span,
    Token,
    begins,
    tokens_of,
)

MAX_TEXT = 20_000
"""Characters."""
MAX_DEPTH = 60
"""Nested operators, also `<->` and `xor` in a row; `&` and `|` in a row are one operator. A formula
nobody can read is a mistake, and recursion must end."""
MAX_TERMS = 100
"""Numbers and signals that are added or multiplied in a row."""
MAX_RESULT = 1e300
"""So that no sum or product of finite samples becomes infinite."""

MAX_BOUND = 1_000_000
"""Samples; memory of a monitor grows with its windows."""


def parse_tree(text: str) -> Node:
    """The tree of a formula. Raises FormulaError with position and hint."""
    if not isinstance(text, str):
        raise FormulaError(f"{type(text).__name__} is no text", 0, "pass a formula as a string")
    if len(text) > MAX_TEXT:
        raise FormulaError(
            f"the text has {len(text)} characters", MAX_TEXT, f"at most {MAX_TEXT} are read"
        )
    return _Parser(tokens_of(text)).formula()


class _Parser:
    """A cursor over tokens; each method reads one level of precedence."""

    def __init__(self, tokens: list[Token]) -> None:
        self.tokens = tokens
        self.at = 0
        self.depth = 0

    def formula(self) -> Node:
        node = self._as_node(self._binary(0), 0)
        if self._now.kind != "end":
            hint = "check the parentheses, or join two formulas with & or |"
            raise FormulaError(f"{self._now.text!r} was not expected", self._start, hint)
        return node

    @property
    def _now(self) -> Token:
        return self.tokens[self.at]

    @property
    def _start(self) -> int:
        return self._now.span[0]

    def _take(self, *texts: str) -> Token | None:
        if self._now.kind not in {"symbol", "word"} or self._now.text not in texts:
            return None
        self.at += 1
        return self.tokens[self.at - 1]

    def _need(self, text: str, hint: str) -> Token:
        token = self._take(text)
        if token is None:
            found = repr(self._now.text) if self._now.text else "the end"
            raise FormulaError(f"{found} where {text!r} was expected", self._start, hint)
        return token

    def _span(self, start: int) -> Span:
        return start, self.tokens[self.at - 1].span[1]

    def _nested(self, read: Callable[[], Node | Expression]) -> Node | Expression:
        self.depth += 1
        self._check_depth(self.depth, self._start)
        found = read()
        self.depth -= 1
        return found

    @staticmethod
    def _check_depth(depth: int, at: int) -> None:
        if depth > MAX_DEPTH:
            hint = f"at most {MAX_DEPTH} levels are read; split the formula"
            raise FormulaError("operators are nested too deeply", at, hint)

    def _as_node(self, part: Node | Expression, start: int) -> Node:
        if isinstance(part, Signal):
            return Proposition(part.name, self._span(start))
        if isinstance(part, Number | Arithmetic):
            hint = "compare it, for example (x > 5)"
            raise FormulaError(f"{part} is a number, not a truth value", start, hint)
        return part

    def _as_expression(self, part: Node | Expression, start: int) -> Expression:
        if isinstance(part, Number | Signal | Arithmetic):
            return part
        hint = "compare numbers only; join comparisons with &, as in (1 < x) & (x < 5)"
        raise FormulaError(f"({part}) is a truth value, not a number", start, hint)

    def _operator(self, level: int) -> tuple[Kind, int] | None:
        """The binary operator that stands here and its level, unless it binds looser."""
        if self._now.kind not in {"symbol", "word"}:
            return None
        for own, table in enumerate(LEVELS[level:], level):
            if self._now.text in table:
                self.at += 1
                return table[self.tokens[self.at - 1].text], own
        return None

    def _binary(self, level: int) -> Node | Expression:
        """An operand and all that is joined to it by operators of this level or tighter ones."""
        start = self._start
        left = self._prefix()
        at = self._start
        while (found := self._operator(level)) is not None:
            kind, own = found
            parts = [self._as_node(left, start)]
            right, low, high = self._right(kind, own)
            parts.append(right)
            while kind in FLAT and self._operator(own) is not None:
                parts.append(self._right(kind, own)[0])
            left = Operation(kind, tuple(parts), low, high, self._span(start))
            self._check_depth(left.depth, at)
            at = self._start
        return left

    def _right(self, kind: Kind, level: int) -> tuple[Node, int, int | None]:
        """The interval and the operand behind an operator."""
        low, high = self._interval(kind)
        start = self._start
        deeper = level if kind in RIGHTWARDS else level + 1
        operand = self._nested(lambda: self._binary(deeper))
        return self._as_node(operand, start), low, high

    def _prefix(self) -> Node | Expression:
        token = self._now
        following = self.tokens[min(self.at + 1, len(self.tokens) - 1)]
        kind = PREFIXES.get(token.text) if token.kind in {"symbol", "word"} else None
        if kind is None or (token.kind == "word" and not begins(following)):
            return self._comparison()
        self.at += 1
        low, high = self._interval(kind)
        start = self._start
        operand = self._as_node(self._nested(self._prefix), start)
        whole = Operation(kind, (operand,), low, high, self._span(token.span[0]))
        self._check_depth(whole.depth, token.span[0])
        return whole

    def _interval(self, kind: Kind) -> tuple[int, int | None]:
        """The bounds after an operator, in samples; (0, None) when there are none."""
        opening = self._now
        if opening.kind != "symbol" or opening.text != "[":
            return 0, None
        if kind not in TIMED:
            hint = "intervals go with G F U R W M O H S T"
            raise FormulaError(f"{kind} takes no interval", opening.span[0], hint)
        self.at += 1
        low = self._bound()
        if self._take(",", ":") is None:
            hint = "write both bounds in samples: [0,10]"
            raise FormulaError("an interval has two bounds", self._start, hint)
        high = None if self._take(*INFINITE) else self._bound()
        excluded = self._take(")") is not None
        if not excluded:
            self._need("]", "close the interval: [0,10]")
        if high is not None:
            high -= excluded
            if high < low:
                hint = "the first bound comes first: [0,10]"
                raise FormulaError("the interval is empty", opening.span[0], hint)
        return low, high

    def _bound(self) -> int:
        token = self._now
        unit = self.tokens[min(self.at + 1, len(self.tokens) - 1)]
        hint = "bounds are whole numbers of samples; divide a time by the sample interval"
        if token.kind != "number" or unit.kind == "word" or float(token.text) % 1:
            raise FormulaError(f"{token.text + unit.text!r} is no bound", token.span[0], hint)
        if float(token.text) > MAX_BOUND:
            most = f"at most {MAX_BOUND} samples are allowed; leave the bound out, or use inf"
            raise FormulaError(f"the bound {token.text} is too large", token.span[0], most)
        self.at += 1
        return int(float(token.text))

    def _comparison(self) -> Node | Expression:
        start = self._start
        left = self._sum()
        token = self._now
        if token.kind != "symbol" or token.text not in COMPARATORS:
            return left
        self.at += 1
        first = self._as_expression(left, start)
        second_at = self._start
        second = self._as_expression(self._sum(), second_at)
        if self._now.kind == "symbol" and self._now.text in COMPARATORS:
            hint = "write both comparisons: (1 < x) & (x < 5)"
            raise FormulaError("comparisons do not chain", self._start, hint)
        if not magnitude(first) + magnitude(second) < MAX_RESULT:
            hint = "use smaller factors"
            raise FormulaError("the comparison would overflow", token.span[0], hint)
        return Comparison(COMPARATORS[token.text], first, second, self._span(start))

    def _sum(self) -> Node | Expression:
        start = self._start
        left = self._product()
        while token := self._take("+", "-"):
            second_at = self._start
            right = self._as_expression(self._product(), second_at)
            left = self._arithmetic(token, self._as_expression(left, start), right)
        return left

    def _product(self) -> Node | Expression:
        start = self._start
        left = self._factor()
        while token := self._take("*", "/"):
            second_at = self._start
            right = self._as_expression(self._factor(), second_at)
            left = self._arithmetic(token, self._as_expression(left, start), right)
        return left

    def _arithmetic(self, token: Token, left: Expression, right: Expression) -> Expression:
        constants = isinstance(left, Number), isinstance(right, Number)
        if (token.text == "*" and not any(constants)) or (token.text == "/" and not constants[1]):
            hint = "compute such a signal beforehand and give it a name"
            raise FormulaError("only linear arithmetic is known", token.span[0], hint)
        if token.text == "/" and right == Number(0.0):
            raise FormulaError("division by zero", token.span[0], "divide by another number")
        try:
            found = fold(token.text, (left, right))
        except ValueError as error:
            hint = "use smaller numbers"
            raise FormulaError(str(error), token.span[0], hint) from None
        return self._limited(found, token)

    @staticmethod
    def _limited(expression: Expression, token: Token) -> Expression:
        if expression.depth > MAX_TERMS:
            hint = "compute such a signal beforehand and give it a name"
            raise FormulaError(f"more than {MAX_TERMS} terms", token.span[0], hint)
        return expression

    def _factor(self) -> Node | Expression:
        token = self._now
        if self._take("-"):
            start = self._start
            operand = self._as_expression(self._nested(self._factor), start)
            if isinstance(operand, Number):
                return fold("-", (Number(0.0), operand))
            return self._limited(Arithmetic("*", (Number(-1.0), operand)), token)
        if self._take("+"):
            return self._as_expression(self._nested(self._factor), token.span[0])
        if self._take("("):
            inner = self._nested(lambda: self._binary(0))
            self._need(")", f"close the parenthesis opened at position {token.span[0]}")
            return inner
        return self._atom()

    def _atom(self) -> Node | Expression:
        token = self._now
        self.at += 1
        if token.kind == "number":
            return Number(self._finite(token))
        if token.kind in {"double", "single"}:
            return Signal(token.text)
        if token.kind == "word":
            return self._word(token)
        self.at -= 1
        found = repr(token.text) if token.text else "the end"
        hint = "a formula goes on with a name, a number, an operator such as G, or ("
        raise FormulaError(f"{found} where an operand was expected", token.span[0], hint)

    def _word(self, token: Token) -> Node | Expression:
        if token.text in TRUTHS:
            return Truth(TRUTHS[token.text], token.span)
        if token.text == "last":
            return Operation(Kind.WEAK_NEXT, (Truth(False, token.span),), 0, None, token.span)
        if token.text == "abs":
            self._need("(", "write abs(x)")
            start = self._start
            operand = self._as_expression(self._nested(self._sum), start)
            self._need(")", "write abs(x)")
            return self._limited(fold("abs", (operand,)), token)
        known = token.text in PREFIXES or any(token.text in level for level in LEVELS)
        if known and len(token.text) > 1:
            hint = "give it an operand; a signal of that name is written in quotes"
            raise FormulaError(f"the operator {token.text!r} has none", token.span[0], hint)
        return Signal(token.text)

    @staticmethod
    def _finite(token: Token) -> float:
        value = float(token.text)
        if value > 1e300:
            raise FormulaError(f"{token.text} is too large", token.span[0], "use a smaller number")
        return value
