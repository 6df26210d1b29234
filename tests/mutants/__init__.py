"""Mutants of the node, and the count of those that the harness catches.

What a wrong node is stands in `bugs` (by hand) and `machine` (by a tool); what is done to it in
`checks` and `runs`; what came of it in `score`.  `mutate` puts them together.
"""
