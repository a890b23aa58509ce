"""The mapping engine in reverse: a TOML text, compiled once, says what a canonical event looks like to a foreign system.

Reading order: tree (what paths start from) → rules (the text) → compose (values) → shapes (JSON, CSV, XML, forms);
`Template` is for single texts with `{…}` in them: addresses, headers, names of files.
"""

from __future__ import annotations

from runtime.rendering.document import Rendering, load
from runtime.rendering.template import Template, compile_template
from runtime.rendering.tree import event_tree

__all__ = ["Rendering", "Template", "compile_template", "event_tree", "load"]
