"""Run the command: `python -m tests.fuzzing --help`."""

from __future__ import annotations

from tests.fuzzing.fuzz import main

if __name__ == "__main__":
    main(prog_name="python -m tests.fuzzing")
