"""Every module is named after its concept, and no folder of ours hides a library."""

from __future__ import annotations

import re

from tests.tidy import tree

NAMES_NOTHING = re.compile(r"_*(utils?|helpers?|common|misc|base|managers?|stuff|tools?)_*")
LIMIT_FIRST = re.compile(r"(max|min)_[a-z]", re.IGNORECASE)


def test_no_module_or_folder_has_a_name_that_names_nothing() -> None:
    vague = [
        str(f) for f in tree.python_files() if any(NAMES_NOTHING.fullmatch(part) for part in f.with_suffix("").parts)
    ]
    assert not vague, "\n".join(vague)


def test_the_packaging_folder_is_no_package_because_it_would_hide_the_real_library() -> None:
    assert not (tree.ROOT / "packaging" / "__init__.py").exists()


def test_our_top_level_folders_with_code_are_the_known_ones() -> None:
    folders = {f.parts[0] for f in tree.python_files() if len(f.parts) > 1}
    assert folders <= {*tree.PRODUCT, "tests", "bench", "packaging", "examples", "docs"}


def test_a_limit_of_a_settings_struct_stands_last_in_its_name() -> None:
    """`body_bytes_max`, never `max_body_bytes`."""
    wrong = [
        tree.at(file, field, field.target.id)
        for file in tree.product_files()
        for node in tree.ast.walk(tree.parsed(file))
        if isinstance(node, tree.ast.ClassDef)
        for field in node.body
        if isinstance(field, tree.ast.AnnAssign)
        and isinstance(field.target, tree.ast.Name)
        and LIMIT_FIRST.match(field.target.id)
    ]
    assert not wrong, "\n".join(wrong)
