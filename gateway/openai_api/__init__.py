"""The gateway as an OpenAI-compatible server: any client becomes a user by changing its base URL.

    client = OpenAI(base_url="http://127.0.0.1:8053/v1", api_key="ansf_…")

`/v1/chat/completions` (streamed or not), `/v1/embeddings` and `/v1/models` answer, and fail, as
that API says; the token is one of ours with the scope `gateway:call`. The pipe runs in the web
process, without a task; while a model is waited for no thread is kept, so this is an ASGI
application beside Django's, not a view: Django's middleware would hold a thread for each call.

Beyond that API a request may hold an object `ansf` (tier, task_class, policy, tags, epoch, …), and
an answer says in `x-ansf-…` headers where it came from and what it cost. `model: "auto"` leaves
the choice to the router.

`reading` makes a `Request` of a body, `writing` JSON of an `Answer`; both are free of HTTP.
"""
