"""Run the command: `python -m tests.mutants --help`."""

from __future__ import annotations

from tests.mutants.mutate import main

if __name__ == "__main__":
    main(prog_name="python -m tests.mutants")
