---------------------------- MODULE BrokenLoops -----------------------------
(***************************************************************************)
(* The mutants of MultiPaxos together with what is asserted of its folds,  *)
(* so that the prover can be given a mutant.                               *)
(***************************************************************************)
EXTENDS BrokenInvariant, Loops
=============================================================================
