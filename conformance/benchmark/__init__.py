"""Measure the speed of a node, and of comparable programs in the same run."""
