"""A first mapping from real messages: every line a guess that says so, for a person to check.

Reading order: words (what platforms call things) → sample (what stands in the messages) → place (which goes where) → text.
"""

from __future__ import annotations

from runtime.mapping.scaffold.place import Draft, draft
from runtime.mapping.scaffold.sample import look
from runtime.mapping.scaffold.text import write

__all__ = ["Draft", "draft", "look", "write"]
