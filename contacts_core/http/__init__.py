"""Requests out, answers in: wire format, retries, rate limits, and the two transports. Nothing else opens a socket."""
