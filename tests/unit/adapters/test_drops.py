"""Which files are complete, and how they are claimed and archived."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from adapters.sdk.drops import (
    DONE,
    FAILED,
    PROCESSING,
    RESULT,
    DropFolder,
    Sighting,
    StableWatch,
    is_unfinished,
    printable,
)


def seen(size: int = 1, inode: int = 1, mtime_ns: int = 1) -> Sighting:
    return Sighting(inode=inode, size=size, mtime_ns=mtime_ns)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[DropFolder]:
    folder = DropFolder(str(tmp_path))
    yield folder
    folder.close()


# ---------------------------------------------------------------- when a file is complete


def test_a_file_is_taken_only_after_it_was_quiet_long_enough() -> None:
    watch = StableWatch(2.0)
    assert watch.observe({"a": seen()}, 0.0) == []
    assert watch.observe({"a": seen()}, 1.9) == []
    assert watch.observe({"a": seen()}, 2.0) == ["a"]


@pytest.mark.parametrize("changed", [seen(size=2), seen(mtime_ns=2), seen(inode=2)], ids=["size", "time", "replaced"])
def test_any_change_starts_the_wait_anew(changed: Sighting) -> None:
    watch = StableWatch(2.0)
    watch.observe({"a": seen()}, 0.0)
    assert watch.observe({"a": changed}, 2.0) == []
    assert watch.observe({"a": changed}, 3.9) == []
    assert watch.observe({"a": changed}, 4.0) == ["a"]


def test_a_file_renamed_in_is_taken_at_once() -> None:
    watch = StableWatch(100.0)
    assert watch.observe({".a.csv.tmp": seen(size=5)}, 0.0) == []
    assert watch.observe({"a.csv": seen(size=9)}, 1.0) == ["a.csv"]


def test_another_file_with_the_same_inode_number_is_not_taken_for_a_rename() -> None:
    watch = StableWatch(100.0)
    watch.observe({"a.part": seen(size=5)}, 0.0)
    assert watch.observe({"b.csv": seen(size=4)}, 1.0) == []


def test_a_hard_link_to_an_unfinished_file_is_no_rename() -> None:
    watch = StableWatch(100.0)
    watch.observe({"a.part": seen()}, 0.0)
    assert watch.observe({"a.part": seen(), "a.csv": seen()}, 1.0) == []


def test_unfinished_names_are_never_taken() -> None:
    watch = StableWatch(0.05)
    listing = {name: seen(inode=n) for n, name in enumerate([".a.csv", "a.part", "a.TMP", "a.filepart", "a.csv~"])}
    for waited in range(5):
        assert watch.observe(listing, float(waited)) == []
    assert all(map(is_unfinished, listing))


def test_older_files_are_taken_first() -> None:
    watch = StableWatch(1.0)
    listing = {"b": seen(inode=1, mtime_ns=1), "a": seen(inode=2, mtime_ns=2), "c": seen(inode=3, mtime_ns=1)}
    watch.observe(listing, 0.0)
    assert watch.observe(listing, 1.0) == ["b", "c", "a"]


# ---------------------------------------------------------------- the folder


def test_only_matching_files_are_seen_and_folders_never(folder: DropFolder, tmp_path: Path) -> None:
    for name in ("a.csv", "b.txt", "c.csv.part"):
        (tmp_path / name).write_text("x")
    (tmp_path / "d.csv").mkdir()
    assert set(folder.scan("*.csv")) == {"a.csv", "c.csv.part"}


def test_a_claimed_file_has_left_the_folder(folder: DropFolder, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x")
    assert folder.claim("a.csv") == "a.csv"
    assert not (tmp_path / "a.csv").exists()
    assert folder.claimed() == ["a.csv"]


def test_a_second_file_of_the_same_name_does_not_replace_the_first(folder: DropFolder, tmp_path: Path) -> None:
    for text in ("one", "two", "three"):
        (tmp_path / "a.csv").write_text(text)
        claimed = folder.claim("a.csv")
        assert claimed is not None
    assert {(tmp_path / PROCESSING / name).read_text() for name in ("a.csv", "a~2.csv", "a~3.csv")} == {
        "one",
        "two",
        "three",
    }


def test_claiming_what_its_owner_took_away_is_no_error(folder: DropFolder) -> None:
    assert folder.claim("gone.csv") is None


def test_the_archive_never_overwrites_and_every_file_has_its_result(folder: DropFolder, tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / "a.csv").write_text(str(number))
        claimed = folder.claim("a.csv")
        assert claimed is not None
        folder.finish(claimed, DONE, {"sha256": f"digest {number}", "facts": number})
    for number, name in enumerate(["a.csv", "a~2.csv", "a~3.csv"]):
        assert (tmp_path / DONE / name).read_text() == str(number)
        assert json.loads((tmp_path / DONE / (name + RESULT)).read_text())["facts"] == number


def test_a_result_left_by_a_crash_is_kept_for_its_own_file_only(folder: DropFolder, tmp_path: Path) -> None:
    (tmp_path / DONE / ("a.csv" + RESULT)).write_text('{"sha256": "mine", "facts": 7}')
    (tmp_path / PROCESSING / "a.csv").write_text("other")
    assert folder.finish("a.csv", DONE, {"sha256": "other", "facts": 1}) == "a~2.csv"
    (tmp_path / PROCESSING / "a.csv").write_text("mine")
    assert folder.finish("a.csv", DONE, {"sha256": "mine", "facts": 0}) == "a.csv"
    assert json.loads((tmp_path / DONE / ("a.csv" + RESULT)).read_text())["facts"] == 7


def test_a_file_without_a_digest_never_takes_over_a_result(folder: DropFolder, tmp_path: Path) -> None:
    (tmp_path / FAILED / ("a.csv" + RESULT)).write_text('{"sha256": null}')
    (tmp_path / PROCESSING / "a.csv").write_text("x")
    assert folder.finish("a.csv", FAILED, {"sha256": None, "error": "unreadable"}) == "a~2.csv"


def test_a_symbolic_link_is_never_opened(folder: DropFolder, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret")
    (tmp_path / "a.csv").symlink_to(secret)
    assert folder.claim("a.csv") == "a.csv"
    with pytest.raises(OSError) as caught:
        folder.open("a.csv")
    assert caught.value.errno == errno.ELOOP


def test_a_pipe_does_not_make_the_reader_wait(folder: DropFolder, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / PROCESSING / "a.csv")
    os.close(folder.open("a.csv"))


@pytest.mark.parametrize("name", [PROCESSING, DONE, FAILED])
def test_a_subfolder_that_is_a_link_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "drop").mkdir()
    (tmp_path / "drop" / name).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError):
        DropFolder(str(tmp_path / "drop"))


def test_a_folder_swapped_for_another_does_not_redirect_us(folder: DropFolder, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x")
    os.rename(tmp_path / DONE, tmp_path / "moved")
    (tmp_path / DONE).symlink_to("/nonexistent")
    claimed = folder.claim("a.csv")
    assert claimed is not None
    folder.finish(claimed, DONE, {"sha256": "d"})
    assert (tmp_path / "moved" / "a.csv").read_text() == "x"


@pytest.mark.parametrize("name", ["x" * 251 + ".csv", "ä" * 125 + ".csv", "y" * 255, "." + "z" * 254])
def test_the_longest_names_still_get_a_result(folder: DropFolder, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("x")
    claimed = folder.claim(name)
    assert claimed is not None
    archived = folder.finish(claimed, DONE, {"sha256": "d"})
    assert (tmp_path / DONE / archived).read_text() == "x"
    assert (tmp_path / DONE / (archived + RESULT)).exists()


def test_a_name_that_is_not_unicode_can_be_printed_and_taken(folder: DropFolder, tmp_path: Path) -> None:
    raw = os.fsencode(tmp_path) + b"/caf\xe9.csv"
    with open(raw, "wb") as file:
        file.write(b"x")
    (name,) = folder.scan("*.csv")
    assert printable(name) == "caf\\xe9.csv"
    assert folder.claim(name) == name
    folder.finish(name, DONE, {"file": printable(name), "sha256": "d"})
    assert os.path.exists(os.fsencode(tmp_path / DONE) + b"/caf\xe9.csv")
