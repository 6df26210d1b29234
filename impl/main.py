#!/usr/bin/env python3
"""The graded entry point: it starts the node and holds nothing else.

Whatever a node does belongs in the package `multipaxos` beside this file."""
import sys

from multipaxos.process import main

if __name__ == "__main__":
    sys.exit(main())
