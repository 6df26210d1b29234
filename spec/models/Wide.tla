-------------------------------- MODULE Wide --------------------------------
(***************************************************************************)
(* A cluster too big to search, for random runs only: five nodes, four     *)
(* slots, any ballot.  Nothing bounds it, a run is just cut off.           *)
(*                                                                         *)
(* TLC chooses a disjunct first, and then a step of it.  As the            *)
(* specification has them most steps would be crashes or messages that     *)
(* came before, so here the new ones come more often.                      *)
(***************************************************************************)
EXTENDS MC, TLC

Wishes ==
    {Ask("c1", "n1", slot, slot, "v1") : slot \in 1..4} \cup
    {Ask("c2", "n2", slot, slot, "v2") : slot \in 1..4} \cup
    {Ask("c3", "n5", slot, slot, "v3") : slot \in {2, 4}}

New == {m \in network \ Requests : ~Dead(m)}

(* A new number is drawn each time only because it depends on an argument. *)

Rarely(odds) == New = {} \/ RandomElement(1..odds) = 1

WideNext ==
    \/ \E m \in New : Receive(m.dest, m)
    \/ Rarely(25) /\ \E m \in Requests : Receive(m.dest, m)
    \/ Rarely(20) /\ \E m \in network : Receive(m.dest, m)
    \/ Rarely(40) /\ \E n \in DOMAIN replica : Timeout(n)
    \/ Rarely(40) /\ \E n \in DOMAIN replica : Repeat(n)
    \/ Rarely(60) /\ \E n \in DOMAIN replica : Inquire(n) \/ Expire(n)
    \/ Rarely(60) /\ \E n \in DOMAIN replica : Crash(n)
    \/ \E n \in DOMAIN replica : Restart(n)

WideSpec == Init /\ [][WideNext]_vars
=============================================================================
