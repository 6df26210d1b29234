----------------------------- MODULE CheckedVotes ----------------------------
(***************************************************************************)
(* Are logs of votes accepted by VoteLogs?                                 *)
(*                                                                         *)
(* What a run of TLC checks is in its registers, for the reason that       *)
(* Trace.tla gives: in register 1 parts of logs, in register 2 slots.      *)
(* Each is an initial state, and there is no step.  What is accepted       *)
(* prints nothing, so TLC's count of states shows that all was checked.    *)
(*                                                                         *)
(* Acceptors are numbers.  Ballots, values and slots are as well: a part   *)
(* of a log is a sequence of ballots, each by its rank among those of its  *)
(* node, and begins with the last one of the part before it; a slot is     *)
(* [votes, promised, decided], with votes <<acceptor, ballot, value>>, and *)
(* its ballots by their rank among those voted for in the slot.  Only      *)
(* their order counts, and slots are checked alone, so each of them is     *)
(* slot 1 here.  MayVoteByLargest takes the place of MayVote.              *)
(***************************************************************************)
EXTENDS VoteLogs, FiniteSets, Printing

CONSTANTS Absent     \* the acceptors whose logs are missing

VARIABLES what, at

Logs == TLCGet(1)

Slots == TLCGet(2)

Reject(why) == PrintT(Text(<<what, at, why>>))

LogIsKept(ballots) ==
    LET below == LinesBelow([i \in DOMAIN ballots |-> [ballot |-> ballots[i], cast |-> {}]])
    IN  IF below = {} THEN TRUE ELSE Reject(<<below>>)

SlotIsKept(s) ==
    LET votes == {[node |-> x[1], slot |-> 1, ballot |-> x[2], value |-> x[3]] : x \in s.votes}
        decided == {[slot |-> 1, value |-> v] : v \in s.decided}
    IN  IF SlotIsAccepted(votes, s.promised, Absent, decided) THEN TRUE
        ELSE Reject(<<BallotsOfTwoValues(votes, s.promised),
                      {<<x.node, x.ballot, x.value>> :
                           x \in VotesNotShown(votes, s.promised, Absent)},
                      {d.value : d \in NotChosen(votes, s.promised, Absent, decided)}>>)

CheckedInit ==
    \/ what = "log" /\ at \in DOMAIN Logs /\ LogIsKept(Logs[at])
    \/ what = "slot" /\ at \in DOMAIN Slots /\ SlotIsKept(Slots[at])

CheckedSpec == CheckedInit /\ [][FALSE]_<<what, at>>
=============================================================================
