--------------------------- MODULE BrokenLiveness ---------------------------
(***************************************************************************)
(* Bugs that make nothing false and keep the answer away for ever.  As in  *)
(* Broken.tla each operator replaces one of MultiPaxos.tla in one .cfg;    *)
(* the property that TLC must find violated is one of Liveness.tla.        *)
(***************************************************************************)
EXTENDS Live, Broken

(* What was lost once is lost (in place of Again). *)

RepeatsNothing(n, t) == t

(* Only the last peer gets messages again, though it may be down (in place *)
(* of Again).                                                              *)

RepeatsToOne(n, t) ==
    LET s == t.state
        last == <<Peers(n)[Len(Peers(n))]>>
        repeat(u, slot) == Say(u, Send(n, last,
            Accept(s.ballot, slot, s.accepted[slot].value)))
    IN  IF InPhase1(s) THEN Say(t, Send(n, last, Prepare(s.ballot, Known(s))))
        ELSE Fold(repeat, t, Ascending(DOMAIN s.votes))

(* A prepare is sent again, an accept is not (in place of Again). *)

RepeatsPrepare(n, t) ==
    LET s == t.state
        silent == SelectSeq(Peers(n), LAMBDA p : p \notin s.promises)
    IN  IF InPhase1(s) THEN Say(t, Send(n, silent, Prepare(s.ballot, Known(s))))
        ELSE t

(* The prepare of a ballot already promised is not answered again (in      *)
(* place of ReceivePrepare).                                               *)

PromisesOnce(n, m) ==
    /\ Receives(n, m, "prepare")
    /\ LET t == Begin(n)
           b == m.body.ballot
           s == Follow(t.state, b)
       IN  Step(n, m,
           IF b <= t.state.promised THEN Say(t, Answer(m, Rejected(t.state.promised)))
           ELSE Say([t EXCEPT !.state = s], Answer(m,
                    [type     |-> "promise",
                     ballot   |-> b,
                     accepted |-> Without(s.accepted, m.body.known),
                     known    |-> Known(s) \ m.body.known])))

(* A vote already cast is not reported again (in place of ReceiveAccept). *)

VotesOnce(n, m) ==
    /\ Receives(n, m, "accept")
    /\ LET t == Begin(n)
           b == m.body.ballot
           slot == m.body.slot
           vote == Vote(b, m.body.value)
           followed == [t EXCEPT !.state = Follow(t.state, b)]
       IN  Step(n, m,
           IF slot \in Known(t.state)
           THEN Say(t, Answer(m, Decided(slot, t.state.decided[slot])))
           ELSE IF b < t.state.promised
           THEN Say(t, Answer(m, Rejected(t.state.promised)))
           ELSE IF slot \in DOMAIN t.state.accepted /\ t.state.accepted[slot] = vote
           THEN t
           ELSE Say(VoteFor(n, followed, b, slot, m.body.value), Answer(m,
                    [type |-> "accepted", ballot |-> b, slot |-> slot])))

(* A vote needs a ballot higher than the one promised: then a promise is   *)
(* refused what it was given for (in place of ReceiveAccept, as the next). *)

WantsHigher(n, m) ==
    /\ Receives(n, m, "accept")
    /\ LET t == Begin(n)
           b == m.body.ballot
           slot == m.body.slot
           followed == [t EXCEPT !.state = Follow(t.state, b)]
       IN  Step(n, m,
           IF slot \in Known(t.state)
           THEN Say(t, Answer(m, Decided(slot, t.state.decided[slot])))
           ELSE IF b <= t.state.promised
           THEN Say(t, Answer(m, Rejected(t.state.promised)))
           ELSE Say(VoteFor(n, followed, b, slot, m.body.value), Answer(m,
                    [type |-> "accepted", ballot |-> b, slot |-> slot])))

(* A vote needs the very ballot promised: a node that missed the prepare   *)
(* will never vote.                                                        *)

WantsPromised(n, m) ==
    /\ Receives(n, m, "accept")
    /\ LET t == Begin(n)
           b == m.body.ballot
           slot == m.body.slot
       IN  Step(n, m,
           IF slot \in Known(t.state)
           THEN Say(t, Answer(m, Decided(slot, t.state.decided[slot])))
           ELSE IF b # t.state.promised
           THEN Say(t, Answer(m, Rejected(t.state.promised)))
           ELSE Say(VoteFor(n, t, b, slot, m.body.value), Answer(m,
                    [type |-> "accepted", ballot |-> b, slot |-> slot])))

(* All are waited for, not most (in place of IsQuorum). *)

WaitsForAll(S) == S = Node

(* What came before the ballot led is left in the queue (in place of Lead). *)

LeavesQueue(n, t) ==
    LET inherited == t.state.reported
        inherit(u, slot) == Propose(n, u, slot, inherited[slot].value)
        started == [t EXCEPT !.state.reported = <<>>]
    IN  Fold(inherit, started, Ascending(DOMAIN inherited \ t.state.closed))

-----------------------------------------------------------------------------
(* Mistakes in the conditions of fairness: a node is taken to have         *)
(* something to do whenever it is up (in place of Due), and a message to   *)
(* be on its way to a node that is down (in place of InTransit).           *)

DueWhenUp(n) == replica[n].up

InTransitAnyway(link) == \E m \in network : On(m, link)

(* No poll is answered, so a node that missed a decision never learns it   *)
(* (in place of ReceivePoll).                                              *)

IgnoresPolls(n, m) == Receives(n, m, "poll") /\ Step(n, m, Begin(n))
=============================================================================
