"""Places that are held for the length of an `async with` block."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

from ratelimit.decision import Decision
from ratelimit.plans import Plan
from ratelimit.slots import BEATS, SlotPlan

logger = logging.getLogger(__name__)

Drive = Callable[[Plan[Any]], Awaitable[Any]]


class AsyncSlot:
    """A place for the length of an `async with` block; `allowed` says whether it was got."""

    def __init__(self, plan: SlotPlan, wait_s: float, drive: Drive) -> None:
        self._drive = drive
        self._plan = plan
        self._wait_s = wait_s
        self._beating: asyncio.Task[Any] | None = None
        self._over = asyncio.Event()
        self.decision: Decision | None = None

    @property
    def allowed(self) -> bool:
        """Whether it is held."""
        return self.decision is not None and self.decision.allowed

    async def __aenter__(self) -> Self:
        try:
            self.decision = await self._drive(self._plan.enter(self._wait_s))
        except BaseException:
            await self._drive(self._plan.leave())  # it may have been let in
            raise
        if self.allowed and self._plan.buckets:
            self._beating = asyncio.get_running_loop().create_task(self._beat())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._beating is not None:
            await asyncio.shield(asyncio.ensure_future(self._leave(self._beating)))

    async def _leave(self, beating: asyncio.Task[Any]) -> None:
        """Not while a beat is under way, which might come after and bring the holder back."""
        self._over.set()
        await beating
        await self._drive(self._plan.leave())

    async def _beat(self) -> None:
        while not self._over.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(self._over.wait(), self._plan.life_s / BEATS)
                return
            try:
                await self._drive(self._plan.beat())
            except Exception:  # the next one comes in time
                logger.exception("a beat failed")
