"""How the work of each operation of the node grows with its size."""
