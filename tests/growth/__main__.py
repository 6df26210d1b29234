"""Run the command: `python -m tests.growth --help`."""

from __future__ import annotations

from tests.growth.work import main

if __name__ == "__main__":
    main()
