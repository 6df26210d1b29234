-------------------------------- MODULE Taken --------------------------------
(***************************************************************************)
(* Which branches of a specification are evaluated.  A branch is marked by *)
(* `CASE Took(i) ->` before it, and Took(i), which is always true, prints  *)
(* its number the first time.  (TLC's own coverage does not count what is  *)
(* evaluated through an operator that is passed as an argument.)           *)
(*                                                                         *)
(* TLC's first thousand registers are left for other modules.              *)
(***************************************************************************)
EXTENDS Naturals, TLC

Register(i) == 1000 + i

ASSUME \A i \in 1..1000 : TLCSet(Register(i), FALSE)

Took(i) ==
    IF TLCGet(Register(i)) THEN TRUE
    ELSE TLCSet(Register(i), TRUE) /\ PrintT(ToString(i))
=============================================================================
