"""One node of the Multi-Paxos cluster that `spec/MultiPaxos.tla` specifies.

`process` starts it, `node` runs it, `wire` reads and writes JSON, `replica` is the protocol.
"""

__version__ = "0.1.0"
