"""Deterministic simulation testing: nodes, network, disks, clocks and clients, from one seed.

What happens when is drawn in `faults` before anything has; `cluster` lets it happen, `trial` tells
what came of it.  `python -m tests.simulation` runs many.
"""
