"""Rate limits that are exact across replicas: one script call decides over all buckets or none.

    acquire([per user, per tenant, everybody], cost)
        │ one round trip                          ┌────────────── Redis, its clock ─────────────┐
        ├─────────────── acquire.lua ────────────▶│ level of each bucket: "<TAT µs>:<parts>:<r>" │
        │◀── allowed?, levels before the charge ──│ all fit → charge all;  one does not → none  │
        │                                         └──────────────────────────────────────────────┘
        ├─ no answer within the budget: each policy decides here (deny, allow, local share),
        │  and what passed is owed; a thread charges it when Redis is back
        ▼
    Decision(allowed, remaining, retry_after, reset_after, violated, degraded, …)

What it promises
----------------
1. In any T seconds at most `burst + rate · T` units of a bucket are admitted, however many
   processes ask. The rate is a fraction; levels are whole microseconds and a remainder in parts
   of 1/units µs, so nothing is rounded and nothing accumulates (`level`, held against the
   rational arithmetic of `reference`). Only Redis's clock counts; it may stand still or go back
   without admitting more.
2. All buckets of a decision are charged or none. A cost above the burst is refused at once and
   for ever; cost 0 is a look; a denial writes nothing. A key lives as long as its level says
   something.
3. A change of limit, period or burst keeps what was taken: the rate travels with the level and
   is exchanged at the next call.
4. `wait` gives the next free time slot and sleeps until then, first come first served; who is
   interrupted gives it back. A unit is charged when its slot is given, so with slots up to w
   seconds ahead the bound is `burst + rate · (T + w)` for the other buckets of that decision.
   Without Redis it asks again while there is time, in no order.
5. `reserve` charges an estimate; `settle` corrects it once; a lost one keeps it. What is given back
   is what still lies ahead of the charge: time that has refilled a unit gives it once, so promise 1
   holds for what was used. Only `refund`, which knows of no charge, trusts its caller to be prompt;
   so do, across shards, the buckets of a reservation that live apart from its record. `slot` holds
   a place as long as its holder beats; a crashed one becomes free when its life has passed.
6. Leases (`lease`) decide without a round trip: `burst + rate · T + workers · K`.
7. No error of Redis reaches a caller. A caller waits for the budget (2 ms) for each round trip, and
   50 ms for a connection where there is none; after three late replies in a row, or one connection
   that failed, the breaker is open and nobody waits. From then on all processes together admit at
   most `burst + rate · T` by local shares (limit ÷ expected workers). Redis is asked again after 10
   ms, then ever more rarely, to once a second. A charge that was not heard of is told again; a
   refund that may have been heard is not. A server that forgot everything costs one more burst.

In a Redis Cluster all keys share one hash tag, so promise 2 holds and the cluster gives failover,
not scale; `Keys(shard_by="tenant")` gives up that atomicity between a tenant's buckets and those
that all share: two steps and a compensating refund, never too much.

Who is who
----------
`quota`, `buckets`, `decision`, `level`, `keys`, `reference` are pure. `scripts` and the `.lua`
files are the engine; `calls` says what each is asked, `plans` what is made of the answers, without
asking anybody: `limiter` (threads, `wire`) and `asynchronous` (asyncio, `async_wire`) drive the
same plans. `line` is one server's connections, `cluster` those of many. `breaker` and `degraded`
stand in for Redis, `debts` tells it afterwards, `lease` stands in front of it, `pool` has the
limiter of this process. Policies are rows (`models`), read through `policies`; `throttle`,
`login` and the dispatcher ask; `counting` keeps what was decided for the pages and Prometheus.
"""
