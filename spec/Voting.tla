------------------------------- MODULE Voting -------------------------------
(***************************************************************************)
(* Why Paxos is safe, without a message: acceptors, ballots, votes.        *)
(*                                                                         *)
(* In each slot there is a series of elections, the ballots.  An acceptor  *)
(* votes at most once in a ballot, and a value is chosen in a slot when a  *)
(* quorum has voted for it in one ballot.  Different ballots might choose  *)
(* different values; that they do not is what is argued here.              *)
(*                                                                         *)
(* The argument.  A value is safe at ballot b if no other value was chosen *)
(* or ever will be in a ballot below b.  If all votes are for safe values, *)
(* and no ballot has votes for two values, then of two chosen values the   *)
(* later one was safe, so it is the same one.                              *)
(*                                                                         *)
(* How an acceptor knows that a value is safe at b: a quorum has promised  *)
(* to vote no more below b, so what its members voted below b they have    *)
(* voted for good.  Any value chosen below b needs a vote of one of them,  *)
(* for quorums meet.  Let c be the highest ballot below b in which one of  *)
(* them voted.  Above c nothing was or will be chosen; in c only the value *)
(* of that vote can be; and it was safe at c.  So it is safe at b.  If     *)
(* none of them voted, any value is.                                       *)
(*                                                                         *)
(* One promise holds for all slots.  This is all there is to Multi-Paxos:  *)
(* once a quorum has promised b, every slot of which it has nothing to     *)
(* report is open to any value, and needs no further promise.              *)
(***************************************************************************)
EXTENDS Naturals

CONSTANTS
    Acceptor, Slot, Value,
    Ballot,         \* the ballots: numbers above 0
    IsQuorum(_)     \* any two quorums share an acceptor; more is a quorum too

VARIABLES
    votes,          \* every vote cast: a set of [node, slot, ballot, value]
    promised        \* acceptor -> it votes in no ballot below; 0 is none

Vote(a, slot, b, v) == [node |-> a, slot |-> slot, ballot |-> b, value |-> v]

TypeOK ==
    /\ votes \subseteq [node : Acceptor, slot : Slot, ballot : Ballot, value : Value]
    /\ promised \in [Acceptor -> Ballot \cup {0}]

-----------------------------------------------------------------------------
(* What is chosen, and what can still be. *)

VotedFor(a, slot, b, v) == Vote(a, slot, b, v) \in votes

DidNotVoteAt(a, slot, b) ==
    ~ \E x \in votes : x.node = a /\ x.slot = slot /\ x.ballot = b

ChosenAt(slot, b, v) == IsQuorum({a \in Acceptor : VotedFor(a, slot, b, v)})

Choices ==
    {[slot |-> x.slot, value |-> x.value] :
        x \in {y \in votes : ChosenAt(y.slot, y.ballot, y.value)}}

CannotVoteAt(a, slot, b) == promised[a] > b /\ DidNotVoteAt(a, slot, b)

NoneOtherChoosableAt(slot, b, v) ==
    IsQuorum({a \in Acceptor : VotedFor(a, slot, b, v) \/ CannotVoteAt(a, slot, b)})

SafeAt(slot, b, v) ==
    \A c \in {x \in Ballot : x < b} : NoneOtherChoosableAt(slot, c, v)

-----------------------------------------------------------------------------
(* What acceptor a may do: promise ballot b, and vote in it for some slots *)
(* at once, or for none.                                                   *)
(*                                                                         *)
(* Guards that one may miss.  No process requests a's promise: a promise   *)
(* is always safe.  A ballot needs no leader: that no two values are voted *)
(* for in it is a condition on the votes, and how to ensure it is left to  *)
(* the protocol.  And a may vote in a slot where a value was chosen: only  *)
(* that value is safe there.                                               *)

ShowsSafeAt(Q, slot, b, v) ==
    LET below == {x \in votes : x.node \in Q /\ x.slot = slot /\ x.ballot < b}
    IN  \/ below = {}
        \/ \E x \in below : x.value = v /\ \A y \in below : y.ballot <= x.ballot

(* Acceptors that never vote below b again, once a promises b. *)

Bound(a, b) == {p \in Acceptor : p = a \/ promised[p] >= b}

MayVote(a, slot, b, v) ==
    /\ \A x \in votes : (x.slot = slot /\ x.ballot = b) => x.value = v
    /\ \E Q \in SUBSET Bound(a, b) : IsQuorum(Q) /\ ShowsSafeAt(Q, slot, b, v)

Act(a, b, cast) ==
    /\ b >= promised[a]
    /\ \A x \in cast : /\ x.node = a /\ x.ballot = b
                       /\ x.slot \in Slot /\ x.value \in Value
                       /\ MayVote(a, x.slot, b, x.value)
    /\ \A x, y \in cast : x.slot = y.slot => x = y
    /\ promised' = [promised EXCEPT ![a] = b]
    /\ votes' = votes \cup cast

Init == votes = {} /\ promised = [a \in Acceptor |-> 0]

Next ==
    \E a \in Acceptor, b \in Ballot :
        \E cast \in SUBSET {Vote(a, slot, b, v) : slot \in Slot, v \in Value} :
            Act(a, b, cast)

Spec == Init /\ [][Next]_<<votes, promised>>

-----------------------------------------------------------------------------
(* What is true.  Inv is inductive: it holds at first, and every step from *)
(* any state in which it holds leads to one in which it holds, whether or  *)
(* not that state can be reached.  models/MCVoting.tla has it checked.    *)

VotesKeepPromises == \A x \in votes : x.ballot <= promised[x.node]

OneValuePerBallot ==
    \A x, y \in votes : (x.slot = y.slot /\ x.ballot = y.ballot) => x.value = y.value

VotesSafe == \A x \in votes : SafeAt(x.slot, x.ballot, x.value)

Inv == TypeOK /\ VotesKeepPromises /\ OneValuePerBallot /\ VotesSafe

(* The level above: what a log holds is what was chosen. *)

C == INSTANCE Consensus WITH chosen <- Choices

RefinesConsensus == C!Spec
=============================================================================
