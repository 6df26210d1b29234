------------------------------ MODULE VoteLogs ------------------------------
(***************************************************************************)
(* Which logs of votes come from a run that Voting allows.                 *)
(*                                                                         *)
(* Any acceptor of any Paxos can write such a log: a line for each promise *)
(* and for each vote, in its own order, and what it takes to be decided.   *)
(* There is no clock that all acceptors share, so nothing says which line  *)
(* of one log was written before which line of another.  The logs are      *)
(* checked at the end, as a whole, and this is enough:                     *)
(*                                                                         *)
(* Whatever Voting does is accepted.  A vote is cast when a quorum Q has   *)
(* promised its ballot and the votes of Q below that ballot show that it   *)
(* is safe.  Promises only grow, so Q has still promised it at the end;    *)
(* and none of Q votes below it any more, and no vote is withdrawn, so the *)
(* votes of Q below it are the same at the end.                            *)
(*                                                                         *)
(* Whatever is accepted Voting can do.  Take the lines of all logs in the  *)
(* order of their ballots.  Each log keeps its own order, for its ballots  *)
(* do not go down.  Before the first vote in ballot b let each acceptor    *)
(* that has promised b or more promise b: it has no line below b left, and *)
(* a promise is always safe.  Now all votes below b are cast, so what the  *)
(* logs show at the end about a vote in b they show here, and each line is *)
(* a step of Voting.                                                       *)
(*                                                                         *)
(* So what Voting guarantees holds of accepted logs: in no slot were two   *)
(* values chosen, nor will be, as long as the acceptors go on as Voting    *)
(* allows.  models/MCVoteLogs.tla has both directions checked, and         *)
(* models/BrokenVoteLogs.tla shows that no condition can be left out.      *)
(***************************************************************************)
EXTENDS Naturals, Sequences

CONSTANTS Acceptor, Slot, Value, Ballot, IsQuorum(_)     \* as in Voting

At(votes, promised) == INSTANCE Voting

-----------------------------------------------------------------------------
(* A log is a sequence of lines [ballot, cast].  Cast is a set of          *)
(* [slot, value]: the votes of this line, none if it is a promise only.    *)
(* A vote is a promise as well.  `logs` is a function from acceptors to    *)
(* logs, and an acceptor that is not in its domain is missing.             *)

Missing(logs) == Acceptor \ DOMAIN logs

VotesOf(a, log) ==
    UNION {{[node |-> a, slot |-> c.slot, ballot |-> log[i].ballot, value |-> c.value] :
                c \in log[i].cast} : i \in DOMAIN log}

Votes(logs) == UNION {VotesOf(a, logs[a]) : a \in DOMAIN logs}

PromisedIn(log) == IF log = <<>> THEN 0 ELSE log[Len(log)].ballot

Promised(logs) ==
    [a \in Acceptor |-> IF a \in DOMAIN logs THEN PromisedIn(logs[a]) ELSE 0]

InSlot(S, slot) == {x \in S : x.slot = slot}

-----------------------------------------------------------------------------
(* A log alone: each line is a step of its acceptor, as far as that        *)
(* acceptor knows.  No line is below the promise that was made before it.  *)

LinesBelow(log) == {i \in 2..Len(log) : log[i].ballot < log[i - 1].ballot}

KeepsPromises(log) == LinesBelow(log) = {}

(* A slot: its votes in all logs, against what all logs show at the end.   *)
(* Slots share nothing but the promises, and so are checked one by one.    *)

OneValueAt(votes, promised) == At(votes, promised)!OneValuePerBallot

(* A missing acceptor may have promised every ballot, and may have voted   *)
(* for what a vote needs.  So a quorum with one shows whatever is needed.  *)

MayVote(votes, promised, missing, x) ==
    \/ At(votes, promised)!MayVote(x.node, x.slot, x.ballot, x.value)
    \/ /\ missing # {}
       /\ IsQuorum(missing \cup At(votes, promised)!Bound(x.node, x.ballot))

(* The same for TLC, which would look at every subset of many acceptors.   *)
(* If a quorum shows a vote to be safe, and c is the highest ballot in     *)
(* which it voted below that vote, then all that voted in none between     *)
(* show it as well; and more is a quorum, too.                             *)

Upto(votes, promised, x, c) ==
    {p \in At(votes, promised)!Bound(x.node, x.ballot) :
        \A y \in votes : (y.node = p /\ y.slot = x.slot /\ y.ballot < x.ballot)
                         => y.ballot <= c}

MayVoteByLargest(votes, promised, missing, x) ==
    LET below == {y \in votes : y.slot = x.slot /\ y.ballot < x.ballot}
        shows(Q) == /\ IsQuorum(Q)
                    /\ At(votes, promised)!ShowsSafeAt(Q, x.slot, x.ballot, x.value)
    IN  \/ /\ \A y \in votes : (y.slot = x.slot /\ y.ballot = x.ballot) => y.value = x.value
           /\ \E c \in {0} \cup {y.ballot : y \in below} :
                  shows(Upto(votes, promised, x, c))
        \/ /\ missing # {}
           /\ IsQuorum(missing \cup At(votes, promised)!Bound(x.node, x.ballot))

Choices(votes, promised) == At(votes, promised)!Choices

MayBeChosen(votes, promised, missing, d) ==
    LET voters(b) == {x.node : x \in {y \in votes : /\ y.slot = d.slot
                                                    /\ y.ballot = b
                                                    /\ y.value = d.value}}
    IN  \/ d \in Choices(votes, promised)
        \/ /\ missing # {}
           /\ \E b \in {0} \cup {x.ballot : x \in votes} : IsQuorum(missing \cup voters(b))

Agreed(choices) == \A c, d \in choices : c.slot = d.slot => c = d

-----------------------------------------------------------------------------
(* What is wrong with a slot.  If no log is missing, the last condition    *)
(* follows from the others.                                                *)

BallotsOfTwoValues(votes, promised) ==
    {b \in {x.ballot : x \in votes} : ~OneValueAt({x \in votes : x.ballot = b}, promised)}

VotesNotShown(votes, promised, missing) ==
    {x \in votes : ~MayVote(votes, promised, missing, x)}

NotChosen(votes, promised, missing, decided) ==
    {d \in decided : ~MayBeChosen(votes, promised, missing, d)}

IsAgreed(votes, promised, decided) == Agreed(decided \cup Choices(votes, promised))

SlotIsAccepted(votes, promised, missing, decided) ==
    /\ BallotsOfTwoValues(votes, promised) = {}
    /\ VotesNotShown(votes, promised, missing) = {}
    /\ NotChosen(votes, promised, missing, decided) = {}
    /\ IsAgreed(votes, promised, decided)

(* `decided` is what any acceptor takes to be decided: a set of            *)
(* [slot, value].                                                          *)

Accepted(logs, decided) ==
    /\ \A a \in DOMAIN logs : KeepsPromises(logs[a])
    /\ LET votes == Votes(logs)
           promised == Promised(logs)
           missing == Missing(logs)
       IN  \A slot \in Slot :
               SlotIsAccepted(InSlot(votes, slot), promised, missing, InSlot(decided, slot))
=============================================================================
