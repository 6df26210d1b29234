"""Tests of the project, and the tools that test the node at length.

`impl`, `spec` and `conformance` mirror the folders that they test; `project` tests the layers, the
packaging and the documentation.  `simulation`, `fuzzing`, `growth` and `mutants` are tools with a
command each, beside their tests.  `nodes` has nodes to be tested, `support` what tests share.
"""
