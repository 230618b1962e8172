"""Sums of products of small whole numbers, with the processor's widest multiply-and-add.

A plain loop over int8 vectorises to half of what the processor can do: numba's compiler widens
the products before it adds neighbours. These functions write the loop as it should be: 32 values
at once, each pair of products in one lane. It is portable LLVM code; a processor without such an
instruction gets several others. When numba is disabled, numpy computes the same.

They check nothing: `whole` is a multiple of `LANES` and at most a row's width.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import cgutils, config, types
from numba.core.extending import intrinsic
from numpy.typing import NDArray

LANES = 32
"""Values that are multiplied at once."""

_NIBBLES = 4

_tools: Any = cgutils  # without types

_BYTE, _SHORT, _INT, _LONG = (ir.IntType(bits) for bits in (8, 16, 32, 64))
_WORDS, _PRODUCTS = ir.VectorType(_SHORT, LANES), ir.VectorType(_INT, LANES)
_SUMS = ir.VectorType(_INT, LANES // 2)


def _dot_bytes(
    values: NDArray[np.int8], row: int, queries: NDArray[np.int16], number: int, whole: int
) -> np.int32:
    """The sum over the first `whole` columns of int8 `values[row]` times `queries[number]`."""
    product = values[row, :whole].astype(np.int32) @ queries[number, :whole].astype(np.int32)
    return np.int32(product)


def _dot_nibbles(
    words: NDArray[np.uint16], row: int, queries: NDArray[np.int16], number: int, whole: int
) -> np.int32:
    """The same with four values from 0 to 15 in each of `whole` words, the lowest bits first.

    The query has `whole` factors for the lowest bits of all words, then those for the next ones.
    """
    shifts = np.arange(_NIBBLES)[:, None] * 4
    nibbles = (words[row, :whole].astype(np.int32) >> shifts) & 15
    factors = queries[number, : _NIBBLES * whole].astype(np.int32)
    return np.int32(nibbles.ravel() @ factors)


def _bytes_code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    values, queries = _rows(context, builder, signature, arguments)

    def terms(place: Any) -> list[Any]:
        factors = _load(builder, queries, place, _SHORT)
        codes = builder.sext(_load(builder, values, place, _BYTE), _WORDS)
        return [_multiplied(builder, codes, factors)]

    return _summed(builder, arguments[-1], terms, (0,))


def _nibbles_code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    """Bits in the middle stay where they are, and their sums are shifted: sums are fewer."""
    words, queries = _rows(context, builder, signature, arguments)

    def terms(place: Any) -> list[Any]:
        packed = _load(builder, words, place, _SHORT)
        products = []
        for number in range(_NIBBLES):
            mask = ir.Constant(_WORDS, [15 << (4 * number)] * LANES)
            codes = builder.and_(packed, mask)
            if number == _NIBBLES - 1:  # the highest would be taken for a sign
                codes = builder.lshr(packed, ir.Constant(_WORDS, [4 * number] * LANES))
            start = builder.mul(arguments[-1], _LONG(number))
            factors = _load(builder, queries, builder.add(start, place), _SHORT)
            products.append(_multiplied(builder, codes, factors))
        return products

    return _summed(builder, arguments[-1], terms, (0, 4, 8, 0))


def _rows(context: Any, builder: Any, signature: Any, arguments: Any) -> list[Any]:
    """Where the row of each of the two arrays begins."""
    starts = []
    for place in (0, 2):
        array = context.make_array(signature.args[place])(context, builder, arguments[place])
        width = builder.extract_value(array.shape, 1)
        starts.append(builder.gep(array.data, [builder.mul(arguments[place + 1], width)]))
    return starts


def _load(builder: Any, start: Any, place: Any, element: Any) -> Any:
    vector = ir.VectorType(element, LANES).as_pointer()
    return builder.load(builder.bitcast(builder.gep(start, [place]), vector), align=1)


def _multiplied(builder: Any, codes: Any, factors: Any) -> Any:
    """Products of int16, each even one and the odd one after it added: one x86 instruction."""
    product = builder.mul(builder.sext(codes, _PRODUCTS), builder.sext(factors, _PRODUCTS))
    even, odd = (ir.Constant(_SUMS, list(range(first, LANES, 2))) for first in (0, 1))
    nothing = ir.Constant(_PRODUCTS, ir.Undefined)
    return builder.add(
        builder.shuffle_vector(product, nothing, even),
        builder.shuffle_vector(product, nothing, odd),
    )


def _summed(builder: Any, whole: Any, terms: Any, shifts: tuple[int, ...]) -> Any:
    """The loop over a row in steps of `LANES`, and the sum of all lanes of all terms, shifted."""
    nothing = ir.Constant(_SUMS, [0] * (LANES // 2))
    sums = [_tools.alloca_once_value(builder, nothing) for _ in shifts]
    with _tools.for_range_slice(builder, _LONG(0), whole, _LONG(LANES), _LONG) as (place, _):
        for held, term in zip(sums, terms(place), strict=True):
            builder.store(builder.add(builder.load(held), term), held)
    total = nothing
    for held, shift in zip(sums, shifts, strict=True):
        by = ir.Constant(_SUMS, [shift] * (LANES // 2))
        total = builder.add(total, builder.ashr(builder.load(held), by))
    kind = ir.FunctionType(_INT, [_SUMS])
    name = f"llvm.vector.reduce.add.v{LANES // 2}i32"
    return builder.call(_tools.get_or_insert_function(builder.module, kind, name), [total])


def _compiled(code: Any) -> Any:
    @intrinsic
    def product(
        _typing: Any, values: Any, _row: Any, queries: Any, _number: Any, _whole: Any
    ) -> Any:
        whole = types.int64
        return types.int32(values, whole, queries, whole, whole), code

    return product


_plain = bool(getattr(config, "DISABLE_JIT", False))
dot_bytes = _dot_bytes if _plain else _compiled(_bytes_code)
dot_nibbles = _dot_nibbles if _plain else _compiled(_nibbles_code)
