"""Who drives the pipe: a thread or an event loop, for a whole answer or for one as it comes."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from gateway import catalogue
from gateway.errors import Interrupted, ProviderFailed, Refused
from gateway.pipe.exchange import Ask, Effect, Exchange, Flow, Terms
from gateway.pipe.flow import flow
from gateway.pipe.surroundings import Surroundings, surroundings
from gateway.providers.assembly import Assembly
from gateway.providers.call import Piece, Reply
from gateway.request import Answer, FinishReason, Json, Request
from gateway.threads import in_thread


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """A part of an answer, or of a refusal, on its way; the last one has the whole `answer`."""

    text: str = ""
    refusal: str = ""
    tool_calls: tuple[Mapping[str, Json], ...] = ()
    finish_reason: FinishReason | None = None
    model: str = ""
    answer: Answer | None = None


@dataclass(frozen=True, slots=True)
class _Done:
    answer: Answer


@dataclass(slots=True)
class _Driven:
    """A flow and where it stands."""

    x: Exchange
    steps: Flow
    step: Effect | _Done | None = field(default=None)

    def begin(self) -> None:
        self._advance(lambda: next(self.steps))

    def send(self, reply: Reply | None) -> None:
        self._advance(lambda: self.steps.send(reply))

    def throw(self, error: BaseException) -> None:
        """Tell the flow what went wrong; what it does not handle is raised."""
        self._advance(lambda: self.steps.throw(error))

    def _advance(self, go: Callable[[], Effect]) -> None:
        # A StopIteration passes neither a future nor an asynchronous generator.
        try:
            self.step = go()
        except StopIteration as done:
            self.step = _Done(done.value)


def open_exchange(
    request: Request, terms: Terms | None = None, around: Surroundings | None = None
) -> Exchange:
    """A call at the beginning of the pipe. Raises Refused for one that asks nothing."""
    if not request.messages:
        raise Refused("messages is empty: say something", param="messages")
    policy = catalogue.view().policy(int(request.tenant), request.policy or "")
    return Exchange(request, terms or Terms(), policy, around or surroundings())


# --- threads ------------------------------------------------------------------------------
def complete(
    request: Request, terms: Terms | None = None, around: Surroundings | None = None
) -> Answer:
    """The whole answer. Raises :class:`~gateway.errors.GatewayError`."""
    x = open_exchange(request, terms, around)
    driven = _Driven(x, flow(x))
    driven.begin()
    while not isinstance(driven.step, _Done):
        try:
            reply = _performed(driven.step)
        except BaseException as error:  # noqa: BLE001 - the flow gives back and raises it again
            driven.throw(error)
        else:
            driven.send(reply)
    return driven.step.answer


def stream(
    request: Request, terms: Terms | None = None, around: Surroundings | None = None
) -> Generator[Chunk, None, None]:
    """The answer as it comes. Closing the iterator ends the call and settles what was used."""
    x = open_exchange(request, terms, around)
    driven, said = _Driven(x, flow(x)), False
    driven.begin()
    while not isinstance(driven.step, _Done):
        if not isinstance(driven.step, Ask):
            _pause(driven)
            continue
        assembly, pace = Assembly(), _Pace(x)
        try:
            with contextlib.closing(driven.step.provider.stream(driven.step.call)) as pieces:
                for piece in pieces:
                    assembly.add(piece)
                    if _says(piece):
                        said = True
                        with pace:
                            yield _passed_on(piece, x)
        except GeneratorExit:
            _abandon(driven, assembly)
            raise
        except BaseException as error:  # noqa: BLE001 - likewise
            driven.throw(_marked(error, pace, said=said))
        else:
            driven.send(assembly.reply)
    yield from _ending(driven.step.answer, said=said)


def _pause(driven: _Driven) -> None:
    try:
        reply = _performed(driven.step)
    except BaseException as error:  # noqa: BLE001 - likewise
        driven.throw(error)
    else:
        driven.send(reply)


def _performed(step: Effect | _Done | None) -> Reply | None:
    if isinstance(step, Ask):
        return step.provider.complete(step.call)
    time.sleep(getattr(step, "seconds", 0.0))
    return None


def _abandon(driven: _Driven, assembly: Assembly) -> None:
    with contextlib.suppress(Interrupted):
        driven.throw(Interrupted(assembly.reply if assembly.begun else None))


# --- asyncio ------------------------------------------------------------------------------
Asking = Callable[[], tuple[Request, Terms]]
"""Finds out what is asked, in the thread in which the call begins: it may look at rows."""


async def acomplete(
    request: Request | Asking, terms: Terms | None = None, around: Surroundings | None = None
) -> Answer:
    """`complete` for asyncio; cancelling it ends the call."""
    driven = await _opened(request, terms, around)
    while not isinstance(driven.step, _Done):
        try:
            reply = await _aperformed(driven.step)
        except asyncio.CancelledError:
            await _aabandon(driven, None)
            raise
        except BaseException as error:  # noqa: BLE001 - likewise
            await _advanced(driven, driven.throw, error)
        else:
            await _advanced(driven, driven.send, reply)
    return driven.step.answer


async def astream(
    request: Request | Asking, terms: Terms | None = None, around: Surroundings | None = None
) -> AsyncGenerator[Chunk, None]:
    """`stream` for asyncio; closing or cancelling it ends the call."""
    driven, said = await _opened(request, terms, around), False
    while not isinstance(driven.step, _Done):
        if not isinstance(driven.step, Ask):
            await _apause(driven)
            continue
        assembly, pace = Assembly(), _Pace(driven.x)
        try:
            async with contextlib.aclosing(
                driven.step.provider.astream(driven.step.call)
            ) as pieces:
                async for piece in pieces:
                    assembly.add(piece)
                    if _says(piece):
                        said = True
                        with pace:
                            yield _passed_on(piece, driven.x)
        except (GeneratorExit, asyncio.CancelledError):
            await _aabandon(driven, assembly.reply if assembly.begun else None)
            raise
        except BaseException as error:  # noqa: BLE001 - likewise
            await _advanced(driven, driven.throw, _marked(error, pace, said=said))
        else:
            await _advanced(driven, driven.send, assembly.reply)
    for chunk in _ending(driven.step.answer, said=said):
        yield chunk


async def _opened(
    request: Request | Asking, terms: Terms | None, around: Surroundings | None
) -> _Driven:
    def opened() -> _Driven:
        asked = (request, terms) if isinstance(request, Request) else request()
        x = open_exchange(*asked, around)
        driven = _Driven(x, flow(x))
        driven.begin()
        return driven

    working = asyncio.ensure_future(in_thread(opened))
    try:
        return await asyncio.shield(working)
    except asyncio.CancelledError:
        with contextlib.suppress(Exception):
            await _aabandon(await working, None)
        raise


async def _apause(driven: _Driven) -> None:
    try:
        await _aperformed(driven.step)
    except asyncio.CancelledError:
        await _aabandon(driven, None)
        raise
    await _advanced(driven, driven.send, None)


async def _aperformed(step: Effect | _Done | None) -> Reply | None:
    if isinstance(step, Ask):
        return await step.provider.acomplete(step.call)
    await asyncio.sleep(getattr(step, "seconds", 0.0))
    return None


async def _advanced(driven: _Driven, go: Callable[..., None], *words: Any) -> None:
    """Let the flow work in a thread. Cancelled meanwhile, it is heard out and then told."""
    working = asyncio.ensure_future(in_thread(go, *words))
    try:
        await asyncio.shield(working)
    except asyncio.CancelledError:
        if working.cancelled():
            raise
        with contextlib.suppress(Exception):
            await working
            await _aabandon(driven, None)
        raise


async def _aabandon(driven: _Driven, reply: Reply | None) -> None:
    if isinstance(driven.step, _Done):
        return
    with contextlib.suppress(Interrupted):
        await asyncio.shield(in_thread(driven.throw, Interrupted(reply)))


# --- what streams share -------------------------------------------------------------------
def _says(piece: Piece) -> bool:
    return bool(piece.text or piece.refusal or piece.tool_calls)


def _passed_on(piece: Piece, x: Exchange) -> Chunk:
    return Chunk(text=piece.text, refusal=piece.refusal, tool_calls=piece.tool_calls, model=x.model)


@dataclass(slots=True)
class _Pace:
    """Whose time a stream takes: what happens within its block is its reader's."""

    x: Exchange
    began: float = field(default_factory=time.monotonic)
    passing: float = 0.0
    reading: float = 0.0

    def __enter__(self) -> None:
        self.passing = time.monotonic()
        if self.x.first_piece_s is None:
            self.x.first_piece_s = self.passing - self.began

    def __exit__(self, *error: object) -> None:
        self.reading += time.monotonic() - self.passing

    @property
    def reader_was_slower(self) -> bool:
        return self.reading > (time.monotonic() - self.began) / 2


def _marked(error: BaseException, pace: _Pace, *, said: bool) -> BaseException:
    if isinstance(error, ProviderFailed):
        error.begun = said
        if pace.reader_was_slower:
            error.counts = False  # out of time, and not by the provider's doing
    return error


def _ending(answer: Answer, *, said: bool) -> Iterator[Chunk]:
    """The last chunks: for an answer that nobody streamed, also its text."""
    if not said and (answer.text or answer.tool_calls):
        calls = tuple({"index": n, **call} for n, call in enumerate(answer.tool_calls))
        text, refusal = ("", answer.text) if answer.refused else (answer.text, "")
        yield Chunk(text=text, refusal=refusal, tool_calls=calls, model=answer.model)
    yield Chunk(finish_reason=answer.finish_reason, model=answer.model, answer=answer)
