#!/usr/bin/env python3
"""The graded entry point: it starts the node and holds nothing else.

Whatever a node does belongs in the package `multipaxos` beside this file.  This file alone must be
readable to any Python, to report which one is needed."""

import sys

if __name__ == "__main__":
    if sys.version_info < (3, 10):  # noqa: UP036
        # No f-string: it would be a syntax error to the Python that this is for.
        sys.stderr.write(
            "the node needs Python 3.10 or newer, and this is Python "
            + ".".join(map(str, sys.version_info[:2]))
            + "; try python3.10 "
            + sys.argv[0]
            + "\n"
        )
        sys.exit(2)
    from multipaxos.process import main

    sys.exit(main())
