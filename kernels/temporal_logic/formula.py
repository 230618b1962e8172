"""A parsed formula and what is derived from it once: shared nodes, programs, names."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property, lru_cache

from kernels.temporal_logic.automaton import Automaton
from kernels.temporal_logic.core import Pool, Row
from kernels.temporal_logic.grammar import parse_tree
from kernels.temporal_logic.program import Columns, Program, compile_program
from kernels.temporal_logic.tree import Node, names_in


class Formula:
    """A formula to be evaluated any number of times; equal when written alike up to spelling."""

    def __init__(self, tree: Node, text: str) -> None:
        self.tree = tree
        self.text = text
        self.automaton: Automaton | None = None

    def __str__(self) -> str:
        return str(self.tree)

    def __repr__(self) -> str:
        return f"parse({self.text!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Formula) and self.tree == other.tree

    def __hash__(self) -> int:
        return hash(self.tree)

    @cached_property
    def columns(self) -> Columns:
        """A row for each signal in arithmetic, then one for each name that stands alone."""
        used = dict.fromkeys(names_in(self.tree))
        ordered = sorted(used, key=lambda column: column[1])
        return {column: row for row, column in enumerate(ordered)}

    @cached_property
    def measured(self) -> int:
        """How many of the columns are signals in arithmetic."""
        return sum(not alone for _, alone in self.columns)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The signals it speaks of, in order of appearance."""
        return tuple(dict.fromkeys(name for name, _ in names_in(self.tree)))

    @cached_property
    def pool(self) -> Pool:
        """Its nodes in core operators."""
        return Pool()

    @cached_property
    def root(self) -> int:
        """The node of the whole."""
        return self.pool.translate(self.tree)

    @cached_property
    def horizon(self) -> int | None:
        """Samples ahead that a value may depend on; None when without a bound."""
        return self.pool.horizon(self.root)

    @cached_property
    def truth(self) -> Program:
        """The program for ±1."""
        return self.program([self.root], boolean=True)

    @cached_property
    def margin(self) -> Program:
        """The program for robustness."""
        return self.program([self.root], boolean=False)

    @cached_property
    def atoms(self) -> Program:
        """The program for the truth of each comparison and proposition of the core."""
        self.pool.translate(self.tree)  # finds the atoms
        count = len(self.pool.atoms)
        affirmed = [self.pool.intern(Row("literal", atom=i)) for i in range(count)]
        return self.program(affirmed, boolean=True)

    def program(self, nodes: Sequence[int], *, boolean: bool) -> Program:
        """The program for the values of nodes."""
        return compile_program(self.pool, nodes, self.columns, boolean=boolean)


@lru_cache(maxsize=256)
def _parsed(text: str) -> Formula:
    return Formula(parse_tree(text), text)


def parse(text: str) -> Formula:
    """A formula from text. Raises FormulaError (a ValueError) with `position` and `hint`.

    ::

        true false name               a boolean signal, or a number that is true when positive
        x > 5   2*x - y/3 <= abs(z)   > >= < <= == != over linear arithmetic (also ≥ ≤ ≠ =)
        ! & | -> <-> xor              not and or implies iff (also ~ && || => <=> ∧ ∨ ¬ → ↔)
        X WX                          next: strong (false at the last position), weak (N)
        F G  U R W M                  eventually always, until release weak_until strong_release
        Y Z  O H  S T                 previous (strong, weak), once historically, since trigger
        rise fall  last               an edge of a formula; the last position of the trace
        G[0,100]  always[0:10]  U[2,inf]  O[1,3)   bounds in samples, for F G U R W M O H S T

    From loosest to tightest: <-> xor, -> (to the right), |, &, binary temporal operators (to the
    right), prefix operators, comparisons. A signal with the name of an operator is quoted.
    """
    if not isinstance(text, str):
        parse_tree(text)  # refuses
    return _parsed(text)


def as_formula(formula: Formula | str) -> Formula:
    """A formula, parsed if need be."""
    return formula if isinstance(formula, Formula) else parse(formula)
