"""Run the node with one bug of the catalogue, mutants/bugs.toml.

python tests/broken_node.py NAME [options of the node]
python tests/broken_node.py --list
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "impl"))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.mutants import bugs
from tests.mutants.patched import patched


def main() -> int:
    catalogue = {bug.name: bug for bug in bugs.load()}
    name, *options = sys.argv[1:] or [""]
    if name == "--list":
        for bug in catalogue.values():
            print(f"{bug.name}: {bug.what}")
        return 0
    if name not in catalogue:
        print(__doc__, file=sys.stderr)
        return 2
    with patched(catalogue[name].mutant().texts):
        from multipaxos import process

        return process.main(options)


if __name__ == "__main__":
    sys.exit(main())
