-------------------------- MODULE LocalTransitions --------------------------
(***************************************************************************)
(* Prints what a model's transitions look like from the acting node: its   *)
(* state before, the input, its state after, what it sent.  Millions of    *)
(* transitions of a cluster are a few thousand of these.                   *)
(*                                                                         *)
(* The first line printed has the members and the initial state.          *)
(*                                                                         *)
(* No-ops are left to EveryInput, because which of them occur depends on   *)
(* which of the states that a view makes equal TLC found first.            *)
(*                                                                         *)
(* PrintNew is an action constraint that is always true.  Each worker of   *)
(* TLC keeps what it has printed, so a line may come once from each.       *)
(***************************************************************************)
EXTENDS MultiPaxos, Printing

ASSUME TLCSet(1, {}) /\ PrintT(Text(<<Members, Fresh>>))

(* Values are compared from the left, and inputs differ sooner than states. *)
(* TLC searches a set linearly until it is sorted, and sorts a set in a     *)
(* register when its size is computed.                                      *)

Local ==
    LET n == record'.node
    IN  <<n, record'.input, record'.output, replica[n], replica'[n]>>

Idle ==
    /\ record'.output = <<>>
    /\ replica'[record'.node] = replica[record'.node]

PrintNew ==
    LET seen == TLCGet(1)
        t == Local
    IN  \/ Idle
        \/ t \in seen
        \/ /\ TLCSet(1, seen \cup {t})
           /\ Cardinality(TLCGet(1)) > 0
           /\ PrintT(Text(t))
=============================================================================
