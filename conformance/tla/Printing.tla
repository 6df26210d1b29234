------------------------------ MODULE Printing ------------------------------
(***************************************************************************)
(* How a value leaves TLC: on one line, and whole.                         *)
(***************************************************************************)
EXTENDS TLC

(* TLC evaluates a function only when it must, and would print the         *)
(* expression that defines it; to compare it with itself is reason enough. *)

Text(x) == IF x = x THEN ToString(x) ELSE ""
=============================================================================
