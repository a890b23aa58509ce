"""An adapter as `entrepot adapter new` writes it installs, is found, and passes the conformance suite."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from runtime.cli.entry import main

SECONDS_MAX = 110


def called(*words: str, cwd: Path, site: Path) -> str:
    environment = {**os.environ, "PYTHONPATH": str(site), "PIP_NO_INDEX": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    done = subprocess.run(
        [sys.executable, *words], cwd=cwd, env=environment, capture_output=True, text=True, timeout=SECONDS_MAX, check=False
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_new_adapter_installs_is_found_and_passes_conformance(tmp_path: Path) -> None:
    folder, site = tmp_path / "project", tmp_path / "site"
    assert main(["adapter", "new", "acme_wms", "--to", str(folder)]) == 0
    called("-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", "--target", str(site), ".",
           cwd=folder, site=site)  # fmt: skip
    load = "from runtime import plugins; print(plugins.adapter('acme_wms', where='x').name, plugins.translator('acme_wms', where='x').version)"
    assert called("-c", load, cwd=tmp_path, site=site).split() == ["acme_wms", "acme_wms", "1"]
    told = called("-m", "pytest", "-q", "-p", "no:cacheprovider", cwd=folder, site=site)
    assert "passed" in told
    assert "failed" not in told


@pytest.mark.parametrize("name", ["Acme", "1st", "class", "a-b", "../x", "webhook", ""])
def test_a_name_that_cannot_be_one_is_refused(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["adapter", "new", name]) == 2
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_exists_is_not_touched(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["adapter", "new", "acme_wms", "--to", str(tmp_path)]) == 2
    assert "exists and is not touched" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
