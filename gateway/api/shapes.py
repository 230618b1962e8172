"""What requests and answers about rows of the gateway look like."""

from __future__ import annotations

from typing import Any

from ansf_platform.schemas import (
    Schema,
    anything,
    array,
    boolean,
    choice,
    define,
    integer,
    moment,
    nullable,
    number,
    page_of,
    record,
    text,
)
from gateway.costs import GROUPS, SUMS
from gateway.definitions import columns_of, kind_of
from gateway.models import LedgerEntry, Period, RouteRecord, TaskClass
from gateway.rollups import AMOUNTS
from gateway.schemas import BUDGETS, KINDS, MODELS, POLICIES, Kind
from gateway.spending import Level

NAME = text(100)
MONEY = {"type": "integer", "description": "Nano-dollars (1e-9 $)."}
DAY = {"type": "string", "format": "date"}
PLATFORM = boolean(default=False, description="Make it the platform's; superusers only.")
TENANT = nullable(text(50, description="Slug of the only tenant it is for; null: everybody's."))
LEVEL = record(
    {
        "start": DAY,
        "end": DAY,
        "spent": MONEY,
        "held": {**MONEY, "description": "Nano-dollars of calls under way."},
        "state": choice("ok", "warning", "exhausted"),
    }
)


def _word(kind: Kind) -> str:
    return f"Gateway{kind.name.title()}"


def _about(kind: Kind) -> dict[str, Schema]:
    if kind is MODELS:
        return {"tenant": TENANT}
    return {"platform": boolean()} if kind is POLICIES else {}


def _given(kind: Kind) -> dict[str, Schema]:
    """What a new row may say beside its columns."""
    if kind is MODELS:
        return {"tenant": TENANT}
    return {"platform": PLATFORM} if kind is POLICIES else {}


def _row(kind: Kind) -> str:
    columns = {name: {k: v for k, v in schema.items() if k != "pattern"}
               for name, schema in kind.columns.items()}  # fmt: skip
    level = {"level": LEVEL} if kind is BUDGETS else {}
    told = {"id": integer(1), **columns, **_about(kind), **level}
    return define(_word(kind), record({**told, "created_at": moment(), "revision": integer(1)}))


ROWS = {kind.name: _row(kind) for kind in KINDS}
PAGES = {kind.name: page_of(ROWS[kind.name]) for kind in KINDS}
NEW = {
    kind.name: define(
        f"{_word(kind)}New",
        record(
            {name: kind.columns[name] for name in kind.required},
            {k: v for k, v in kind.columns.items() if k not in kind.required} | _given(kind),
        ),
    )
    for kind in KINDS
}
CHANGE = {
    kind.name: define(f"{_word(kind)}Change", record({}, dict(kind.columns))) for kind in KINDS
}

AMOUNTS_SHAPE: dict[str, Schema] = {
    name: {"type": "integer"} if name.startswith("tokens") else MONEY for name in AMOUNTS
}
ENTRY = define(
    "GatewayLedgerEntry",
    record(
        {
            "id": integer(1),
            "at": moment(),
            **dict.fromkeys(("request_id", "swarm", "agent", "definition"), NAME),
            **dict.fromkeys(("model", "provider", "policy"), NAME),
            "task_class": choice(*TaskClass.values),
            "hit_level": choice(*LedgerEntry.Hit.values),
            "simulated": boolean(),
            **AMOUNTS_SHAPE,
        }
    ),
)
ENTRIES = page_of(ENTRY)
COST = record({"name": NAME, **{name: {"type": "integer"} for name in (*SUMS, "saved")}})
COSTS = define(
    "GatewayCosts",
    record(
        {
            "by": choice(*GROUPS),
            "since": nullable(DAY),
            "until": nullable(DAY),
            "unit": text(20),
            "baseline": text(200, description="What savings are told against."),
            "total": COST,
            "groups": array(COST),
        }
    ),
)
ROUTE = define(
    "GatewayRoute",
    record(
        {
            "id": integer(1),
            "at": moment(),
            "request_id": NAME,
            "policy": NAME,
            "task_class": choice(*TaskClass.values),
            "model": NAME,
            "provider": NAME,
            "explored": boolean(),
            "cheap_suffices": nullable(number(0, 1)),
            "expected_cost": MONEY,
            "detail": anything(),
        }
    ),
)
ROUTES = page_of(ROUTE)
ROLLUP = define(
    "GatewayRollup",
    record(
        {
            "id": integer(1),
            "period": choice(*Period.values),
            "start": DAY,
            **dict.fromkeys(("swarm", "agent", "definition", "model", "provider"), NAME),
            "calls": integer(),
            "hits": integer(),
            **AMOUNTS_SHAPE,
        }
    ),
)
ROLLUPS = page_of(ROLLUP)


def render(row: Any) -> dict[str, Any]:
    """A provider, model or policy as JSON."""
    kind = kind_of(row)
    about: dict[str, Any] = {}
    if kind is MODELS:
        about = {"tenant": row.tenant.slug if row.tenant else None}
    elif kind is POLICIES:
        about = {"platform": row.tenant_id is None}
    told = {"id": row.pk, **columns_of(row), **about}
    return told | {"created_at": row.created_at, "revision": row.revision}


def render_level(level: Level) -> dict[str, Any]:
    """A budget with how it stands, as JSON."""
    return render(level.budget) | {
        "level": {
            "start": level.start,
            "end": level.end,
            "spent": level.spent,
            "held": level.held,
            "state": level.state,
        }
    }


def _columns(row: Any, shape: dict[str, Schema]) -> dict[str, Any]:
    return {"id": row.pk} | {name: getattr(row, name) for name in shape if name != "id"}


def render_entry(row: LedgerEntry) -> dict[str, Any]:
    """An entry of the ledger as JSON."""
    names = ("at", "request_id", "swarm", "agent", "definition", "model", "provider", "policy")
    about = dict.fromkeys((*names, "task_class", "hit_level", "simulated"), MONEY)
    return _columns(row, {**about, **AMOUNTS_SHAPE})


def render_route(row: RouteRecord) -> dict[str, Any]:
    """A decision as JSON."""
    return {
        "id": row.pk,
        "at": row.at,
        "request_id": row.request_id,
        "policy": row.policy,
        "task_class": row.task_class,
        "model": row.model,
        "provider": row.provider,
        "explored": row.explored,
        "cheap_suffices": row.cheap_suffices,
        "expected_cost": row.expected_cost,
        "detail": row.detail,
    }


def render_rollup(row: Any) -> dict[str, Any]:
    """A roll-up as JSON."""
    names = ("period", "start", "swarm", "agent", "definition", "model", "provider")
    return _columns(row, {**dict.fromkeys((*names, "calls", "hits"), MONEY), **AMOUNTS_SHAPE})
