----------------------------- MODULE MCVoteLogs -----------------------------
(***************************************************************************)
(* Whether logs of votes are checked rightly, in both directions.          *)
(*                                                                         *)
(* What is accepted is safe: TLC starts from every set of logs that is     *)
(* accepted, within bounds, and lets the acceptors go on as Voting allows. *)
(* At no time are two values chosen, or decided, in a slot.                *)
(*                                                                         *)
(* What Voting does is accepted: each step of Voting is written into a     *)
(* log, and the logs are accepted at any time, whichever are missing.      *)
(***************************************************************************)
EXTENDS VoteLogs, FiniteSets

CONSTANTS LongestLog

VARIABLES votes, promised, decided, logs

vars == <<votes, promised, decided, logs>>

V == INSTANCE Voting

Majority(S) == 2 * Cardinality(S) > Cardinality(Acceptor)

EveryChoice == [slot : Slot, value : Value]

Agreement == Agreed(decided \cup V!Choices)

-----------------------------------------------------------------------------
(* Every set of logs that is accepted.                                     *)

Line == [ballot : Ballot, cast : {{}} \cup {{c} : c \in EveryChoice}]

LogsThatKeepPromises ==
    {log \in UNION {[1..k -> Line] : k \in 0..LongestLog} : KeepsPromises(log)}

AcceptedInit ==
    \E found \in [Acceptor -> LogsThatKeepPromises] :
        /\ Accepted(found, {})
        /\ votes = Votes(found)
        /\ promised = Promised(found)
        /\ decided \in {choices \in SUBSET EveryChoice : Accepted(found, choices)}
        /\ logs = <<>>

GoesOn == V!Next /\ UNCHANGED <<decided, logs>>

AcceptedSpec == AcceptedInit /\ [][GoesOn]_vars

Inv == V!Inv

-----------------------------------------------------------------------------
(* Every set of logs that Voting writes. *)

WrittenInit ==
    /\ V!Init
    /\ decided = {}
    /\ logs = [a \in Acceptor |-> <<>>]

Writes ==
    \E a \in Acceptor, b \in Ballot, cast \in {{}} \cup {{c} : c \in EveryChoice} :
        /\ Len(logs[a]) < LongestLog
        /\ V!Act(a, b, {V!Vote(a, c.slot, b, c.value) : c \in cast})
        /\ logs' = [logs EXCEPT ![a] = Append(@, [ballot |-> b, cast |-> cast])]
        /\ UNCHANGED decided

WrittenSpec == WrittenInit /\ [][Writes]_vars

Only(present) == [a \in present |-> logs[a]]

IsAccepted == \A present \in SUBSET Acceptor : Accepted(Only(present), V!Choices)

-----------------------------------------------------------------------------
(* Any votes below the highest ballot, allowed or not: whether an acceptor *)
(* may vote in that ballot is the same by MayVote and by MayVoteByLargest. *)

Highest == CHOOSE b \in Ballot : \A c \in Ballot : c <= b

AnyVotesInit ==
    /\ votes \in SUBSET {V!Vote(a, slot, b, v) :
           a \in Acceptor, slot \in Slot, b \in Ballot \ {Highest}, v \in Value}
    /\ promised = [a \in Acceptor |-> 0]
    /\ decided = {}
    /\ logs = <<>>

PromisesHighest ==
    /\ \E a \in Acceptor : promised' = [promised EXCEPT ![a] = Highest]
    /\ UNCHANGED <<votes, decided, logs>>

AnyVotesSpec == AnyVotesInit /\ [][PromisesHighest]_vars

LargestIsEnough ==
    \A a \in Acceptor, slot \in Slot, v \in Value :
        LET x == V!Vote(a, slot, Highest, v)
        IN  MayVote(votes, promised, {}, x) = MayVoteByLargest(votes, promised, {}, x)
=============================================================================
