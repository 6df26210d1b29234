---------------------------- MODULE BrokenLoops -----------------------------
(***************************************************************************)
(* The bugs of Broken.tla beside what the proofs assert of folds: the root *)
(* of the mutants that are given to the prover                             *)
(* (`python -m conformance prove --mutants`).                              *)
(***************************************************************************)
EXTENDS Broken, Loops
=============================================================================
