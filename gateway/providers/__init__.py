"""Who answers a call: one protocol, in threads and in asyncio, streamed or not.

    provider = provider_of(row)
    reply = provider.complete(call)          for piece in provider.stream(call): …
    reply = await provider.acomplete(call)   async for piece in provider.astream(call): …

A provider makes one attempt. What it raises is a :class:`~gateway.errors.ProviderFailed`; then
nothing was answered, or, in a stream, no more than the pieces before. It counts no money, knows no
cache and tries nothing again: the pipe does, because limits and the breaker are asked before each
attempt (`attempts` says when there is another).
"""
