"""The documentation site, which two files of tests look at: it is built once."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.places import ROOT


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built from a copy of what the build reads."""
    pytest.importorskip("sphinx", reason="the extra docs is not installed")
    from docs.pages.writing import GENERATORS

    clone = tmp_path_factory.mktemp("clone")
    generated = shutil.ignore_patterns(*GENERATORS)
    shutil.copytree(ROOT / "docs", clone / "docs", ignore=generated)
    for each in ROOT.iterdir():
        if each.is_file():
            shutil.copy(each, clone)
        elif each.name not in ("build", "docs") and not each.name.startswith("."):
            (clone / each.name).symlink_to(each)
    out = clone / "build" / "site"
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", "-q", "-W", "docs", str(out)],
        cwd=clone,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    assert done.returncode == 0
    return out
