------------------------------ MODULE Invariant ------------------------------
(***************************************************************************)
(* An inductive invariant of MultiPaxos: it holds at first, and every step *)
(* from any state in which it holds, reached or not, leads to one in which *)
(* it holds.  So it holds in every state of every run, however long.       *)
(*                                                                         *)
(* It is a conjunction of local assertions: one of the votes and promises  *)
(* alone, one for each node, one for each message on its way.              *)
(*                                                                         *)
(*   VotesInv        reads `cast` and the promises of all nodes            *)
(*   NodeInv(n)      reads these and the state of n                        *)
(*   MessageInv(m)   reads these, and what m's sender and receiver know    *)
(*                   to be decided                                         *)
(*                                                                         *)
(* No assertion reads the volatile state of two nodes, or two messages.    *)
(* That is what makes it possible to check the invariant one node and one  *)
(* message at a time (see models/MCInvariant.tla), and it works because    *)
(* what they assert of other nodes is stable: a vote is never withdrawn,   *)
(* a promise never shrinks, what is decided stays, and a node that has     *)
(* promised b never again votes below b.                                   *)
(*                                                                         *)
(* Most of what is asserted is used: some step would otherwise break       *)
(* another assertion.  The rest is the meaning of the state (a closed slot *)
(* was chosen), or is what SkipIsTrue rests on (WaitingInv).               *)
(***************************************************************************)
EXTENDS MultiPaxos

Slots == {m.body.slot : m \in Proposals}

ChosenSlots == {c.slot : c \in Choices}

Promised(b) == {n \in Node : replica[n].promised >= b}

(* The votes that the nodes in S cast in a slot below ballot b; whether a  *)
(* vote is one of them, and whether none of them is above it.              *)

Below(S, slot, b) ==
    {x \in cast : x.node \in S /\ x.slot = slot /\ x.ballot < b}

IsOneOf(vote, votes) ==
    \E x \in votes : vote = Vote(x.ballot, x.value)

TopsAll(vote, votes) == \A x \in votes : x.ballot <= vote.ballot

(* A function from slots to votes is right about a slot if it has the      *)
(* highest of these votes, or no entry where there is none.                *)

RightAbout(f, slot, votes) ==
    IF slot \in DOMAIN f THEN IsOneOf(f[slot], votes) /\ TopsAll(f[slot], votes)
    ELSE votes = {}

-----------------------------------------------------------------------------
(* Votes and promises.  No node votes in a ballot before its owner, so its *)
(* owner alone picks the value; and every vote could be cast again now: a  *)
(* quorum of nodes that promised its ballot still shows its value to be    *)
(* safe.  An acceptor that gets an `accept` cannot see that quorum; it     *)
(* relies on the owner's having seen it.                                   *)
(*                                                                         *)
(* This implies Voting's invariant, V!Inv: that all votes are for safe     *)
(* values.  It is stronger: it also states why they are.                   *)

OwnersVoteFirst == \A x \in cast : [x EXCEPT !.node = Owner(x.ballot)] \in cast

VotesAreBacked == \A x \in cast : V!MayVote(x.node, x.slot, x.ballot, x.value)

VotesAreProposed == \A x \in cast : Proposed(x.slot, x.value)

VotesInv ==
    /\ V!TypeOK /\ V!VotesKeepPromises
    /\ OwnersVoteFirst /\ VotesAreBacked /\ VotesAreProposed

(* A value comes from a request to a node that has voted in its slot.  No  *)
(* other assertion needs this, so it is not one of Inv: RefusalIsTrue      *)
(* rests on it.                                                            *)

VotesAreRequested ==
    \A x \in cast :
        \E r \in Proposals :
            /\ r.body.slot = x.slot /\ r.body.value = x.value
            /\ \E y \in cast : y.node = r.dest /\ y.slot = x.slot

(* What the proofs show of the votes after each action.  VotesAreBacked is *)
(* not here: no step of Voting violates it, so no action does.             *)

VotesFit ==
    /\ V!TypeOK /\ V!VotesKeepPromises
    /\ OwnersVoteFirst /\ VotesAreProposed /\ VotesAreRequested

-----------------------------------------------------------------------------
(* What is on a node's disk: what it knows to be decided was chosen, and   *)
(* in the other slots it remembers its last vote.                          *)

DurableInv(n, s) ==
    /\ \A slot \in Known(s) : Chosen(slot, s.decided[slot])
    /\ DOMAIN s.accepted \subseteq Slots \ Known(s)
    /\ \A slot \in Slots \ Known(s) :
           RightAbout(s.accepted, slot, Below({n}, slot, s.promised + 1))

(* A node that runs a ballot owns it, and promised no higher one.  Those   *)
(* counted as having promised it have; so what they voted below it they    *)
(* voted for good.  A closed slot is one that was chosen.                  *)

RunsInv(n, s) ==
    IF s.ballot = 0
    THEN /\ s.promises = {} /\ s.closed = {}
         /\ s.reported = <<>> /\ s.votes = <<>>
    ELSE /\ s.ballot = s.promised /\ Owner(s.ballot) = n
         /\ n \in s.promises /\ s.promises \subseteq Promised(s.ballot)
         /\ s.closed \subseteq ChosenSlots \ Known(s)
         /\ IsQuorum({n}) => s.closed = {}

(* Phase 1.  No node has voted in the ballot, for its owner has not.  The  *)
(* reports are the highest votes of the nodes that promised, except in     *)
(* closed slots, where a promise may have left out a vote; there they are  *)
(* votes, but not always the highest.                                      *)

NoVotes(b, slot) == \A x \in cast : ~(x.ballot = b /\ x.slot = slot)

Reports(s, slot) ==
    LET below == Below(s.promises, slot, s.ballot)
    IN  IF slot \in s.closed
        THEN slot \in DOMAIN s.reported => IsOneOf(s.reported[slot], below)
        ELSE RightAbout(s.reported, slot, below)

Phase1Inv(s) ==
    /\ s.votes = <<>>
    /\ DOMAIN s.reported \subseteq Slots \ Known(s)
    /\ \A slot \in Slots \ Known(s) : NoVotes(s.ballot, slot) /\ Reports(s, slot)
    /\ \A slot \in Known(s) : NoVotes(s.ballot, slot)

(* Phase 2.  A slot is open (voted in by the leader), closed, known, or    *)
(* free.  In a closed or a free one no node has voted in this ballot.  In  *)
(* a free one the quorum of promises has no vote below it either, now or   *)
(* ever: this is why a leader may propose any value there, at any time,    *)
(* without a new Phase 1.                                                  *)

Open(s) == DOMAIN s.votes

CountedVoted(n, s, slot) ==
    /\ n \in s.votes[slot] /\ ~IsQuorum(s.votes[slot])
    /\ \A a \in s.votes[slot] :
           \E x \in cast : x.node = a /\ x.slot = slot /\ x.ballot = s.ballot

IsFree(s, slot) == Below(s.promises, slot, s.ballot) = {}

LeadInv(n, s) ==
    /\ s.reported = <<>>
    /\ Open(s) \subseteq DOMAIN s.accepted \ s.closed
    /\ \A slot \in Open(s) : CountedVoted(n, s, slot)
    /\ \A slot \in Slots \ (Open(s) \cup Known(s)) : NoVotes(s.ballot, slot)
    /\ \A slot \in Slots \ (Open(s) \cup Known(s) \cup s.closed) : IsFree(s, slot)

(* Requests wait at the node that they were sent to, once, and for slots   *)
(* that it does not know to be decided: at a leader for open and closed    *)
(* ones only.  phase1_skipped is false if they were seen in a Phase 1.     *)
(* In a cluster of one nothing waits: it decides within the request.       *)

NothingWaits(n, s) == IsQuorum({n}) => s.waiting = <<>>

WaitingInv(n, s) ==
    LET requests == {w.request : w \in Range(s.waiting)}
    IN  /\ requests \subseteq {m \in Proposals : m.dest = n}
        /\ \A i, j \in DOMAIN s.waiting :
               s.waiting[i].request = s.waiting[j].request => i = j
        /\ NothingWaits(n, s)
        /\ \A w \in Range(s.waiting) :
               /\ w.request.body.slot \notin Known(s)
               /\ Leading(s) => w.request.body.slot \in Open(s) \cup s.closed
               /\ w.phase1_skipped = (w.request \notin delayed[n])
        /\ delayed[n] \subseteq requests
        /\ InPhase1(s) => delayed[n] = requests

DownInv(s) == s.up \in BOOLEAN /\ (~s.up => s = [Durable(s) EXCEPT !.up = FALSE])

NodeInv(n) ==
    LET s == replica[n]
    IN  /\ DurableInv(n, s)
        /\ RunsInv(n, s)
        /\ InPhase1(s) => Phase1Inv(s)
        /\ Leading(s) => LeadInv(n, s)
        /\ WaitingInv(n, s)
        /\ DownInv(s)

-----------------------------------------------------------------------------
(* What a message asserts, when it is sent and ever after.                 *)
(*                                                                         *)
(* prepare    The sender owns the ballot, has promised it, and knows what  *)
(*            the slots in `known`.                                        *)
(* promise    The sender has promised the ballot.  The votes reported are  *)
(*            its own, and no other that it cast below the ballot is       *)
(*            higher.  (One may be in the ballot itself: a promise may be  *)
(*            repeated after a vote.  Then its receiver, a voter already,  *)
(*            collects promises for it no more.)  A slot without a report  *)
(*            has no vote below the ballot, or is in the sender's `known`  *)
(*            and was chosen, or the receiver knows it to be decided, as   *)
(*            the prepare that is answered shows.                          *)
(* accept     The sender owns the ballot and has cast this vote.           *)
(* accepted   The sender has voted in this slot and ballot.                *)
(* rejected   The sender has promised this ballot.                         *)
(* decided    This value was chosen, and so for each slot of `learned`.    *)
(* learn      The sender knows the slots in `known`.                       *)
(* poll       Nothing: safety does not depend on versions.                 *)

HasVoted(a, b) ==       \* in the slot and ballot of the body b
    \E x \in cast : x.node = a /\ x.slot = b.slot /\ x.ballot = b.ballot

ReportInv(a, b, slot, known) ==     \* b is the body of a promise of a
    LET below == Below({a}, slot, b.ballot)
    IN  IF slot \in DOMAIN b.accepted
        THEN /\ IsOneOf(b.accepted[slot], Below({a}, slot, b.ballot + 1))
             /\ TopsAll(b.accepted[slot], below)
        ELSE below = {} \/ slot \in b.known \cup known

PromiseInv(src, dest, b) ==
    /\ dest = Owner(b.ballot)
    /\ src \in Promised(b.ballot)
    /\ b.known \subseteq ChosenSlots
    /\ DOMAIN b.accepted \subseteq Slots \ b.known
    /\ \A slot \in Slots : ReportInv(src, b, slot, Known(replica[dest]))

BodyInv(src, dest, b) ==
    CASE b.type = "prepare"  -> /\ src = Owner(b.ballot) /\ src \in Promised(b.ballot)
                                /\ b.known \subseteq Known(replica[src])
      [] b.type = "promise"  -> PromiseInv(src, dest, b)
      [] b.type = "accept"   -> /\ src = Owner(b.ballot)
                                /\ V!VotedFor(src, b.slot, b.ballot, b.value)
      [] b.type = "accepted" -> dest = Owner(b.ballot) /\ HasVoted(src, b)
      [] b.type = "rejected" -> src \in Promised(b.promised)
      [] b.type = "decided"  -> Chosen(b.slot, b.value)
      [] b.type = "learn"    -> b.known \subseteq Known(replica[src])
      [] b.type = "poll"     -> TRUE
      [] b.type = "learned"  -> \A slot \in DOMAIN b.decided :
                                    Chosen(slot, b.decided[slot])
      [] OTHER               -> FALSE

MessageInv(m) ==
    \/ m \in Requests
    \/ /\ m.dest \in Node /\ m.src \in Node \ {m.dest}
       /\ BodyInv(m.src, m.dest, m.body)

-----------------------------------------------------------------------------
Inv ==
    /\ VotesInv
    /\ \A n \in Node : NodeInv(n)
    /\ \A m \in network : MessageInv(m)
=============================================================================
