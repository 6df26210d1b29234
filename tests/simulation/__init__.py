"""Deterministic simulation testing: nodes, network, disks, clocks and clients, from one seed.

`faults` draws the script of a run, `cluster` executes it, `trial` has the result.
`python -m tests.simulation` runs many.
"""
