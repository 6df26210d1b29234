-------------------------------- MODULE Order --------------------------------
(***************************************************************************)
(* What the order of messages and slots means for logs.                    *)
(*                                                                         *)
(* InOrder takes the place of Ascending, for slots up to Last: the same,   *)
(* but of the thousands that a log speaks of many are found in one pass    *)
(* instead of by looking for the least again and again.                    *)
(*                                                                         *)
(* SameForEach compares what a step sends for each destination: the        *)
(* network keeps no order between messages to different ones.              *)
(***************************************************************************)
EXTENDS Naturals, Sequences, FiniteSets

CONSTANT Last       \* the highest slot there is

RECURSIVE Least(_)
Least(S) ==
    IF S = {} THEN <<>>
    ELSE LET least == CHOOSE x \in S : \A y \in S : x <= y
         IN  <<least>> \o Least(S \ {least})

InOrder(S) ==
    IF Cardinality(S) * Cardinality(S) <= Last THEN Least(S)
    ELSE SelectSeq([i \in 1..(Last + 1) |-> i - 1], LAMBDA slot : slot \in S)

To(dest, messages) == SelectSeq(messages, LAMBDA m : m.dest = dest)

SameForEach(messages, others) ==
    \/ messages = others
    \/ /\ Len(messages) = Len(others)
       /\ \A dest \in {messages[i].dest : i \in DOMAIN messages} :
              To(dest, messages) = To(dest, others)
=============================================================================
