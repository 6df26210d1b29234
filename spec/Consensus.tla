----------------------------- MODULE Consensus ------------------------------
(***************************************************************************)
(* What a replicated log is for: every slot comes to hold one value, and   *)
(* holds it for ever.  How the value is found, by which process, and       *)
(* whether all slots are filled is left open.                              *)
(*                                                                         *)
(* This is the top of the refinement chain.  Voting refines it, MultiPaxos *)
(* refines Voting.                                                         *)
(***************************************************************************)
CONSTANTS Slot, Value

VARIABLE chosen     \* what was chosen: a set of [slot, value]

OneValuePerSlot(choices) ==
    \A c, d \in choices : c.slot = d.slot => c = d

Init == chosen = {}

(* A step may choose in several slots.  In the protocol below this needs   *)
(* several votes at once that each complete a quorum: so it is when a      *)
(* cluster of one proposes again what it finds in its log.                 *)

Next ==
    /\ chosen' \in SUBSET [slot : Slot, value : Value]
    /\ chosen \subseteq chosen'
    /\ OneValuePerSlot(chosen')

Spec == Init /\ [][Next]_chosen

-----------------------------------------------------------------------------
Agreement == OneValuePerSlot(chosen)

ChosenStays == [][chosen \subseteq chosen']_chosen
=============================================================================
