"""Clearance: what may leave the region. A dated policy is compiled once; events pass in two C calls.

Reading order: actions (the lattice) → policy (rules as data) → load (the file) → decide (leaf by leaf) →
projection (the export type) → compiled (the hot path). Pure: no clock, no I/O; the day is an argument.
"""

from __future__ import annotations

from runtime.clearance.compiled import (
    Clearance,
    Cleared,
    Disposition,
    ExplainRow,
    Withheld,
    compile_policy,
)
from runtime.clearance.load import load_policy
from runtime.clearance.policy import Policy, Rule

__all__ = [
    "Clearance",
    "Cleared",
    "Disposition",
    "ExplainRow",
    "Policy",
    "Rule",
    "Withheld",
    "compile_policy",
    "load_policy",
]
