"""Dragoman's server: everything that waits or remembers."""
