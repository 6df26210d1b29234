-------------------------------- MODULE Taken --------------------------------
(***************************************************************************)
(* Which branches of a specification are evaluated.  A branch is marked by *)
(* `CASE Took(i) ->` before it, and Took(i), which is always true, prints  *)
(* its number the first time.  (TLC's own coverage does not count what is  *)
(* evaluated through an operator that is passed as an argument.)           *)
(***************************************************************************)
EXTENDS Naturals, TLC

ASSUME \A i \in 1..1000 : TLCSet(i, FALSE)

Took(i) == IF TLCGet(i) THEN TRUE ELSE TLCSet(i, TRUE) /\ PrintT(ToString(i))
=============================================================================
