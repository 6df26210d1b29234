"""How fast a node is, beside what it can be compared with in the same run."""
