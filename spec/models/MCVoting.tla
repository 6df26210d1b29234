------------------------------ MODULE MCVoting ------------------------------
(***************************************************************************)
(* How TLC is bounded on the upper levels of the refinement chain, and the *)
(* inductive invariant.                                                    *)
(*                                                                         *)
(* To check that an invariant is inductive TLC starts in every state that  *)
(* satisfies it, and takes every step from each.  As all of them are       *)
(* initial no step leads anywhere new, so the number of states is the      *)
(* number of states that satisfy the invariant.  What this shows does not  *)
(* depend on how long a run is; it does depend on the constants.           *)
(***************************************************************************)
EXTENDS Voting, Histories, TLC

Majority(S) == 2 * Cardinality(S) > Cardinality(Acceptor)

-----------------------------------------------------------------------------
(* Every state that satisfies the invariant, as it is written.  This looks *)
(* at each set of votes there is, and is only good for small constants.    *)

EveryVote ==
    {Vote(a, slot, b, v) : a \in Acceptor, slot \in Slot, b \in Ballot, v \in Value}

PlainInit ==
    /\ promised \in [Acceptor -> Ballot \cup {0}]
    /\ votes \in SUBSET EveryVote
    /\ Inv

PlainSpec == PlainInit /\ [][Next]_<<votes, promised>>

-----------------------------------------------------------------------------
(* The same states, found ballot by ballot.  (`inductive-plain` and        *)
(* `inductive-few` have the same constants, and find the same number.)     *)

At(h, p) == INSTANCE Voting WITH votes <- h, promised <- p

Highest == CHOOSE b \in Ballot : \A c \in Ballot : c <= b

SafeVotes(p) ==
    LET cast(b) == Elections({a \in Acceptor : p[a] >= b}, Slot, b, Value)
        fits(h, b) == At(h, p)!VotesSafe
    IN  Histories(Highest, cast, fits)

InductiveInit == promised \in Some([Acceptor -> Ballot \cup {0}]) /\ votes \in SafeVotes(promised)

(* States drawn at random are not all that there are, so steps lead out of *)
(* them; that one step keeps the invariant is enough.                      *)

InductiveNext == TLCGet("level") = 1 /\ Next

InductiveSpec == InductiveInit /\ [][InductiveNext]_<<votes, promised>>
=============================================================================
