"""What stands between a task and a language model: every call limited, cached, routed, accounted.

    task ── llm.complete ──┐                              ┌─▶ OpenAI-compatible servers
    client ── /v1/ ────────┼─▶ pipe ── cache ── router ───┤   (httpx; breaker, slots, retries)
    Python ── complete() ──┘     └── limits, budgets, ledger └─▶ extractive: local, simulated

What it promises
----------------
1. *No wrong answer for free.* A stored answer is given again only within its scope (tenant,
   visibility, system prompt, tools, format …), which must match exactly, and to other words only
   above a probability whose rate of wrong hits was measured (`similarity`, `strictness`).
2. *No leak.* The tenant is part of every key, every row and every limit.
3. *Money is exact.* Each answered call is in the ledger once, in whole nano-dollars, by the tokens
   that the provider told; errors are in no ledger and no cache; no number of concurrent calls
   overruns a hard budget.
4. *Limits hold for attempts, not for wishes.* They are asked before each one, retries included.
5. *What is lost is little.* Redis may be flushed, stopped or away: that costs hits, and breakers
   and limits become each process's own. Without the database no call is made.

Who is who
----------
`request` has the values that go in and come out. `pipe` leads a call through its steps; what it
uses are `cache` (with `similarity`, `embedder`), `router` and `routing` (what a model is chosen
by), `compress`, `tokens` and `prompts`, `providers` and `breaker`, `ledger`, `budgets`, `savings`.
`catalogue` is what rows say, a second behind them. `openai_api` is the pipe for foreign clients;
`api`, `admin` and the commands are for people. `compress`, `router`, `routing`, `prompts`,
`similarity`, `tokens` and `breaker.machine` are pure.
"""
