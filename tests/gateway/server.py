"""A model's server on a real socket, OpenAI-compatible, that misbehaves as told and keeps count.

    with ModelServer() as server:
        server.plan(limited(0.2), failing(500), cut())     # the next three requests, then well
        …
        assert server.money == what the ledger says

It counts every request, how many are under way at once, and the money of the answers that it
completed, at `PRICES`, with the tokens that it really read and said.
"""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import bpe_openai

from gateway.pricing import Prices

PRICES = Prices(150_000_000, 600_000_000, 75_000_000)
"""0.15 and 0.60 $ for a million tokens, 0.075 $ for those that were cached."""
VOCABULARY = "o200k_base"
KEY = "key-of-the-test-server"


@dataclass(frozen=True)
class Turn:
    """What becomes of one request."""

    status: int = 200
    headers: dict = field(default_factory=dict)
    delay_s: float = 0.0
    """Before the first byte."""
    drip_s: float = 0.0
    """Between the pieces of a stream."""
    cut_after: int | None = None
    """Pieces (or, of a whole answer, characters) after which the connection ends."""
    usage: object = "right"
    """What to say instead of the right usage; None: nothing."""
    cached: int = 0
    preamble: int = 0
    """Tokens of a prompt of its own, which it counts and nobody else knows of."""
    finish: str | None = "stop"
    message: dict = field(default_factory=dict)
    body: bytes | None = None
    """Sent as it is, with status 200."""
    silent: bool = False
    """End a stream without its end mark."""
    stall_s: float = 0.0
    """After the first piece, or the first bytes of a whole answer."""


WELL = Turn()


def limited(retry_after=None, **fields):
    headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
    return Turn(status=429, headers=headers, **fields)


def failing(status=500):
    return Turn(status=status)


def slow(seconds):
    return Turn(delay_s=seconds)


def cut(after=3):
    return Turn(cut_after=after)


def wrong_usage(usage):
    return Turn(usage=usage)


def said_to(question):
    """The text of every answer."""
    return f"You asked: {question}. The answer is forty-two, as always."


