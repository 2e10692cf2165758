"""The embedded upstream: models that answer in-process, without key or network, and always the same.

Tokens are counted by a fixed rule (``words.py``): a word or a sign of punctuation is one, a media part is 100.
"""

from proxy.demo.call import DemoCall, DemoFailure
from proxy.demo.models import MODELS, answer, stream
from proxy.demo.words import count_tokens

__all__ = ["MODELS", "DemoCall", "DemoFailure", "answer", "count_tokens", "stream"]
