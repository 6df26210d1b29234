------------------------------ MODULE Histories ------------------------------
(***************************************************************************)
(* All the sets of votes that satisfy an invariant, found ballot by        *)
(* ballot.  Whether a vote may be there depends on votes below it, so if a *)
(* set satisfies the invariant, what is left of it without its highest     *)
(* ballot does so, too.  (To look at every set of votes there is, and keep *)
(* those that satisfy it, is possible for small constants only; there both *)
(* must find the same.)                                                    *)
(***************************************************************************)
EXTENDS Naturals, FiniteSets, Randomization

CONSTANTS
    Sample      \* 0 for all; or how many of each set are drawn at random

Some(S) ==
    IF Sample = 0 \/ Cardinality(S) <= Sample THEN S ELSE RandomSubset(Sample, S)

(* All that these voters may have voted in ballot b, one value a slot. *)

Elections(voters, slots, b, values) ==
    {UNION {{[node |-> a, slot |-> slot, ballot |-> b, value |-> f[slot].value] :
                a \in f[slot].voters} : slot \in slots} :
        f \in [slots -> [voters : SUBSET voters, value : values]]}

(* Cast(b) is what may have been voted in ballot b, Fits(h, b) whether b    *)
(* may be the highest ballot of h.                                         *)

Histories(highest, Cast(_), Fits(_, _)) ==
    LET upto[b \in 0..highest] ==
            IF b = 0 THEN {{}}
            ELSE Some({h \in {below \cup votes : below \in upto[b - 1],
                                                 votes \in Some(Cast(b))} :
                          Fits(h, b)})
    IN  upto[highest]
=============================================================================
