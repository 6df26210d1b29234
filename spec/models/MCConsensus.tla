---------------------------- MODULE MCConsensus -----------------------------
(***************************************************************************)
(* The top of the ladder, and two ways to fall from it (each in place of   *)
(* Next).                                                                  *)
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
