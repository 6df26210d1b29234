------------------------------- MODULE Broken -------------------------------
(***************************************************************************)
(* Bugs that implementations really have.  Each operator here replaces one *)
(* of MultiPaxos.tla, in one .cfg, and TLC must find the property violated *)
(* that models.toml names.  Nothing here is part of the protocol; an       *)
(* operator repeats the one it replaces except for the mistake that its    *)
(* comment names.                                                          *)
(*                                                                         *)
(* A broken protocol gives no right to leave messages out, so these models *)
(* keep the dead ones.                                                     *)
(***************************************************************************)
EXTENDS MC

-----------------------------------------------------------------------------
(* What a crash keeps: in place of Durable. *)

(* The promise is not on disk. *)

LosesPromise(s) == [Fresh EXCEPT !.accepted = s.accepted, !.decided = s.decided]

(* `accepted` leaves before the vote is on disk. *)

LosesVotes(s) == [Fresh EXCEPT !.promised = s.promised, !.decided = s.decided]

(* The disk is lost, and the node takes part as if it were new. *)

LosesDisk(s) == Fresh

(* Decisions are kept in memory alone. *)

LosesDecisions(s) == [Fresh EXCEPT !.promised = s.promised, !.accepted = s.accepted]

-----------------------------------------------------------------------------
(* Quorums and ballots: in place of IsQuorum, NextBallot and Leading. *)

(* Half of the nodes are a quorum.  (What is chosen is then read with such  *)
(* quorums too, and is still not one value.)                               *)

TakesHalf(S) == 2 * Cardinality(S) >= Len(Members)

(* Every node counts its ballots by one, so two nodes run the same. *)

SharesBallots(n, b) == b + 1

(* To have started a ballot is to lead it. *)

LeadsAtOnce(s) == s.ballot > 0

-----------------------------------------------------------------------------
(* Following: in place of Follow. *)

(* To lead is a state of the process: it goes on in the ballot followed. *)

KeepsLeading(s, b) ==
    IF b <= s.promised THEN s
    ELSE [s EXCEPT !.promised = b, !.ballot = IF @ = 0 THEN 0 ELSE b]

(* Any other ballot is followed, higher or not. *)

FollowsBack(s, b) ==
    IF b = s.promised THEN s
    ELSE [s EXCEPT !.promised = b, !.ballot = 0, !.promises = {},
                   !.reported = <<>>, !.closed = {}, !.votes = <<>>]

(* On a rejection the leader takes a higher ballot and goes on without a   *)
(* new Phase 1 (in place of ReceiveRejected).                              *)

SkipsPhase1(n, m) ==
    /\ Receives(n, m, "rejected")
    /\ LET t == Begin(n)
           b == NextBallot(n, m.body.promised)
           risen == [t EXCEPT !.state.promised = b, !.state.ballot = b]
           again(u, slot) == Propose(n, u, slot, u.state.accepted[slot].value)
       IN  Step(n, m,
           IF Leading(t.state) /\ m.body.promised > t.state.promised
           THEN Fold(again, risen, Ascending(DOMAIN t.state.votes))
           ELSE [t EXCEPT !.state = Follow(@, m.body.promised)])

-----------------------------------------------------------------------------
(* Starting a ballot: in place of StartBallot. *)

Started(n, t, promised, reported, waiting) ==
    LET b == NextBallot(n, t.state.promised)
        s == [t.state EXCEPT
                 !.promised = promised,
                 !.ballot = b,
                 !.promises = {n},
                 !.reported = reported,
                 !.closed = {},
                 !.votes = <<>>,
                 !.waiting = waiting]
        asked == Say([t EXCEPT !.state = s],
                     Send(n, Peers(n), Prepare(b, Known(s))))
    IN  IF IsQuorum({n}) THEN Lead(n, asked) ELSE asked