class ModelServer(ThreadingHTTPServer):
    """The server; its counts may be read at any time."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.lock = threading.Lock()
        self.turns = deque()
        self.otherwise = WELL
        self.needs_key = False
        self.asked = threading.Event()
        self.forget()

    def forget(self):
        """Count anew; what is still under way from before counts no more."""
        with self.lock:
            self._forget()

    def _forget(self):
        self.generation = object()
        self.asked.clear()
        self.calls = self.answered = self.money = self.tokens = self.broken = 0
        self.under_way = self.most_under_way = 0
        self.at = []
        self.bodies = []

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/v1"

    def plan(self, *turns, then=WELL):
        with self.lock:
            self.turns, self.otherwise = deque(turns), then

    def __enter__(self):
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *error):
        self.shutdown()
        self.server_close()

    def handle_error(self, request, client_address):
        """A client that went away is part of the tests."""

    def next_turn(self, body):
        with self.lock:
            self.calls += 1
            self.asked.set()
            self.under_way += 1
            self.most_under_way = max(self.most_under_way, self.under_way)
            self.at.append(time.monotonic())
            self.bodies.append(body)
            turn = self.turns.popleft() if self.turns else self.otherwise
            return turn, self.generation

    def ended(self, generation, *, broken):
        with self.lock:
            if generation is self.generation:
                self.under_way -= 1
                self.broken += broken

    def bill(self, generation, prompt, said, cached=0):
        with self.lock:
            if generation is not self.generation:
                return
            self.answered += 1
            self.tokens += prompt + said
            self.money += PRICES.cost(prompt, said, cached)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: ModelServer

    def log_message(self, *_):
        """Say nothing."""

    def do_POST(self):
        raw = self.rfile.read(int(self.headers["Content-Length"]))
        body = json.loads(raw)
        turn, self.generation = self.server.next_turn(body)
        broken = False
        try:
            self._answer(body, turn)
        except (BrokenPipeError, ConnectionResetError):
            broken = self.close_connection = True
        finally:
            self.server.ended(self.generation, broken=broken)

    def _answer(self, body, turn):
        time.sleep(turn.delay_s)
        if self.server.needs_key and self.headers.get("Authorization") != f"Bearer {KEY}":
            self._send(401, {"error": {"message": "wrong key", "type": "invalid_request_error"}})
        elif turn.body is not None:
            self._send_raw(200, turn.body)
        elif turn.status != 200:
            told = {"error": {"message": f"told to say {turn.status}", "code": "told"}}
            self._send(turn.status, told, turn.headers)
        elif body.get("stream"):
            self._stream(body, turn)
        else:
            self._complete(body, turn)

    def _complete(self, body, turn):
        text, prompt, said = _measured(body, turn)
        message = {"role": "assistant", "content": text} | turn.message
        if "refusal" in turn.message:
            message["content"] = None
        document = {
            "id": "1",
            "object": "chat.completion",
            "model": body["model"],
            "choices": [{"index": 0, "message": message, "finish_reason": turn.finish}],
        }
        usage = _usage(turn, prompt, said)
        if usage is not None:
            document["usage"] = usage
        raw = json.dumps(document).encode()
        if turn.cut_after is not None:
            self._head(200, len(raw))
            self.wfile.write(raw[: turn.cut_after])
            self.close_connection = True
            return
        self.server.bill(self.generation, prompt, said, turn.cached)
        self._head(200, len(raw))
        self.wfile.write(raw[:10])
        time.sleep(turn.stall_s)
        self.wfile.write(raw[10:])

    def _stream(self, body, turn):
        text, prompt, said = _measured(body, turn)
        kind = "refusal" if turn.message.get("refusal") else "content"
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        words = text.split(" ")
        for number, word in enumerate(words):
            if turn.cut_after is not None and number >= turn.cut_after:
                self.close_connection = True
                return
            piece = word if number == 0 else f" {word}"
            self._event({"choices": [{"index": 0, "delta": {kind: piece}}]})
            time.sleep(turn.drip_s + (0 if number else turn.stall_s))
        if not turn.silent:
            self._event({"choices": [{"index": 0, "delta": {}, "finish_reason": turn.finish}]})
            usage = _usage(turn, prompt, said)
            if usage is not None:
                self._event({"choices": [], "usage": usage})
            self._chunk(b"data: [DONE]\n\n")
            self.server.bill(self.generation, prompt, said, turn.cached)
        self._chunk(b"")

    def _event(self, document):
        self._chunk(b"data: " + json.dumps(document).encode() + b"\n\n")

    def _chunk(self, data):
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()

    def _send(self, status, document, headers=None):
        self._send_raw(status, json.dumps(document).encode(), headers)

    def _send_raw(self, status, raw, headers=None):
        self._head(status, len(raw), headers)
        self.wfile.write(raw)

    def _head(self, status, length, headers=None):
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(length))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()


@cache
def _encoding():
    return bpe_openai.get_encoding(VOCABULARY)


def tokens_of(text):
    return len(_encoding().encode_ordinary(text))


def _measured(body, turn):
    """What is said, and the tokens by OpenAI's published rule, which is written down here anew: 3
    for a message, those of its role, name and text, and 3 with which the answer begins. Whatever
    comes beside the texts is counted as this server sees it, with blanks."""
    prompt, said = 3 + turn.preamble, ""
    for message in body["messages"]:
        content = message.get("content") or ""
        if isinstance(content, list):
            content = "\n".join(part.get("text", "") for part in content)
        said = content
        prompt += 3 + tokens_of(message["role"]) + tokens_of(content)
        prompt += 1 + tokens_of(message["name"]) if message.get("name") else 0
    for name in ("tools", "response_format"):
        prompt += tokens_of(json.dumps(body[name])) if body.get(name) else 0
    text = turn.message.get("refusal") or said_to(said)
    return text, prompt, tokens_of(text)


def _usage(turn, prompt, said):
    if turn.usage != "right":
        return turn.usage
    told = {"prompt_tokens": prompt, "completion_tokens": said, "total_tokens": prompt + said}
    if turn.cached:
        told["prompt_tokens_details"] = {"cached_tokens": turn.cached}
    return told
