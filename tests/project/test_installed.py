"""The package as it is installed: from the source distribution to commands in another folder."""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest
import tomlkit
from multipaxos import __version__

from tests.support.paths import OK, ROOT

FOLDERS = "conformance", "impl", "spec", "tests"
FILES = "LICENSE", "MANIFEST.in", "Makefile", "README.md", "constraints.txt", "pyproject.toml"
BUILD_SDIST = "import setuptools.build_meta as build; print(build.build_sdist('dist'))"
INIT = (
    '{"src": "c0", "dest": "n1", "body": '
    '{"type": "init", "msg_id": 1, "node_id": "n1", "node_ids": ["n1"]}}\n'
)


def run(*command: str | Path, cwd: Path, status: int = 0, given: str = "") -> str:
    """Run a command, check its exit status, and return all that it printed."""
    done = subprocess.run(
        list(map(str, command)),
        cwd=cwd,
        input=given,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == status, done.stdout
    return done.stdout


def contents(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the checkout, so that no build leaves anything in it."""
    copy = tmp_path_factory.mktemp("source") / "copy"
    for folder in FOLDERS:
        left_out = shutil.ignore_patterns("__pycache__", "states", "*_TTrace_*", "*.egg-info")
        shutil.copytree(ROOT / folder, copy / folder, ignore=left_out)
    for file in FILES:
        shutil.copy(ROOT / file, copy)
    return copy


@pytest.fixture(scope="module")
def sdist(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The unpacked source distribution."""
    expected = contents(source)
    run(sys.executable, "-c", BUILD_SDIST, cwd=source)
    unpacked = tmp_path_factory.mktemp("sdist")
    shutil.unpack_archive(source / "dist" / f"multipaxos-{__version__}.tar.gz", unpacked)
    folder = unpacked / f"multipaxos-{__version__}"
    assert expected - contents(folder) == set()
    return folder


@pytest.fixture(scope="module")
def wheel(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel that is built from the source distribution, without a network."""
    folder = tmp_path_factory.mktemp("wheel")
    offline = "--no-index", "--no-deps", "--no-build-isolation"
    run(sys.executable, "-m", "pip", "wheel", *offline, "-w", folder, sdist, cwd=folder)
    [wheel] = folder.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the commands in a new virtual environment.

    Its dependencies are those of the environment that runs the tests, by a line of a .pth file.
    The editable installation there takes no part: it needs a .pth file of its own, and Python reads
    no .pth file in a folder that another one names.
    """
    folder = tmp_path_factory.mktemp("installed")
    venv.create(folder)
    python = folder / "bin" / "python"
    offline = "--no-index", "--no-deps"
    run(sys.executable, "-m", "pip", "--python", python, "install", *offline, wheel, cwd=folder)
    dependencies = sysconfig.get_path("purelib")
    packages = run(
        python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=folder
    )
    Path(packages.strip(), "dependencies.pth").write_text(dependencies + "\n")
    return folder / "bin"


def test_every_package_is_listed() -> None:
    settings = tomlkit.parse((ROOT / "pyproject.toml").read_text("utf-8"))
    found = {path.parent for path in (ROOT / "conformance").rglob("*.py")}
    names = {path.relative_to(ROOT).as_posix().replace("/", ".") for path in found}
    packages = settings["tool"]["setuptools"]["packages"]
    assert packages == sorted({*names, "conformance.spec", "multipaxos"})


def test_wheel_carries_specification_and_data(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    spec = {f"conformance/spec/{name}" for name in contents(ROOT / "spec")}
    data = {
        path.relative_to(ROOT).as_posix()
        for folder in ("schemas", "tla", "exporting/pages")
        for path in (ROOT / "conformance" / folder).iterdir()
    }
    assert {*spec, *data, "conformance/pinned.json"} <= names
    assert {"conformance/py.typed", "multipaxos/py.typed"} <= names
    tops = {name.split("/")[0] for name in names}
    assert tops == {"conformance", "multipaxos", f"multipaxos-{__version__}.dist-info"}


def test_installed_node_answers(installed: Path, tmp_path: Path) -> None:
    assert run(installed / "multipaxos", "--version", cwd=tmp_path) == f"multipaxos {__version__}\n"
    for command in (["multipaxos"], ["python", "-m", "multipaxos"]):
        answer = run(installed / command[0], *command[1:], cwd=tmp_path, given=INIT)
        assert '"type": "init_ok"' in answer


def test_installed_harness_has_its_own_node(installed: Path, tmp_path: Path) -> None:
    script = "import json; from conformance.locations import NODE; print('\\n'.join(NODE))"
    node = run(installed / "python", "-c", script, cwd=tmp_path).splitlines()
    assert node[-1].startswith(str(installed.parent))
    assert '"type": "init_ok"' in run(*node, cwd=tmp_path, given=INIT)


def test_installed_harness_checks_a_node(installed: Path, tmp_path: Path) -> None:
    harness = installed / "multipaxos-conformance"
    node = "--", installed / "multipaxos"
    run(harness, "models", "single", cwd=tmp_path)
    run(harness, "generate", "single", "-o", "golden", cwd=tmp_path)
    run(harness, "replay", "golden", *node, "--manual-clock", "--batch", "1", cwd=tmp_path)
    run(harness, "validate", OK, cwd=tmp_path)
    run(harness, "export", OK, "--html", "run.html", cwd=tmp_path)
    run(harness, "grade", "--stage", "challenge", *node, cwd=tmp_path)


@pytest.mark.parametrize("command", [("models", "single", "--pin"), ("check", "--pin")])
def test_commands_that_write_project_files_need_a_checkout(
    installed: Path, tmp_path: Path, command: tuple[str, ...]
) -> None:
    printed = run(installed / "multipaxos-conformance", *command, cwd=tmp_path, status=2)
    assert "--pin writes files of the project" in printed
    assert "run it in a checkout" in printed


def test_lowest_python_is_the_declared_one() -> None:
    settings = tomlkit.parse((ROOT / "pyproject.toml").read_text("utf-8")).unwrap()
    assert settings["project"]["requires-python"] == ">=3.10"
    assert settings["tool"]["mypy"]["python_version"] == "3.10"
    assert settings["tool"]["ruff"]["target-version"] == "py310"
