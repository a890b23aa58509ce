"""Residency classes: what kind of fact a leaf is, written on the leaf itself.

`Annotated[str, Class("personal.contact", subject="customer")]`. A leaf without a class is
`unclassified` and never leaves a region; a test keeps the vocabulary free of such leaves.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Struct

CLASSES: tuple[str, ...] = (
    "public",
    "business",
    "business.confidential",
    "personal.direct",
    "personal.contact",
    "personal.address",
    "personal.quasi",
    "personal.sensitive",
    "employee",
    "payment",
    "location.fine",
    "free_text",
    "attachment",
    "important_data",
    "secret",
)
UNCLASSIFIED = "unclassified"
NAMED_PATH_ONLY = frozenset({"free_text", "attachment", "secret", UNCLASSIFIED})
"""Classes that a rule releases only by naming the path in full: their content cannot be foreseen."""


class Class(Struct, frozen=True):
    """Marks a leaf. `subject` says whose datum it is, for classes about persons."""

    name: str
    subject: str | None = None


class Subject(Struct, frozen=True):
    """Marks a field that holds a struct: whose data the struct's personal leaves are, here."""

    name: str


Public = Annotated[str, Class("public")]
Business = Annotated[str, Class("business")]
Confidential = Annotated[str, Class("business.confidential")]
FreeText = Annotated[str, Class("free_text")]
Attachment = Annotated[str, Class("attachment")]
EmployeeText = Annotated[str, Class("employee", subject="employee")]
Payment = Annotated[str, Class("payment", subject="party")]
Secret = Annotated[str, Class("secret")]
