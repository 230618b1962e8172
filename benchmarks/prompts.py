"""Prompts for ``bench compress``: what agents send, and, for contrast, what a person asks.

Written for this project; the facts in them are invented. Three of each kind: retrieved passages
that overlap, results of tools, chats with a history, and short questions.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from gateway.compress import Turn


@dataclass(frozen=True, slots=True)
class Prompt:
    """One prompt and the kind it stands for."""

    kind: str
    turns: tuple[Turn, ...]


WIDTH = 3
STRIDE = 1
"""Passages of three sentences that begin one sentence apart: what splitters with overlap make."""

_HANDBOOKS = {
    "Which filter belongs in the north pump, and when is it changed?": (
        "The north pump was installed in 2019 and delivers 340 litres per minute.",
        "It uses filter type F-22, which is not interchangeable with F-20.",
        "The filter is changed every 6 weeks, or earlier if the pressure exceeds 4.5 bar.",
        "Spare filters are kept in store room B, on the second shelf.",
        "Operators wear gloves and close the inlet valve before they open the housing.",
        "Never open the housing while the pump is running.",
        "After the change, the counter on the panel is set back to 0.",
        "The change is entered in the log with the date and the name of the operator.",
        "Old filters are collected in the grey bin and picked up on Fridays.",
    ),
    "How are late invoices handled?": (
        "An invoice is due 30 days after it was sent.",
        "A first reminder goes out after 7 further days, without a fee.",
        "The second reminder adds a fee of 15 EUR and is signed by Marta Okafor.",
        "Customers with a framework agreement are not reminded automatically.",
        "Interest of 5 % per year is charged from the 45th day.",
        "Payment plans need the approval of the finance desk.",
        "Cases above 10,000 EUR go to the law firm Brandt & Sons.",
        "A dispute stops the clock until it is settled.",
        "All letters are archived under `invoices/reminders` for 10 years.",
    ),
    "Does the library support streaming uploads?": (
        "The client opens one connection per host and keeps it for 60 seconds.",
        "Uploads are streamed in parts of 8 MB; the size is set by `part_size`.",
        "A part that fails is sent again up to 3 times with growing pauses.",
        "`upload_file()` returns the address of the object, such as https://files.example/a1.",
        "Checksums are computed with SHA-256 unless `checksum=None` is given.",
        "The total size need not be known in advance.",
        'Objects larger than 5 TB are refused with the error "too large".',
        "Cancelled uploads are removed from the server after 24 hours.",
        "Metrics are written under the prefix `store.upload`.",
    ),
}


def prompts() -> tuple[Prompt, ...]:
    """All prompts, in a fixed order."""
    return (*_retrieval(), *_tools(), *_chats(), *_short())


def _retrieval() -> Iterator[Prompt]:
    for question, sentences in _HANDBOOKS.items():
        passages = [
            " ".join(sentences[start : start + WIDTH])
            for start in range(0, len(sentences) - WIDTH + 1, STRIDE)
        ]
        context = "\n\n".join(
            f"Passage {number}:\n{passage}" for number, passage in enumerate(passages, start=1)
        )
        yield Prompt(
            "retrieval",
            (
                Turn("system", "Answer from the passages only. Say so if they do not tell."),
                Turn("user", f"{context}\n\nQuestion: {question}"),
            ),
        )


def _tools() -> Iterator[Prompt]:
    services = [
        {
            "service": f"worker-{number:02d}",
            "zone": ("north-1", "south-2")[number % 2],
            "healthy": number % 7 != 0,
            "requests_per_s": 40.5 + number,
            "error_rate": 0.01 * (number % 4),
        }
        for number in range(18)
    ]
    orders = {
        "customer": {"id": 4711, "name": "Ilse Marten", "since": "2021-04-03"},
        "orders": [
            {
                "order": f"A-{1000 + number}",
                "placed": f"2026-0{1 + number % 9}-14",
                "total": f"{19.90 + number:.2f} EUR",
                "state": ("shipped", "returned", "open")[number % 3],
                "lines": [{"sku": f"S{number}{line}", "quantity": line} for line in (1, 2)],
            }
            for number in range(9)
        ],
    }
    log = [
        {"at": f"10:0{number % 6}:2{number % 10}", "level": "WARN", "code": 500 + number % 4}
        for number in range(24)
    ]
    yield _tool("Which service has the highest error rate?", services)
    yield _tool("Which orders were returned?", orders)
    yield _tool("Which code is the most frequent?", log)


def _tool(question: str, result: Sequence[object] | Mapping[str, object]) -> Prompt:
    text = f"The tool answered:\n\n{json.dumps(result, indent=2)}\n\n{question}"
    return Prompt("tool result", (Turn("system", "You read results of tools."), Turn("user", text)))


_CHATS = (
    (
        "My parcel 80012345 has not arrived.",
        (
            "Thank you for reaching out! I understand your concern. Let me look into that for "
            "you. Your parcel 80012345 left our warehouse in Gent on 3 May. Please note that "
            "the carrier needs up to 5 working days. I hope this helps! Please let me know if "
            "you have any other questions."
        ),
        "Hello, thanks. It is now day 7 and nothing came.",
        (
            "I completely understand. I'd be happy to help you with that. Your parcel "
            "80012345 left our warehouse in Gent on 3 May. It is worth noting that the "
            "carrier reported a wrong address on 9 May. Please note that the carrier needs up "
            "to 5 working days. In order to send it again, we need the house number. Is there "
            "anything else I can help you with?"
        ),
        "Thank you so much! The house number is 14, not 41. When will it come?",
    ),
    (
        "Hi there! Can you review the plan for the migration?",
        (
            "Certainly! I'd be happy to help. In order to review it, I need the list of "
            "tables. As a reminder, we never drop a column in the same release. I hope this "
            "helps!"
        ),
        (
            "Sure! The tables are `orders`, `order_lines` and `customers`. As a reminder, we "
            "never drop a column in the same release. We have 40 GB and a window of 2 hours."
        ),
        (
            "Great! Thank you. As mentioned earlier, we never drop a column in the same "
            "release. First, add the new columns without a default. In order to fill them, "
            "run batches of 5,000 rows. It should be noted that an index on a table of 40 GB "
            "takes about 25 minutes. At this point in time, nothing else blocks the plan. Let "
            "me know if you need anything else!"
        ),
        "Perfect. What happens if the batch job stops half-way?",
    ),
    (
        "Good morning! I would like a menu for 12 guests on Saturday.",
        (
            "Good morning! Thank you for your question. I'd be happy to help you with that. "
            "For 12 guests we suggest three courses. Please note that the kitchen closes at "
            "22:00. Feel free to reach out if you have any questions!"
        ),
        "Thanks a lot! Two guests do not eat fish, one is allergic to nuts.",
        (
            "Got it! Thank you. That makes sense. For 12 guests we suggest three courses. Two "
            "guests do not eat fish and one is allergic to nuts, so the starter is a pumpkin "
            "soup without hazelnut oil. Please note that the kitchen closes at 22:00. The "
            "total is 38 EUR per person. Please let me know if you have any other questions!"
        ),
        "Sounds good. Can we get a room with a terrace?",
    ),
)


def _chats() -> Iterator[Prompt]:
    for lines in _CHATS:
        roles = ("user", "assistant", "user", "assistant", "user")
        turns = tuple(Turn(role, line) for role, line in zip(roles, lines, strict=True))
        yield Prompt("chat", (Turn("system", "You are a helpful assistant."), *turns))


def _short() -> Iterator[Prompt]:
    for question in (
        "What is the boiling point of ethanol at 1 bar?",
        "Write a haiku about a lighthouse.",
        "Translate “good evening” into Portuguese.",
    ):
        yield Prompt("short question", (Turn("user", question),))
