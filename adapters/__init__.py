"""Pure translation between LLM API dialects: no sockets, files, clock, randomness or logging."""
