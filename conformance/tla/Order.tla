-------------------------------- MODULE Order --------------------------------
(***************************************************************************)
(* Slots in ascending order, for logs that speak of thousands.  InOrder    *)
(* takes the place of Ascending, for slots up to Last: the same, but many  *)
(* are found in one pass instead of by looking for the least again and     *)
(* again.                                                                  *)
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
=============================================================================
