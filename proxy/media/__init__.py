"""The guarded fetcher for client-supplied URLs (reliability.md, T5)."""

from proxy.media.fetch import Fetched, Fetcher, FetchLimits
from proxy.media.inline import inline_media
from proxy.media.refusal import FetchRefused
from proxy.media.resolve import Resolver

__all__ = ["FetchLimits", "FetchRefused", "Fetched", "Fetcher", "Resolver", "inline_media"]
