"""Run the command: `python -m tests.simulation --help`."""

from __future__ import annotations

from tests.simulation.simulate import main

if __name__ == "__main__":
    main(prog_name="python -m tests.simulation")
