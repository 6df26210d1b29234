"""Golden traces: test cases that are generated from a model."""
