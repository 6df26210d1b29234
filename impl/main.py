#!/usr/bin/env python3
"""The graded entry point: it starts the node and holds nothing else.

Whatever a node does belongs in the package `multipaxos` beside this file.  This file alone must be
readable to any Python, or it could not say which one is needed."""
import sys

if __name__ == "__main__":
    if sys.version_info < (3, 10):
        sys.stderr.write("the node needs Python 3.10 or newer, and this is Python %d.%d; try "
                         "python3.10 %s\n" % (sys.version_info[0], sys.version_info[1], sys.argv[0]))
        sys.exit(2)
    from multipaxos.process import main
    sys.exit(main())
