"""`python -m multipaxos`, and the file that the installed harness starts.

Started by its path, it finds the package itself, so that Python can run without site-packages (-S).
"""

import sys
from pathlib import Path

if not __package__:
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from multipaxos.process import main

if __name__ == "__main__":
    sys.exit(main())
