---------------------------- MODULE BrokenVoting ----------------------------
(***************************************************************************)
(* What happens to the argument of Voting.tla when a part of it is left    *)
(* out.  As in Broken.tla, each operator replaces one of the module above  *)
(* it, in one .cfg, and TLC must find that the property is violated which  *)
(* models.toml names.                                                      *)
(***************************************************************************)
EXTENDS MCVoting

(* Two quorums need not meet (in place of Majority). *)

Minority(S) == 2 * Cardinality(S) > Cardinality(Acceptor) - 2

(* Votes for a value are counted across ballots (in place of ChosenAt).    *)
(* Fewer than four ballots do not show the mistake.                        *)

CountsAcrossBallots(slot, b, v) ==
    IsQuorum({a \in Acceptor : \E c \in Ballot : VotedFor(a, slot, c, v)})

(* All acceptors count as having promised (in place of Bound). *)

TakesPromisesForGranted(a, b) == Acceptor

(* Any vote that was reported will do, not that of the highest ballot (in  *)
(* place of ShowsSafeAt, as the next two).                                 *)

TakesAnyReport(Q, slot, b, v) ==
    LET below == {x \in votes : x.node \in Q /\ x.slot = slot /\ x.ballot < b}
    IN  below = {} \/ \E x \in below : x.value = v

(* Only the last ballot is looked at, and not what was before it. *)

LooksOneBallotBack(Q, slot, b, v) ==
    \A x \in votes : (x.node \in Q /\ x.slot = slot /\ x.ballot = b - 1) => x.value = v

(* A promise is for one slot, and is taken for all. *)

LooksInOneSlot(Q, slot, b, v) ==
    \A x \in votes : (x.node \in Q /\ x.slot = slot /\ x.slot = 1 /\ x.ballot < b)
                     => x.value = v

(* A ballot may have several values (in place of MayVote). *)

AllowsTwoValues(a, slot, b, v) ==
    \E Q \in SUBSET Bound(a, b) : IsQuorum(Q) /\ ShowsSafeAt(Q, slot, b, v)

(* A vote is cast below the promise, which stays (in place of Act, as the  *)
(* next two).                                                              *)

VotesBelow(a, b, cast) ==
    /\ \A x \in cast : MayVote(a, x.slot, b, x.value)
    /\ \A x, y \in cast : x.slot = y.slot => x = y
    /\ promised' = [promised EXCEPT ![a] = IF b > @ THEN b ELSE @]
    /\ votes' = votes \cup cast

(* A vote is no promise. *)

VotesWithoutPromise(a, b, cast) ==
    /\ b >= promised[a]
    /\ \A x \in cast : MayVote(a, x.slot, b, x.value)
    /\ \A x, y \in cast : x.slot = y.slot => x = y
    /\ promised' = IF cast = {} THEN [promised EXCEPT ![a] = b] ELSE promised
    /\ votes' = votes \cup cast

(* The vote of a ballot replaces the one before, on disk and in what is    *)
(* required (an acceptor that forgets is none).                            *)

ForgetsVotes(a, b, cast) ==
    /\ b >= promised[a]
    /\ \A x \in cast : MayVote(a, x.slot, b, x.value)
    /\ \A x, y \in cast : x.slot = y.slot => x = y
    /\ promised' = [promised EXCEPT ![a] = b]
    /\ votes' = {x \in votes : x.node # a} \cup cast

(* A new ballot is added to the promise instead of taking its place. *)

AddsPromises(a, b, cast) ==
    /\ cast = {}
    /\ promised' = [promised EXCEPT ![a] = @ + b]
    /\ UNCHANGED votes
=============================================================================
