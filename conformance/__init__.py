"""The harness: holds any node that speaks the protocol to the specification, and the reverse.

What it knows of a node is a command line and the schemas, and of the specification a library path.
It must not import the node, for then it would hold that one alone to anything.
"""
