------------------------------ MODULE Assumed ------------------------------
(***************************************************************************)
(* What the proofs for every size take for granted of the definitions that *)
(* they do not look into (`python -m conformance prove`).  TLC checks it   *)
(* for all sequences, sets and clusters of a few items.  None of it is     *)
(* about states, so any states will do.                                    *)
(***************************************************************************)
EXTENDS MC

Lines == UNION {[1..n -> 1..3] : n \in 0..4}

Ascends(f) == \A i, j \in DOMAIN f : i < j => f[i] < f[j]

(* SelectSeq keeps the items that pass, in their order: item i of what is  *)
(* kept was at place[i].                                                   *)

Selects(line, passing) ==
    LET passes(x) == x \in passing
        kept == SelectSeq(line, passes)
        places == {i \in DOMAIN line : passes(line[i])}
    IN  \E place \in [DOMAIN kept -> places] :
            /\ Ascends(place) /\ Range(place) = places
            /\ kept = [i \in DOMAIN kept |-> line[place[i]]]

SelectSeqKeepsOrder ==
    \A line \in Lines : \A passing \in SUBSET (1..3) : Selects(line, passing)

AscendingIsAll ==
    \A S \in SUBSET (1..7) : Range(Ascending(S)) = S /\ Ascends(Ascending(S))

(* A fold takes each item once, in their order: so it does with Append,    *)
(* and no operator can do more than to remember what it was given.         *)

FoldTakesEach == \A line \in Lines : Fold(Append, <<>>, line) = line

-----------------------------------------------------------------------------
(* Quorums and ballots, of clusters of up to five.                         *)

Of(members) == INSTANCE MultiPaxos WITH Members <- members

Meet(members) ==
    LET nodes == Range(members)
        quorums == {S \in SUBSET nodes : Of(members)!IsQuorum(S)}
    IN  \A Q \in quorums :
            /\ \A R \in quorums : Q \cap R # {}
            /\ \A R \in SUBSET nodes : Q \subseteq R => R \in quorums
            /\ \A n \in Q : Q = {n} => nodes = {n}

Owns(members) ==
    \A b \in 0..11, n \in Range(members) :
        LET next == Of(members)!NextBallot(n, b)
        IN  next > b /\ Of(members)!Owner(next) = n

Clusters == {One, Two, Three, Four, Five}

QuorumsMeet == \A members \in Clusters : Meet(members)

BallotsAreOwned == \A members \in Clusters : Owns(members)
=============================================================================
