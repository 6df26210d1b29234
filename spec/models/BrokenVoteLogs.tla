--------------------------- MODULE BrokenVoteLogs ---------------------------
(***************************************************************************)
(* What happens if logs of votes are accepted although a condition of      *)
(* VoteLogs.tla is left out.  As in BrokenVoting.tla, each operator        *)
(* replaces one of the module above it, in one .cfg, and TLC must find     *)
(* that two values are chosen, or decided, in a slot.                      *)
(***************************************************************************)
EXTENDS MCVoteLogs

(* Two quorums need not meet (in place of Majority). *)

Minority(S) == 2 * Cardinality(S) > Cardinality(Acceptor) - 2

(* A log need not keep its promises (in place of KeepsPromises).           *)

KeepsAnything(log) == TRUE

(* A ballot may have two values (in place of MayVote, where a vote needs   *)
(* it, and of BallotsOfTwoValues).                                         *)

NoBallot(cast, promises) == {}

MayVoteBesideAnother(cast, promises, missing, x) ==
    \E Q \in SUBSET At(cast, promises)!Bound(x.node, x.ballot) :
        IsQuorum(Q) /\ At(cast, promises)!ShowsSafeAt(Q, x.slot, x.ballot, x.value)

(* A vote needs no quorum that promised its ballot (in place of MayVote,   *)
(* as the next one).                                                       *)

MayVoteUnpromised(cast, promises, missing, x) ==
    \E Q \in SUBSET Acceptor :
        IsQuorum(Q) /\ At(cast, promises)!ShowsSafeAt(Q, x.slot, x.ballot, x.value)

(* A vote needs a quorum that promised its ballot, whatever it voted for.  *)

MayVoteUnshown(cast, promises, missing, x) ==
    IsQuorum(At(cast, promises)!Bound(x.node, x.ballot))

(* A decision needs no votes (in place of MayBeChosen).  What is agreed    *)
(* is left out as well (in place of IsAgreed), as without missing logs it  *)
(* follows from the rest.                                                  *)

MayAlwaysBeChosen(cast, promises, missing, d) == TRUE

AgreedOrNot(cast, promises, choices) == TRUE

(* Only acceptors that did not vote below the ballot are looked at (in     *)
(* place of Upto).                                                         *)

NoneBelow(cast, promises, x, c) ==
    {p \in At(cast, promises)!Bound(x.node, x.ballot) :
        \A y \in cast : y.node = p => y.ballot >= x.ballot}

-----------------------------------------------------------------------------
(* The log of one acceptor is missing: then what is agreed does not follow *)
(* from the rest.                                                          *)

OneMissingInit ==
    \E present \in {Acceptor \ {a} : a \in Acceptor} :
    \E found \in [present -> LogsThatKeepPromises] :
        /\ votes = Votes(found)
        /\ promised = Promised(found)
        /\ decided \in {choices \in SUBSET EveryChoice : Accepted(found, choices)}
        /\ logs = <<>>

OneMissingSpec == OneMissingInit /\ [][FALSE]_vars
=============================================================================
