"""What stands between a task and a language model: cache, router, compression, ledger."""
