"""Proofs for every number of nodes, slots, ballots and values: definitions of `spec/` given to z3.

`syntax` parses the modules, `values` and `evaluate` translate definitions into terms, `obligations`
has z3 prove them, `voting` and `actions` state them, `prove` lists the theorems, and `agreement`
compares the translation with TLC.
"""
