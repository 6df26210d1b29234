------------------------------- MODULE States -------------------------------
(***************************************************************************)
(* What the state of a node is after each record of its log.               *)
(*                                                                         *)
(* The log is followed as Trace does, and what a step changes is printed:  *)
(* of a function from slots the slots that it has afterwards and before    *)
(* had not, or with something else, and those that it has no more; every   *)
(* other field as it is afterwards.  The first line printed is the state   *)
(* that all begin with.                                                    *)
(*                                                                         *)
(* PrintChange is an action constraint that is always true.                *)
(***************************************************************************)
EXTENDS Trace

ASSUME PrintT(Text(<<"fresh", Fresh>>))

BySlot == {"accepted", "decided", "reported", "votes"}

New(f, g) ==   \* what g has and f has not
    [x \in {x \in DOMAIN g : IF x \in DOMAIN f THEN f[x] # g[x] ELSE TRUE} |-> g[x]]

Change(s, t) ==
    [field \in {field \in DOMAIN s : s[field] # t[field]} |->
        IF field \in BySlot
        THEN <<New(s[field], t[field]), DOMAIN s[field] \ DOMAIN t[field]>>
        ELSE t[field]]

PrintChange ==
    LET n == Windows[window].node
    IN  Emit("change", Change(replica[n], replica'[n]))
=============================================================================