Late(t) ==
    [i \in DOMAIN t.state.waiting |->
        [t.state.waiting[i] EXCEPT !.phase1_skipped = FALSE]]

(* The ballot is not promised to the node itself. *)

BreaksOwnPromise(n, t) ==
    Started(n, t, t.state.promised, t.state.accepted, Late(t))

(* The node's own votes are not among those it looks at. *)

ForgetsOwnVotes(n, t) ==
    Started(n, t, NextBallot(n, t.state.promised), <<>>, Late(t))

(* A request that waits for a second Phase 1 is taken for one that skipped *)
(* it, since there was a leader when it came.                              *)

ForgetsDelay(n, t) ==
    Started(n, t, NextBallot(n, t.state.promised), t.state.accepted, t.state.waiting)

-----------------------------------------------------------------------------
(* Phase 1. *)

Promise(m, accepted, known) ==
    Answer(m, [type |-> "promise", ballot |-> m.body.ballot,
               accepted |-> accepted, known |-> known])

(* Promised, but not kept (in place of ReceivePrepare, as the next two). *)

PromisesLightly(n, m) ==
    /\ Receives(n, m, "prepare")
    /\ LET t == Begin(n)
           s == t.state
       IN  Step(n, m,
           IF m.body.ballot < s.promised THEN Say(t, Answer(m, Rejected(s.promised)))
           ELSE Say(t, Promise(m, Without(s.accepted, m.body.known),
                               Known(s) \ m.body.known)))

(* Votes are reported up to slot 4. *)

ReportsTooFew(n, m) ==
    /\ Receives(n, m, "prepare")
    /\ LET t == Begin(n)
           s == Follow(t.state, m.body.ballot)
           unreported == m.body.known \cup {slot \in DOMAIN s.accepted : slot > 4}
       IN  Step(n, m,
           IF m.body.ballot < s.promised THEN Say(t, Answer(m, Rejected(s.promised)))
           ELSE Say([t EXCEPT !.state = s],
                    Promise(m, Without(s.accepted, unreported),
                            Known(s) \ m.body.known)))

(* A decided slot has no vote to report, and is not reported otherwise.  *)

HidesDecisions(n, m) ==
    /\ Receives(n, m, "prepare")
    /\ LET t == Begin(n)
           s == Follow(t.state, m.body.ballot)
       IN  Step(n, m,
           IF m.body.ballot < s.promised THEN Say(t, Answer(m, Rejected(s.promised)))
           ELSE Say([t EXCEPT !.state = s],
                    Promise(m, Without(s.accepted, m.body.known), {})))

TakePromise(n, m, votes, current, better(_, _, _)) ==
    LET t == Begin(n)
        s == t.state
        s2 == [s EXCEPT
                  !.promises = @ \cup {m.src},
                  !.reported = [slot \in DOMAIN @ \cup DOMAIN votes |->
                      IF slot \in DOMAIN votes
                      THEN better(votes[slot], @, slot) ELSE @[slot]],
                  !.closed = @ \cup (m.body.known \ Known(s))]
        collected == [t EXCEPT !.state = s2]
    IN  Step(n, m,
        IF ~InPhase1(s) \/ ~current THEN t
        ELSE IF IsQuorum(s2.promises) THEN Lead(n, collected)
        ELSE collected)

(* A promise counts whatever its ballot (in place of ReceivePromise, as    *)
(* the next two).                                                          *)

CountsOldPromises(n, m) ==
    /\ Receives(n, m, "promise")
    /\ TakePromise(n, m, Without(m.body.accepted, Known(replica[n])), TRUE, Higher)

(* A report lands one slot off. *)

MisplacesReports(n, m) ==
    /\ Receives(n, m, "promise")
    /\ LET votes == m.body.accepted
           moved == [slot \in {x + 1 : x \in DOMAIN votes} |-> votes[slot - 1]]
       IN  TakePromise(n, m, Without(moved, Known(replica[n])),
                       m.body.ballot = replica[n].ballot, Higher)

(* A report is compared with the node's own vote only: of those of others  *)
(* the last one wins.                                                      *)

HeedsLastReport(n, m) ==
    /\ Receives(n, m, "promise")
    /\ LET own == replica[n].accepted
           better(vote, f, slot) == Higher(vote, own, slot)
       IN  TakePromise(n, m, Without(m.body.accepted, Known(replica[n])),
                       m.body.ballot = replica[n].ballot, better)

(* The lowest ballot's vote is inherited (in place of Higher). *)

InheritsLowest(vote, f, slot) ==
    IF slot \notin DOMAIN f \/ f[slot].ballot > vote.ballot THEN vote ELSE f[slot]

(* The leader proposes the requested value although votes were reported    *)
(* (in place of Lead).                                                     *)

IgnoresReports(n, t) ==
    LET serve(u, w) == Serve(n, u, w)
        started == [t EXCEPT !.state.reported = <<>>]
        served == Fold(serve, started, started.state.waiting)
    IN  IF served.state.closed = {} THEN served
        ELSE Say(served, Send(n, Peers(n), Learn(Known(served.state))))

-----------------------------------------------------------------------------
(* Phase 2. *)

(* A second value is proposed in a slot (in place of Serve, as the next). *)

ProposesTwice(n, t, w) ==
    LET slot == w.request.body.slot
    IN  IF slot \in t.state.closed THEN t
        ELSE Propose(n, t, slot, w.request.body.value)

(* A slot that another node knows to be decided is taken for a free one. *)

IgnoresClosed(n, t, w) ==
    LET slot == w.request.body.slot
    IN  IF slot \in DOMAIN t.state.votes THEN t
        ELSE Propose(n, t, slot, w.request.body.value)

(* A late accept is voted for, below the promise (in place of              *)
(* ReceiveAccept).                                                         *)

VotesBelowPromise(n, m) ==
    /\ Receives(n, m, "accept")
    /\ LET t == Begin(n)
           b == m.body.ballot
           slot == m.body.slot
           followed == [t EXCEPT !.state = Follow(t.state, b)]
       IN  Step(n, m,
           IF slot \in Known(t.state)
           THEN Say(t, Answer(m, Decided(slot, t.state.decided[slot])))
           ELSE Say(VoteFor(n, followed, b, slot, m.body.value), Answer(m,
                    [type |-> "accepted", ballot |-> b, slot |-> slot])))

(* An acceptor votes in a ballot that it never promised, and promises none *)
(* by it: it will vote below (in place of ReceiveAccept, too).             *)

VotesWithoutPromise(n, m) ==
    /\ Receives(n, m, "accept")
    /\ LET t == Begin(n)
           b == m.body.ballot
           slot == m.body.slot
       IN  Step(n, m,
           IF slot \in Known(t.state)
           THEN Say(t, Answer(m, Decided(slot, t.state.decided[slot])))
           ELSE IF b < t.state.promised
           THEN Say(t, Answer(m, Rejected(t.state.promised)))
           ELSE Say(VoteFor(n, t, b, slot, m.body.value), Answer(m,
                    [type |-> "accepted", ballot |-> b, slot |-> slot])))

(* A vote of an earlier ballot counts if the slot is open (in place of     *)
(* ReceiveAccepted).                                                       *)

CountsOldVotes(n, m) ==
    /\ Receives(n, m, "accepted")
    /\ LET t == Begin(n)
       IN  Step(n, m,
           IF m.body.slot \in DOMAIN t.state.votes
           THEN Count(n, t, m.body.slot, m.src)
           ELSE t)

(* A value is decided one vote too early (in place of Count). *)

DecidesEarly(n, t, slot, voter) ==
    LET counted == [t EXCEPT !.state.votes = Put(@, slot, @[slot] \cup {voter})]
        v == t.state.accepted[slot].value
    IN  IF 2 * (Cardinality(counted.state.votes[slot]) + 1) > Len(Members)
        THEN Say(Decide(n, counted, slot, v), Send(n, Peers(n), Decided(slot, v)))
        ELSE counted

-----------------------------------------------------------------------------
(* What clients and nodes receive. *)

(* A vote is taught as if it were a decision (in place of ReceiveLearn). *)

TeachesVotes(n, m) ==
    /\ Receives(n, m, "learn")
    /\ LET t == Begin(n)
           votes == t.state.accepted
           some == DOMAIN votes \ m.body.known
       IN  Step(n, m, Say(t, Answer(m,
               Learned([slot \in some |-> votes[slot].value], FALSE, Version(t.state)))))

(* What lies above the first gap in what a node knows is not taught (in    *)
(* place of ReceiveLearn, too).                                            *)

TeachesToFirstGap(n, m) ==
    /\ Receives(n, m, "learn")
    /\ LET t == Begin(n)
           known == Known(t.state)
           prefix == {slot \in known : 1..slot \subseteq known}
           missing == Ascending(prefix \ m.body.known)
           some == {missing[i] : i \in {j \in DOMAIN missing : j <= Batch}}
       IN  Step(n, m, Say(t, Answer(m,
               Learned([slot \in some |-> t.state.decided[slot]],
                       Len(missing) > Batch, Version(t.state)))))

(* A further query has only the decisions of the last answer (in place of  *)
(* ReceiveLearned).                                                        *)

AsksOnWithLast(n, m) ==
    /\ Receives(n, m, "learned")
    /\ LET decide(t, slot) == Decide(n, t, slot, m.body.decided[slot])
           taught == DOMAIN m.body.decided
           t == Fold(decide, Begin(n), Ascending(taught))
       IN  Step(n, m,
           IF m.body.more THEN Say(t, Answer(m, Learn(taught)))
           ELSE KeepVersion(n, t, m.src, m.body.version))

(* The version of an answer is kept although there is more (in place of    *)
(* ReceiveLearned, too).                                                   *)

KeepsVersionEarly(n, m) ==
    /\ Receives(n, m, "learned")
    /\ LET decide(t, slot) == Decide(n, t, slot, m.body.decided[slot])
           t == Fold(decide, Begin(n), Ascending(DOMAIN m.body.decided))
           kept == KeepVersion(n, t, m.src, m.body.version)
       IN  Step(n, m,
           IF m.body.more THEN Say(kept, Answer(m, Learn(Known(t.state)))) ELSE kept)

(* A poll is answered although nothing is new, so that idle nodes send all *)
(* that they know again and again (in place of ReceivePoll).               *)

AnswersEveryPoll(n, m) ==
    /\ Receives(n, m, "poll")
    /\ LET t == Begin(n)
       IN  Step(n, m, Say(t, Answer(m, Learned(<<>>, TRUE, Version(t.state)))))

(* A node polls with its own version: two nodes that know as many slots    *)
(* need not know the same ones (in place of Polls).                        *)

PollsOwnVersion(n, nodes) ==
    [i \in 1..Len(nodes) |-> Message(n, nodes[i], Poll(Version(replica[n])))]

(* The client of a lost slot gets its own value (in place of               *)
(* ProposeOk).                                                             *)

RepliesOwnValue(request, skipped, v) ==
    [type           |-> "multi_paxos_propose_ok",
     in_reply_to    |-> request.body.msg_id,
     slot           |-> request.body.slot,
     phase1_skipped |-> skipped,
     chosen         |-> TRUE,
     value          |-> request.body.value]

(* A decided slot keeps its vote (in place of Decide, as the next). *)

KeepsVotes(n, t, slot, v) ==
    IF slot \in Known(t.state) THEN t
    ELSE
    LET asks(w) == w.request.body.slot = slot
        other(w) == ~asks(w)
        answered == SelectSeq(t.state.waiting, asks)
        s == [t.state EXCEPT
                 !.decided = Put(@, slot, v),
                 !.reported = Without(@, {slot}),
                 !.votes = Without(@, {slot}),
                 !.closed = @ \ {slot},
                 !.waiting = SelectSeq(@, other)]
        reply(w) == Message(n, w.request.src,
                            ProposeOk(w.request, w.phase1_skipped, v))
    IN  Say([t EXCEPT !.state = s],
            [i \in 1..Len(answered) |-> reply(answered[i])])

(* `phase1_skipped` is computed from the state at the reply, not at the    *)
(* request.                                                                *)

SkipsAtReply(n, t, slot, v) ==
    IF slot \in Known(t.state) THEN t
    ELSE
    LET asks(w) == w.request.body.slot = slot
        other(w) == ~asks(w)
        answered == SelectSeq(t.state.waiting, asks)
        s == [t.state EXCEPT
                 !.decided = Put(@, slot, v),
                 !.accepted = Without(@, {slot}),
                 !.reported = Without(@, {slot}),
                 !.votes = Without(@, {slot}),
                 !.closed = @ \ {slot},
                 !.waiting = SelectSeq(@, other)]
        reply(w) == Message(n, w.request.src,
                            ProposeOk(w.request, Leading(t.state), v))
    IN  Say([t EXCEPT !.state = s],
            [i \in 1..Len(answered) |-> reply(answered[i])])

(* A part of the log has one entry less than its limit (in place of        *)
(* ReceiveMultiPaxosLog, as the next).                                     *)

LogEndsEarly(n, m) ==
    /\ Receives(n, m, "multi_paxos_log")
    /\ LET s == replica[n]
           given == DOMAIN m.body
           wanted == IF "from" \in given
                     THEN {slot \in Known(s) : slot >= m.body.from} ELSE Known(s)
           slots == Ascending(wanted)
           some == IF "limit" \in given
                   THEN {i \in DOMAIN slots : i < m.body.limit} ELSE DOMAIN slots
           entry(slot) == [slot |-> slot, value |-> s.decided[slot],
                           status |-> "chosen"]
       IN  Step(n, m, Say(Begin(n), Answer(m,
               [type        |-> "multi_paxos_log_ok",
                in_reply_to |-> m.body.msg_id,
                log         |-> [i \in some |-> entry(slots[i])]])))

(* The log shows votes as chosen. *)

LogsVotes(n, m) ==
    /\ Receives(n, m, "multi_paxos_log")
    /\ LET s == replica[n]
           value(slot) == IF slot \in Known(s) THEN s.decided[slot]
                          ELSE s.accepted[slot].value
           entry(slot) == [slot |-> slot, value |-> value(slot),
                           status |-> "chosen"]
           slots == Ascending(Known(s) \cup DOMAIN s.accepted)
       IN  Step(n, m, Say(Begin(n), Answer(m,
               [type        |-> "multi_paxos_log_ok",
                in_reply_to |-> m.body.msg_id,
                log         |-> [i \in DOMAIN slots |-> entry(slots[i])]])))

-----------------------------------------------------------------------------
(* Time: in place of Timeout. *)

(* A stuck node starts a ballot at each timeout, though it runs one. *)

StartsAgain(n) ==
    /\ replica[n].up
    /\ LET t == Begin(n)
       IN  Step(n, Event("timeout"),
               IF Stuck(t.state) THEN StartBallot(n, t) ELSE Again(n, t))

-----------------------------------------------------------------------------
(* A mistake in what is left out: a rejection is taken for dead, whatever  *)
(* its receiver has promised (in place of DeadTo).                         *)

TakesRejectionsForDead(s, m, b) == b.type = "rejected"
-----------------------------------------------------------------------------
(* Giving up: in place of Indefinite. *)

(* An error always claims that nothing came of the request. *)

ClaimsTooMuch == Unavailable
=============================================================================
