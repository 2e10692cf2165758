"""The common message model that every dialect is decoded into and encoded from."""
