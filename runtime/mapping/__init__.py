"""Mappings are data: a TOML text, compiled once to straight Python, says how a platform's messages become canonical.

`load` gives a `CompiledMapping` (a `runtime.ports.Translator`); `try_mapping` shows what it does with one message.
`load_pack` compiles several for one platform, told apart by the type of the message (manifest → pack).
Reading order: document (the rules) → generate (the function) → fields, leaves, loops, expression → compiled.
"""

from __future__ import annotations

from runtime.mapping.compiled import CompiledMapping, load
from runtime.mapping.pack import CompiledPack, load_pack
from runtime.mapping.pack_trial import try_pack
from runtime.mapping.trial import Trial, try_mapping

__all__ = ["CompiledMapping", "CompiledPack", "Trial", "load", "load_pack", "try_mapping", "try_pack"]
