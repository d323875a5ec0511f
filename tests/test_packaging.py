"""What is shipped, and under which names."""

import tarfile
import zipfile
from pathlib import Path

import pytest
from hatchling.builders.sdist import SdistBuilder
from hatchling.builders.wheel import WheelBuilder

ROOT = Path(__file__).parent.parent
FOLDERS = ("actors", "cli", "domain", "kernel", "observers", "store", "testing")
SOURCES = {p.relative_to(ROOT).as_posix() for f in FOLDERS for p in (ROOT / f).rglob("*.py")}


@pytest.fixture
def wheel(tmp_path):
    path = next(WheelBuilder(str(ROOT)).build(directory=str(tmp_path), versions=["standard"]))
    names = zipfile.ZipFile(path).namelist()
    return {n for n in names if ".dist-info/" not in n}


def test_the_wheel_holds_the_package_and_nothing_else(wheel):
    assert wheel == {f"callboard/{s}" for s in SOURCES} | {
        "callboard/__init__.py",
        "callboard/__main__.py",
        "callboard/py.typed",
    }


def test_the_sdist_holds_every_source_even_beside_editable_links(tmp_path):
    path = next(SdistBuilder(str(ROOT)).build(directory=str(tmp_path)))
    with tarfile.open(path) as sdist:
        names = {n.split("/", 1)[1] for n in sdist.getnames()}

    assert names >= SOURCES | {
        "api.py",
        "main.py",
        "hatch_build.py",
        "pyproject.toml",
        "README.md",
        "LICENSE",
    }


def test_every_folder_with_sources_is_shipped():
    found = {p.parent.name for p in ROOT.glob("*/__init__.py")}

    assert found - {"bench"} == set(FOLDERS)
