---------------------------- MODULE MCConsensus -----------------------------
(***************************************************************************)
(* The top of the refinement chain, and two mutants of it (each in place   *)
(* of Next).                                                               *)
(***************************************************************************)
EXTENDS Consensus

(* A slot may be chosen twice. *)

ChoosesAgain ==
    /\ chosen' \in SUBSET [slot : Slot, value : Value]
    /\ chosen \subseteq chosen'

(* What was chosen may be withdrawn. *)

Withdraws ==
    /\ chosen' \in SUBSET [slot : Slot, value : Value]
    /\ OneValuePerSlot(chosen')
=============================================================================
