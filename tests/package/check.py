"""Looks at the wheel and the sdist that were built of this tree: `python -m tests.package.check FOLDER`.

The wheel holds the package and nothing else, it is the same whether it was built from the sdist or from the tree, and
the tests of the unpacked sdist can be collected, and those in `tests/unit` pass. `tox -e package` builds and checks.
"""

from __future__ import annotations

import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
PACKAGE = "celery_otel_links"


def wheel_in(folder: Path) -> dict[str, bytes]:
    """What the one wheel in the folder holds."""
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as opened:
        return {name: opened.read(name) for name in opened.namelist()}


def package_files() -> dict[str, bytes]:
    files = [
        path for path in (REPOSITORY / PACKAGE).rglob("*") if path.is_file() and path.suffix not in (".pyc", ".pyo")
    ]
    return {path.relative_to(REPOSITORY).as_posix(): path.read_bytes() for path in files}


def differing(one: dict[str, bytes], other: dict[str, bytes]) -> list[str]:
    """The names of what is not the same in both."""
    return sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name))


def run(*command: str, folder: Path) -> None:
    print("$", *command, flush=True)
    subprocess.run([sys.executable, "-m", *command], cwd=folder, check=True)


def check(published: Path) -> None:
    from_sdist = wheel_in(published)  # as `python -m build` makes it
    package = {name: content for name, content in from_sdist.items() if ".dist-info/" not in name}
    if found := differing(package, package_files()):
        sys.exit(f"the wheel does not hold the package and nothing else: {found}")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        run("build", "--wheel", "--outdir", str(folder / "dist"), ".", folder=REPOSITORY)
        if found := differing(from_sdist, wheel_in(folder / "dist")):
            sys.exit(f"the wheel of the tree and that of the sdist differ: {found}")
        (sdist,) = published.glob("*.tar.gz")
        with tarfile.open(sdist) as opened:
            opened.extractall(folder, filter="data")
        (unpacked,) = folder.glob("celery_otel_links-*")
        run("pytest", "--collect-only", "-qq", folder=unpacked)
        run("pytest", "-q", "tests/unit", folder=unpacked)


if __name__ == "__main__":
    check(Path(sys.argv[1]).resolve())
