"""A model's server that answers every chat completion alike: ``python -m benchmarks.model_server``.

It waits as long as told, like a model, and has no other work, so that what is measured is what
stands in front of it.
"""

from __future__ import annotations

import asyncio
import json
import sys

REPLY = json.dumps(
    {
        "id": "1",
        "object": "chat.completion",
        "model": "steady",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "Forty-two, as always. " * 10},
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 20, "completion_tokens": 60, "total_tokens": 80},
    }
).encode()
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"


async def _serve(
    delay_s: float, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """Answer one connection's requests until it ends."""
    try:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            length = head.partition(b"content-length:")[2].split(b"\r\n")[0].strip()
            await reader.readexactly(int(length or 0))
            await asyncio.sleep(delay_s)
            writer.write(HEAD % len(REPLY) + REPLY)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


async def main(port: int, delay_ms: float) -> None:
    """Serve on 127.0.0.1 until ended."""
    server = await asyncio.start_server(
        lambda reader, writer: _serve(delay_ms / 1000, reader, writer), "127.0.0.1", port
    )
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), float(sys.argv[2])))
