"""The harness: tests nodes against the specification, and checks the specification.

What it knows of a node is a command line and the schemas, and of the specification a library path.
It must not import the node, for then it would hold that one alone to anything.
"""
