"""Proofs for every number of nodes, slots, ballots and values: definitions of `spec/` given to z3.

`syntax` parses the modules, `values` and `evaluate` translate definitions into terms, `obligations`
has z3 prove them, `theorems` says which ones, `agreement` holds the translation to TLC.
"""
