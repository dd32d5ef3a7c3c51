"""Connectors: bytes out of a department's system, without a word of business logic."""
