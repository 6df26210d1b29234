"""Fuzzing of the node: lines that are almost right, and what must be true after each of them."""
