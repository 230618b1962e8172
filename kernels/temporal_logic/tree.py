"""Formulas as they were written: expressions over signals, comparisons, operators, and where."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import ClassVar

from kernels.series import MAX_MAGNITUDE
from kernels.temporal_logic.words import Kind, Span, quoted


@dataclass(frozen=True, slots=True)
class Number:
    """A constant."""

    value: float
    depth: ClassVar[int] = 0

    def __str__(self) -> str:
        return f"{self.value:.17g}" if self.value % 1 else f"{self.value:.15g}"


@dataclass(frozen=True, slots=True)
class Signal:
    """The samples under a name."""

    name: str
    depth: ClassVar[int] = 0

    def __str__(self) -> str:
        return quoted(self.name)


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """`+ - * /` or `abs` of expressions."""

    operator: str
    operands: tuple[Expression, ...]
    depth: int = field(init=False, compare=False, repr=False)
    """How many of these stand one within the other."""

    def __post_init__(self) -> None:
        """Know how deep it is: what walks over it goes as deep into recursion."""
        object.__setattr__(self, "depth", 1 + max(part.depth for part in self.operands))

    def __str__(self) -> str:
        if self.operator == "abs":
            return f"abs({self.operands[0]})"
        return f"({self.operands[0]} {self.operator} {self.operands[1]})"


Expression = Number | Signal | Arithmetic


@dataclass(frozen=True, slots=True)
class Truth:
    """true or false."""

    value: bool
    span: Span = field(default=(0, 0), compare=False)
    depth: ClassVar[int] = 0

    def __str__(self) -> str:
        return "true" if self.value else "false"


@dataclass(frozen=True, slots=True)
class Proposition:
    """A name standing alone: a boolean signal, or a number that is true when positive."""

    name: str
    span: Span = field(default=(0, 0), compare=False)
    depth: ClassVar[int] = 0

    def __str__(self) -> str:
        return quoted(self.name)


@dataclass(frozen=True, slots=True)
class Comparison:
    """`left operator right`, with `> >= < <= == !=`."""

    operator: str
    left: Expression
    right: Expression
    span: Span = field(default=(0, 0), compare=False)
    depth: ClassVar[int] = 0

    def __str__(self) -> str:
        return f"{self.left} {self.operator} {self.right}"


@dataclass(frozen=True, slots=True)
class Operation:
    """A boolean or temporal operator; `low` and `high` in samples, `high` None = unbounded.

    `&` and `|` have two operands or more: what is joined in a row is one operation.
    """

    kind: Kind
    operands: tuple[Node, ...]
    low: int = 0
    high: int | None = None
    span: Span = field(default=(0, 0), compare=False)
    depth: int = field(init=False, compare=False, repr=False)
    """How many operations stand one within the other."""

    def __post_init__(self) -> None:
        """Know how deep it is: what walks over it goes as deep into recursion."""
        object.__setattr__(self, "depth", 1 + max(part.depth for part in self.operands))

    def __str__(self) -> str:
        bounds = "" if (self.low, self.high) == (0, None) else self._bounds()
        inner = [f"({part})" for part in self.operands]
        if len(inner) == 1:
            return f"{self.kind}{bounds}{inner[0]}"
        return f" {self.kind}{bounds} ".join(inner)

    def _bounds(self) -> str:
        return f"[{self.low},{'inf' if self.high is None else self.high}]"


Node = Truth | Proposition | Comparison | Operation


def names_in(node: Node) -> Iterator[tuple[str, bool]]:
    """Every signal with whether it stands alone (True) or in arithmetic (False), in order."""
    if isinstance(node, Proposition):
        yield node.name, True
    elif isinstance(node, Comparison):
        for side in (node.left, node.right):
            yield from ((name, False) for name in names_of(side))
    elif isinstance(node, Operation):
        for part in node.operands:
            yield from names_in(part)


def names_of(expression: Expression) -> Iterator[str]:
    """The signals of an expression."""
    if isinstance(expression, Signal):
        yield expression.name
    elif isinstance(expression, Arithmetic):
        for part in expression.operands:
            yield from names_of(part)


def magnitude(expression: Expression) -> float:
    """The largest absolute value there can be when no signal exceeds MAX_MAGNITUDE."""
    if isinstance(expression, Number):
        return abs(expression.value)
    if isinstance(expression, Signal):
        return MAX_MAGNITUDE
    sizes = [magnitude(part) for part in expression.operands]
    if expression.operator == "/":
        return sizes[0] / sizes[1]
    return math.prod(sizes) if expression.operator == "*" else sum(sizes)


def fold(operator: str, operands: tuple[Expression, ...]) -> Expression:
    """The expression, computed already where it holds no signal. Raises ValueError for 1/0."""
    numbers = [part.value for part in operands if isinstance(part, Number)]
    if len(numbers) < len(operands):
        return Arithmetic(operator, operands)
    value = _compute(operator, numbers)
    if not math.isfinite(value):
        raise ValueError("the constant is too large")
    return Number(value)


def _compute(operator: str, numbers: list[float]) -> float:
    if operator == "abs":
        return abs(numbers[0])
    left, right = numbers
    if operator == "/" and right == 0:
        raise ValueError("division by zero")
    match operator:
        case "+":
            return left + right
        case "-":
            return left - right
        case "*":
            return left * right
    return left / right
