"""What is shipped, and under which names."""

import re
import tarfile
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest
from hatchling.builders.sdist import SdistBuilder
from hatchling.builders.wheel import WheelBuilder

ROOT = Path(__file__).parent.parent
FOLDERS = ("actors", "cli", "domain", "kernel", "observers", "server", "store", "testing")
SOURCES = {
    p.relative_to(ROOT).as_posix()
    for f in FOLDERS
    for p in (ROOT / f).rglob("*.*")
    if p.suffix in (".py", ".html")
}


def wheel_of(root, directory):
    """The files of the wheel that a source tree gives, by name."""
    path = next(WheelBuilder(str(root)).build(directory=str(directory), versions=["standard"]))
    with zipfile.ZipFile(path) as wheel:
        return {name: wheel.read(name) for name in wheel.namelist()}


def metadata_of(wheel):
    (text,) = (content for name, content in wheel.items() if name.endswith("/METADATA"))
    return Parser().parsestr(text.decode())


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    return wheel_of(ROOT, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def sdist(tmp_path_factory):
    """The folder that the sdist unpacks to."""
    directory = tmp_path_factory.mktemp("sdist")
    with tarfile.open(next(SdistBuilder(str(ROOT)).build(directory=str(directory)))) as archive:
        archive.extractall(directory, filter="data")
    (unpacked,) = (path for path in directory.iterdir() if path.is_dir())
    return unpacked


def test_the_wheel_holds_the_package_and_nothing_else(wheel):
    assert {name for name in wheel if ".dist-info/" not in name} == {
        "callboard/__init__.py",
        "callboard/__main__.py",
        "callboard/py.typed",
    } | {f"callboard/{source}" for source in SOURCES}


def test_the_sdist_holds_every_source_even_beside_editable_links(sdist):
    held = {p.relative_to(sdist).as_posix() for p in sdist.rglob("*") if p.is_file()}

    assert held >= SOURCES | {
        "api.py",
        "main.py",
        "hatch_build.py",
        "conftest.py",
        "mkdocs.yml",
        "pyproject.toml",
        "README.md",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "LICENSE",
    }


def test_an_sdist_gives_the_same_wheel_as_a_checkout(sdist, wheel, tmp_path):
    assert wheel_of(sdist, tmp_path) == wheel


def test_an_install_brings_four_libraries_and_no_more(wheel):
    required = metadata_of(wheel).get_all("Requires-Dist")

    always = {re.split(r"[<>=]", line)[0] for line in required if "extra ==" not in line}
    assert always == {"pykka", "sqlalchemy[asyncio]", "aiosqlite", "structlog"}


def test_the_licence_travels_with_the_wheel(wheel):
    assert metadata_of(wheel)["License-Expression"] == "Apache-2.0"
    assert (ROOT / "LICENSE").read_bytes() in wheel.values()


def test_every_folder_with_sources_is_shipped():
    found = {p.parent.name for p in ROOT.glob("*/__init__.py")}

    assert found - {"bench"} == set(FOLDERS)
