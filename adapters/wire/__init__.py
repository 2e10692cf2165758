"""Framing: how bytes become frames and frames bytes. Knows nothing about language models."""
