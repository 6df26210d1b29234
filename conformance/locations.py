"""Where the files of the project are: in a checkout, or in an installed package.

checkout                   installed
spec/                      conformance/spec/      the specification and its models
impl/main.py               multipaxos/            the reference node, beside conformance/
"""

from __future__ import annotations

import sys
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
IS_CHECKOUT = not (PACKAGE / "spec").is_dir()

SPEC = (PACKAGE.parent if IS_CHECKOUT else PACKAGE) / "spec"
MODELS = SPEC / "models"
# Where TLC finds modules.
LIBRARIES = (SPEC, MODELS, PACKAGE / "tla")

# The sources of the reference node.
NODE_FOLDER = PACKAGE.parent / ("impl" if IS_CHECKOUT else "multipaxos")

# The folder of its package `multipaxos`.
NODE_PATH = NODE_FOLDER if IS_CHECKOUT else NODE_FOLDER.parent

# The command of the reference node.  It imports the standard library alone, so Python starts
# without site-packages (-S), in two thirds of the time.
NODE = (
    sys.executable,
    "-S",
    str(NODE_FOLDER / ("main.py" if IS_CHECKOUT else "__main__.py")),
)


class NoCheckout(OSError):
    """Files of the project were to be written, and they are those of an installed package."""


def demand_checkout(option: str) -> None:
    """Raise NoCheckout unless the files of the project are in a checkout."""
    if not IS_CHECKOUT:
        raise NoCheckout(
            f"{option} writes files of the project, and {PACKAGE} is an installed package; "
            "run it in a checkout"
        )


def in_checkout(path: Path) -> Path:
    """Return the path of a file of the project within a checkout, such as spec/MultiPaxos.tla."""
    if path.is_relative_to(SPEC):
        return Path("spec", path.relative_to(SPEC))
    return Path("conformance", path.relative_to(PACKAGE))
