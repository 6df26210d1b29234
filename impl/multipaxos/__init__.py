"""One node of the Multi-Paxos cluster that `spec/MultiPaxos.tla` specifies.

`node` runs it, `wire` speaks JSON, `replica` composes the protocol; the rest is what they stand on.
"""

__version__ = "0.1.0"
