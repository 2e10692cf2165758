"""The one answer for everything that is not fetched."""

WORDING = "the media at this address could not be fetched"


class FetchRefused(Exception):  # noqa: N818 - it is a result that ends a fetch, not a programming error
    """Says the same whatever happened, so that it tells nothing about our network; ``reason`` is for the log only."""

    def __init__(self, reason: str) -> None:
        super().__init__(WORDING)
        self.reason = reason
