----------------------------- MODULE MultiPaxos -----------------------------
(***************************************************************************)
(* Multi-Paxos: an infinite log in which every slot is a Paxos instance.   *)
(*                                                                         *)
(* A node is a deterministic automaton: one input (a message or an event)  *)
(* goes in, a new state and a sequence of messages come out.  So each      *)
(* thing a node does is one action here, and the action is a function of   *)
(* the node's state and its input.  The Python node has one method for     *)
(* each action, under the same name, and a message log has one record for  *)
(* each step.                                                              *)
(*                                                                         *)
(* This module knows no bounds and no JSON.  How TLC is bounded is in      *)
(* models/, how a log is written and validated is in ../conformance/tla/.  *)
(*                                                                         *)
(* What a node keeps, what it sends and why that is safe is explained      *)
(* where it is defined; read from top to bottom.                           *)
(***************************************************************************)
EXTENDS Naturals, Sequences, FiniteSets

CONSTANTS
    Members,    \* the node ids, a sequence in the order given by `init`
    Requests,   \* the messages that clients may have sent: envelopes
    Batch,      \* the most decisions that one `learned` may carry
    Restless    \* the nodes that expire requests and query their peers

ASSUME Len(Members) > 0 /\ Batch > 0

VARIABLES
    replica,    \* node -> its state, durable and volatile
    network,    \* the messages between nodes that may be received
    cast,       \* history: every vote that was ever cast
    delayed,    \* history: node -> waiting requests that saw a Phase 1
    record      \* history: the last record of the message log

vars == <<replica, network, cast, delayed, record>>

-----------------------------------------------------------------------------
(* Functions and sequences.                                                *)

Range(f) == {f[x] : x \in DOMAIN f}

Put(f, x, y) == [z \in DOMAIN f \cup {x} |-> IF z = x THEN y ELSE f[z]]

Without(f, S) == [z \in DOMAIN f \ S |-> f[z]]

Fold(op(_, _), start, seq) ==
    LET after[i \in 0..Len(seq)] ==
            IF i = 0 THEN start ELSE op(after[i - 1], seq[i])
    IN  after[Len(seq)]

RECURSIVE Ascending(_)
Ascending(S) ==     \* a finite set of numbers, as an ascending sequence
    IF S = {} THEN <<>>
    ELSE LET least == CHOOSE x \in S : \A y \in S : x <= y
         IN  <<least>> \o Ascending(S \ {least})

-----------------------------------------------------------------------------
(* Membership.  Any two quorums share a node; ballots are divided among    *)
(* the nodes, so two nodes never run the same ballot.  0 is no ballot.     *)

Node == Range(Members)

Peers(n) == SelectSeq(Members, LAMBDA p : p # n)

IsQuorum(S) == 2 * Cardinality(S) > Len(Members)

Owner(b) == Members[((b - 1) % Len(Members)) + 1]

NextBallot(n, b) ==     \* the smallest ballot of n above b
    CHOOSE c \in (b + 1)..(b + Len(Members)) : Owner(c) = n

-----------------------------------------------------------------------------
(* Messages.                                                               *)
(*                                                                         *)
(*   prepare   ballot, known            Phase 1: will you follow ballot?   *)
(*   promise   ballot, accepted, known  yes; the votes I have cast         *)
(*   accept    ballot, slot, value      Phase 2: vote for this             *)
(*   accepted  ballot, slot             I have                             *)
(*   rejected  promised                 no: I promised this higher ballot  *)
(*   decided   slot, value              this is decided                    *)
(*   poll      version                  is your version another?           *)
(*   learn     known                    what else is decided?              *)
(*   learned   decided, more, version   this, and is there more?           *)
(*                                                                         *)
(* `known` is always a set of slots that the sender knows to be decided.   *)
(* It keeps Phase 1 small: a promise reports votes only for slots that     *)
(* neither side knows to be decided, and of the slots that only the        *)
(* acceptor knows it has the numbers, not the values.                      *)
(*                                                                         *)
(* With many gaps `known` is long.  So a node that has nothing to do sends *)
(* a `poll`, and `known` only to a node that knows more than it has        *)
(* learned from it.  What a node knows to be decided is durable and only   *)
(* grows, so its size is a version of it: the `version` of the node.       *)
(*                                                                         *)
(* The network loses, repeats and reorders: a message that was sent stays  *)
(* in `network` and may be received at any time, any number of times, or   *)
(* never.                                                                  *)

Event(e) == [event |-> e]     \* an input that is no message

Message(src, dest, body) == [src |-> src, dest |-> dest, body |-> body]

Send(n, nodes, body) == [i \in 1..Len(nodes) |-> Message(n, nodes[i], body)]

Prepare(b, known) == [type |-> "prepare", ballot |-> b, known |-> known]

Accept(b, slot, v) ==
    [type |-> "accept", ballot |-> b, slot |-> slot, value |-> v]

Decided(slot, v) == [type |-> "decided", slot |-> slot, value |-> v]

Rejected(b) == [type |-> "rejected", promised |-> b]

Poll(version) == [type |-> "poll", version |-> version]

Learn(known) == [type |-> "learn", known |-> known]

Learned(decided, more, version) ==
    [type |-> "learned", decided |-> decided, more |-> more, version |-> version]

ProposeOk(request, skipped, v) ==
    [type           |-> "multi_paxos_propose_ok",
     in_reply_to    |-> request.body.msg_id,
     slot           |-> request.body.slot,
     phase1_skipped |-> skipped,
     chosen         |-> TRUE,
     value          |-> v]

(* An error claims that the request had no effect and will have none, or   *)
(* (Indefinite) claims nothing.  Its text is for people and left out here. *)

Indefinite == 0
Unavailable == 11

GivenUp(request, code) ==
    [type        |-> "error",
     in_reply_to |-> request.body.msg_id,
     code        |-> code]

-----------------------------------------------------------------------------
(* A node's state.  The first three fields are durable: they are on disk   *)
(* before any message of the step that changed them leaves, and a crash    *)
(* keeps them.  The rest is volatile.                                      *)

Fresh ==
    [promised |-> 0,        \* never follow a ballot below this one
     accepted |-> <<>>,     \* slot -> last vote, for slots not yet decided
     decided  |-> <<>>,     \* slot -> value
     up       |-> TRUE,
     ballot   |-> 0,        \* the ballot this node runs, 0 if none
     promises |-> {},       \* nodes that promised it
     reported |-> <<>>,     \* Phase 1: slot -> highest vote in the promises
     closed   |-> {},       \* slots that a promise knows and this node lacks
     votes    |-> <<>>,     \* Phase 2: slot -> nodes that voted in this ballot
     waiting  |-> <<>>,     \* requests not yet answered, in order of arrival
     versions |-> [p \in Node |-> 0]]   \* node -> a version of which all is known here

Vote(b, v) == [ballot |-> b, value |-> v]

Known(s) == DOMAIN s.decided

Version(s) == Cardinality(Known(s))

Leading(s) == s.ballot > 0 /\ IsQuorum(s.promises)

InPhase1(s) == s.ballot > 0 /\ ~IsQuorum(s.promises)

(* A node that receives a higher ballot follows it and stops its own.      *)
(* Requests keep waiting: the next decision or timeout moves them on.      *)

Follow(s, b) ==
    IF b <= s.promised THEN s
    ELSE [s EXCEPT !.promised = b, !.ballot = 0, !.promises = {},
                   !.reported = <<>>, !.closed = {}, !.votes = <<>>]

-----------------------------------------------------------------------------
(* A step in progress is a record t: the state so far, the messages to     *)
(* send so far, and the votes cast so far.  A node never sends a message   *)
(* to itself: its own promise, vote and decision happen inside the step,   *)
(* so a cluster of one decides within the request.                         *)

Begin(n) == [state |-> replica[n], output |-> <<>>, cast |-> {}]

Say(t, messages) == [t EXCEPT !.output = @ \o messages]

VoteFor(n, t, b, slot, v) ==
    [t EXCEPT !.state.accepted = Put(@, slot, Vote(b, v)),
              !.cast = @ \cup
                  {[node |-> n, slot |-> slot, ballot |-> b, value |-> v]}]

(* Once a slot is decided its vote is of no more use: the decision is sent *)
(* instead.  Every request that waits for the slot is answered with the    *)
(* decided value, which may not be the one it proposed.                    *)

Decide(n, t, slot, v) ==
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
                            ProposeOk(w.request, w.phase1_skipped, v))
    IN  Say([t EXCEPT !.state = s],
            [i \in 1..Len(answered) |-> reply(answered[i])])

(* Phase 2 for one slot.  The leader's own vote is the first; with a       *)
(* quorum of votes the value is chosen.                                    *)

Count(n, t, slot, voter) ==
    LET counted == [t EXCEPT !.state.votes = Put(@, slot, @[slot] \cup {voter})]
        v == t.state.accepted[slot].value
    IN  IF IsQuorum(counted.state.votes[slot])
        THEN Say(Decide(n, counted, slot, v), Send(n, Peers(n), Decided(slot, v)))
        ELSE counted

Propose(n, t, slot, v) ==
    LET b == t.state.ballot
        voted == VoteFor(n, t, b, slot, v)
        opened == [voted EXCEPT !.state.votes = Put(@, slot, {})]
    IN  Count(n, Say(opened, Send(n, Peers(n), Accept(b, slot, v))), slot, n)

(* A leader serves a request by proposing its value, unless the slot is    *)
(* taken: proposed in already (one value per slot and ballot), or closed,  *)
(* that is, decided as far as another node knows.  No request waits for a  *)
(* slot that this node knows to be decided.                                *)

Serve(n, t, w) ==
    LET slot == w.request.body.slot
    IN  IF slot \in DOMAIN t.state.votes \cup t.state.closed
        THEN t
        ELSE Propose(n, t, slot, w.request.body.value)

(* With a quorum of promises a node leads.  A value may have been chosen   *)
(* in any slot that the promises report a vote for, and if so it is the    *)
(* one of the highest ballot; so these are proposed again, first.  Slots   *)
(* that no promise reports are free in this ballot, for as long as it      *)
(* leads: that is why Phase 1 need not be run for them.                    *)

Lead(n, t) ==
    LET inherited == t.state.reported
        inherit(u, slot) == Propose(n, u, slot, inherited[slot].value)
        serve(u, w) == Serve(n, u, w)
        started == [t EXCEPT !.state.reported = <<>>]
        again == Fold(inherit, started,
                      Ascending(DOMAIN inherited \ t.state.closed))
        served == Fold(serve, again, again.state.waiting)
    IN  IF served.state.closed = {} THEN served
        ELSE Say(served, Send(n, Peers(n), Learn(Known(served.state))))

(* Phase 1 for all slots at once.  The ballot is promised to the node      *)
(* itself, durably, before any prepare leaves: that is why it may be       *)
(* forgotten at a crash and is still never used again.                     *)

StartBallot(n, t) ==
    LET b == NextBallot(n, t.state.promised)
        late(w) == [w EXCEPT !.phase1_skipped = FALSE]
        s == [t.state EXCEPT
                 !.promised = b,
                 !.ballot = b,
                 !.promises = {n},
                 !.reported = t.state.accepted,
                 !.closed = {},
                 !.votes = <<>>,
                 !.waiting = [i \in DOMAIN @ |-> late(@[i])]]
        asked == Say([t EXCEPT !.state = s],
                     Send(n, Peers(n), Prepare(b, Known(s))))
    IN  IF IsQuorum({n}) THEN Lead(n, asked) ELSE asked

-----------------------------------------------------------------------------
(* The end of every action: node n took its input and made the step t.     *)
(* Messages to clients leave the system and are kept in `record` only.     *)

Network(n, sent) == network \cup {m \in sent : m.dest \in Node}

Step(n, input, t) ==
    LET asked == {w.request : w \in Range(t.state.waiting)}
    IN  /\ replica' = [replica EXCEPT ![n] = t.state]
        /\ record' = [node |-> n, input |-> input, output |-> t.output]
        /\ network' = Network(n, Range(t.output))
        /\ cast' = cast \cup t.cast
        /\ delayed' = [delayed EXCEPT ![n] =
               IF InPhase1(t.state) THEN asked ELSE @ \cap asked]

Receives(n, m, type) == m.body.type = type /\ m.dest = n /\ replica[n].up

Answer(m, body) == <<Message(m.dest, m.src, body)>>

-----------------------------------------------------------------------------
(* Clients.  `phase1_skipped` is false exactly when the request had to     *)
(* wait for a Phase 1.  A repeated request that still waits is not put in  *)
(* line again; one whose slot is decided is simply answered again.         *)

ReceiveMultiPaxosPropose(n, m) ==
    /\ Receives(n, m, "multi_paxos_propose")
    /\ LET t == Begin(n)
           s == t.state
           slot == m.body.slot
           w == [request |-> m, phase1_skipped |-> Leading(s)]
           queued == [t EXCEPT !.state.waiting = Append(@, w)]
       IN  Step(n, m,
           IF slot \in Known(s)
           THEN Say(t, Answer(m, ProposeOk(m, TRUE, s.decided[slot])))
           ELSE IF \E other \in Range(s.waiting) : other.request = m
           THEN t
           ELSE IF Leading(s)
           THEN Serve(n, queued, w)
           ELSE IF InPhase1(s)
           THEN queued
           ELSE StartBallot(n, queued))

(* A client may request a part of the log only: from a slot on, and no     *)
(* more than so many entries.                                              *)

ReceiveMultiPaxosLog(n, m) ==
    /\ Receives(n, m, "multi_paxos_log")
    /\ LET s == replica[n]
           given == DOMAIN m.body
           wanted == IF "from" \in given
                     THEN {slot \in Known(s) : slot >= m.body.from} ELSE Known(s)
           slots == Ascending(wanted)
           some == IF "limit" \in given
                   THEN {i \in DOMAIN slots : i <= m.body.limit} ELSE DOMAIN slots
           entry(slot) == [slot |-> slot, value |-> s.decided[slot],
                           status |-> "chosen"]
       IN  Step(n, m, Say(Begin(n), Answer(m,
               [type        |-> "multi_paxos_log_ok",
                in_reply_to |-> m.body.msg_id,
                log         |-> [i \in some |-> entry(slots[i])]])))

-----------------------------------------------------------------------------
(* Phase 1.  A prepare of the ballot already promised is answered again,   *)
(* for the first promise may be lost.                                      *)

ReceivePrepare(n, m) ==
    /\ Receives(n, m, "prepare")
    /\ LET t == Begin(n)
           b == m.body.ballot
           s == Follow(t.state, b)
       IN  Step(n, m,
           IF b < s.promised THEN Say(t, Answer(m, Rejected(s.promised)))
           ELSE Say([t EXCEPT !.state = s], Answer(m,
                    [type     |-> "promise",
                     ballot   |-> b,
                     accepted |-> Without(s.accepted, m.body.known),
                     known    |-> Known(s) \ m.body.known])))

(* A promise counts only while its ballot collects promises: once there is *)
(* a quorum the leader has chosen what to propose, and a later report      *)
(* could no longer be heeded.                                              *)

Higher(vote, f, slot) ==
    IF slot \notin DOMAIN f \/ f[slot].ballot < vote.ballot THEN vote ELSE f[slot]

ReceivePromise(n, m) ==
    /\ Receives(n, m, "promise")
    /\ LET t == Begin(n)
           s == t.state
           votes == Without(m.body.accepted, Known(s))
           s2 == [s EXCEPT
                     !.promises = @ \cup {m.src},
                     !.reported = [slot \in DOMAIN @ \cup DOMAIN votes |->
                         IF slot \in DOMAIN votes
                         THEN Higher(votes[slot], @, slot) ELSE @[slot]],
                     !.closed = @ \cup (m.body.known \ Known(s))]
           collected == [t EXCEPT !.state = s2]
       IN  Step(n, m,
           IF ~InPhase1(s) \/ m.body.ballot # s.ballot THEN t
           ELSE IF IsQuorum(s2.promises) THEN Lead(n, collected)
           ELSE collected)

-----------------------------------------------------------------------------
(* Phase 2.  An acceptor votes unless it has promised a higher ballot; a   *)
(* ballot that is new to it is as good as one that it promised.            *)

ReceiveAccept(n, m) ==
    /\ Receives(n, m, "accept")
    /\ LET t == Begin(n)
           b == m.body.ballot
           slot == m.body.slot
           followed == [t EXCEPT !.state = Follow(t.state, b)]
       IN  Step(n, m,
           IF slot \in Known(t.state)
           THEN Say(t, Answer(m, Decided(slot, t.state.decided[slot])))
           ELSE IF b < t.state.promised
           THEN Say(t, Answer(m, Rejected(t.state.promised)))
           ELSE Say(VoteFor(n, followed, b, slot, m.body.value), Answer(m,
                    [type |-> "accepted", ballot |-> b, slot |-> slot])))

ReceiveAccepted(n, m) ==
    /\ Receives(n, m, "accepted")
    /\ LET t == Begin(n)
           s == t.state
       IN  Step(n, m,
           IF m.body.ballot = s.ballot /\ m.body.slot \in DOMAIN s.votes
           THEN Count(n, t, m.body.slot, m.src)
           ELSE t)

ReceiveRejected(n, m) ==
    /\ Receives(n, m, "rejected")
    /\ LET t == Begin(n)
       IN  Step(n, m, [t EXCEPT !.state = Follow(@, m.body.promised)])

ReceiveDecided(n, m) ==
    /\ Receives(n, m, "decided")
    /\ Step(n, m, Decide(n, Begin(n), m.body.slot, m.body.value))

-----------------------------------------------------------------------------
(* Catching up: any node can be queried, and its answer is bounded.  A     *)
(* node answers with the first decisions that the other lacks.  How many   *)
(* is its own choice, for values may be long and a message must not be: at *)
(* least one, so that a node gets all by further queries, at most Batch.   *)
(*                                                                         *)
(* When there is no more, the other knows all that the node knew when it   *)
(* sent its answer, and keeps the version of that.  An answer that is late *)
(* brings an older version, which is true as well.  A poll of the version  *)
(* that the node has needs no answer; any other is answered as if there    *)
(* were more, so that the other sends what it knows.                       *)

Portions == 1..Batch

ReceivePoll(n, m) ==
    /\ Receives(n, m, "poll")
    /\ LET t == Begin(n)
           version == Version(t.state)
       IN  Step(n, m,
           IF m.body.version = version THEN t
           ELSE Say(t, Answer(m, Learned(<<>>, TRUE, version))))

ReceiveLearn(n, m) ==
    /\ Receives(n, m, "learn")
    /\ LET t == Begin(n)
           decided == t.state.decided
           missing == Ascending(Known(t.state) \ m.body.known)
           first(k) == {missing[i] : i \in {j \in DOMAIN missing : j <= k}}
       IN  \E k \in Portions : Step(n, m, Say(t, Answer(m,
               Learned([slot \in first(k) |-> decided[slot]],
                       Len(missing) > k, Version(t.state)))))

(* Only a node that polls has a use for versions.                          *)

KeepVersion(n, t, p, version) ==
    IF n \in Restless THEN [t EXCEPT !.state.versions[p] = version] ELSE t

ReceiveLearned(n, m) ==
    /\ Receives(n, m, "learned")
    /\ LET decide(t, slot) == Decide(n, t, slot, m.body.decided[slot])
           t == Fold(decide, Begin(n), Ascending(DOMAIN m.body.decided))
       IN  Step(n, m,
           IF m.body.more THEN Say(t, Answer(m, Learn(Known(t.state))))
           ELSE KeepVersion(n, t, m.src, m.body.version))

-----------------------------------------------------------------------------
(* Time.  A node that runs a ballot repeats what has not been answered, to *)
(* those that have not answered.  A node whose requests wait without a     *)
(* ballot starts one.  A node with nothing to do, and a leader with closed *)
(* slots, queries its peers for what was decided.                          *)
(*                                                                         *)
(* A leader whose request still waits for a closed slot runs Phase 1       *)
(* again: if the node that knew is gone, the others report their votes.    *)

Silent(n, replied) == SelectSeq(Peers(n), LAMBDA p : p \notin replied)

AcceptAgain(n, t, slots) ==     \* some of the slots that are open
    LET s == t.state
        repeat(u, slot) == Say(u, Send(n, Silent(n, s.votes[slot]),
            Accept(s.ballot, slot, s.accepted[slot].value)))
    IN  Fold(repeat, t, Ascending(slots))

Again(n, t) ==
    LET s == t.state
        ask(u) == Say(u, Send(n, Peers(n), Learn(Known(s))))
        accepts == AcceptAgain(n, t, DOMAIN s.votes)
    IN  IF InPhase1(s)
        THEN Say(t, Send(n, Silent(n, s.promises), Prepare(s.ballot, Known(s))))
        ELSE IF s.ballot > 0 /\ s.closed = {} THEN accepts ELSE ask(accepts)

Stuck(s) ==
    \E w \in Range(s.waiting) : s.ballot = 0 \/ w.request.body.slot \in s.closed

Timeout(n) ==
    /\ replica[n].up
    /\ LET t == Begin(n)
       IN  Step(n, Event("timeout"),
               IF Stuck(t.state) /\ ~InPhase1(t.state) THEN StartBallot(n, t)
               ELSE Again(n, t))

(* A leader may have thousands of slots open, most of them only since a    *)
(* moment ago.  To repeat all of them would cost the others more time than *)
(* the answers that they owe, and the more so the later these come.  So    *)
(* its clock may name the slots that are overdue, and just these are       *)
(* repeated.                                                               *)

Overdue(n) == (SUBSET DOMAIN replica[n].votes) \ {{}}

Repeat(n) ==
    /\ replica[n].up
    /\ \E slots \in Overdue(n) :
           Step(n, [event |-> "repeat", slots |-> slots],
                AcceptAgain(n, Begin(n), slots))

(* A leader that has nothing to repeat knows all decisions of its own      *)
(* ballot.  If another leader replaced it and no message of that arrived,  *)
(* only a query can show it; so any node may query at any time.            *)

Polls(n, nodes) ==
    LET versions == replica[n].versions
    IN  [i \in 1..Len(nodes) |-> Message(n, nodes[i], Poll(versions[nodes[i]]))]

Inquire(n) ==
    /\ n \in Restless /\ replica[n].up
    /\ Step(n, Event("inquire"), Say(Begin(n), Polls(n, Peers(n))))

(* A request that expires is answered with an error: the one that has      *)
(* waited longest, for all may wait equally long.  To propose a value is   *)
(* to vote for it, and that vote or a later one is kept, crash or not,     *)
(* until the slot is decided.  So if the node has no vote in the slot, the *)
(* request had no effect outside of it, and the error may be definite.     *)
(* With a vote it claims nothing, though the vote may be for another value *)
(* than the requested one.  Nothing else of the node changes: a value that *)
(* was proposed may yet be chosen.                                         *)

Expire(n) ==
    /\ n \in Restless /\ replica[n].up /\ replica[n].waiting # <<>>
    /\ LET t == Begin(n)
           request == Head(t.state.waiting).request
           code == IF request.body.slot \in DOMAIN t.state.accepted
                   THEN Indefinite ELSE Unavailable
       IN  Step(n, Event("expire"),
               Say([t EXCEPT !.state.waiting = Tail(@)],
                   Answer(request, GivenUp(request, code))))

-----------------------------------------------------------------------------
(* A crash keeps what is durable and nothing else.                         *)

Durable(s) ==
    [Fresh EXCEPT !.promised = s.promised, !.accepted = s.accepted,
                  !.decided = s.decided]

Crash(n) ==
    /\ replica[n].up
    /\ LET t == Begin(n)
       IN  Step(n, Event("crash"), [t EXCEPT !.state = [Durable(@) EXCEPT !.up = FALSE]])

Restart(n) ==
    /\ ~replica[n].up
    /\ LET t == Begin(n) IN Step(n, Event("restart"), [t EXCEPT !.state.up = TRUE])

-----------------------------------------------------------------------------
Init ==
    /\ replica = [n \in Node |-> Fresh]
    /\ network = Requests
    /\ cast = {}
    /\ delayed = [n \in Node |-> {}]
    /\ record = [node |-> Members[1], input |-> Event("restart"), output |-> <<>>]

Receive(n, m) ==
    \/ ReceiveMultiPaxosPropose(n, m)
    \/ ReceiveMultiPaxosLog(n, m)
    \/ ReceivePrepare(n, m)
    \/ ReceivePromise(n, m)
    \/ ReceiveAccept(n, m)
    \/ ReceiveAccepted(n, m)
    \/ ReceiveRejected(n, m)
    \/ ReceiveDecided(n, m)
    \/ ReceivePoll(n, m)
    \/ ReceiveLearn(n, m)
    \/ ReceiveLearned(n, m)

Next ==
    \/ \E m \in network : Receive(m.dest, m)
    \/ \E n \in Node :
           \/ Timeout(n) \/ Repeat(n) \/ Inquire(n) \/ Expire(n)
           \/ Crash(n) \/ Restart(n)

Spec == Init /\ [][Next]_vars

-----------------------------------------------------------------------------
(* What is true.  Voting explains why this is safe; it is the level above. *)
(* The votes of the one are the votes of the other, and so are the         *)
(* promises; it has no leaders, messages or knowledge of nodes.  What is   *)
(* chosen is read there from the votes alone,                              *)
(* never from what a node believes.                                        *)

Proposals == {m \in Requests : m.body.type = "multi_paxos_propose"}

Promises == [n \in Node |-> replica[n].promised]

Ballots == Nat \ {0}

V == INSTANCE Voting WITH
    Acceptor <- Node,
    Slot     <- {m.body.slot : m \in Proposals},
    Value    <- {m.body.value : m \in Proposals},
    Ballot   <- Ballots,
    votes    <- cast,
    promised <- Promises

Choices == V!Choices

Chosen(slot, v) == [slot |-> slot, value |-> v] \in Choices

Agreement == V!C!Agreement

OneValuePerBallot == V!OneValuePerBallot

Proposed(slot, v) ==
    \E m \in Proposals : m.body.slot = slot /\ m.body.value = v

Validity == \A c \in Choices : Proposed(c.slot, c.value)

(* A leader skips Phase 1 for a slot, never for a ballot: before any node  *)
(* votes in a ballot, a quorum has promised to vote in no lower one.  The  *)
(* leader's own vote is the first, in the step that sends the accepts.     *)

AcceptIsBacked ==
    \A b \in {c.ballot : c \in cast} :
        IsQuorum({n \in Node : replica[n].promised >= b})

DecidedIsChosen ==
    LET choices == Choices IN
    \A n \in Node : \A slot \in Known(replica[n]) :
        [slot |-> slot, value |-> replica[n].decided[slot]] \in choices

TypeOK ==
    \A n \in Node :
        LET s == replica[n] IN
        /\ s.promised \in Nat /\ s.ballot \in {0, s.promised}
        /\ s.ballot > 0 => Owner(s.ballot) = n /\ n \in s.promises
        /\ s.promises \subseteq Node
        /\ DOMAIN s.accepted \cap Known(s) = {}
        /\ \A slot \in DOMAIN s.accepted :
               s.accepted[slot].ballot \in 1..s.promised
        /\ \A slot \in DOMAIN s.votes :
               /\ Leading(s) /\ n \in s.votes[slot] /\ s.votes[slot] \subseteq Node
               /\ s.accepted[slot].ballot = s.ballot
        /\ s.reported # <<>> => InPhase1(s)
        /\ s.closed # {} => s.ballot > 0
        /\ s.closed \cap Known(s) = {}
        /\ \A w \in Range(s.waiting) : w.request \in Requests
                                       /\ w.request.body.slot \notin Known(s)
        /\ s.versions \in [Node -> Nat]
        /\ ~s.up => s = [Durable(s) EXCEPT !.up = FALSE]

(* What clients receive is true.  These are about the record that a step   *)
(* writes, so they are properties of steps.                                *)

Input(type) ==
    "body" \in DOMAIN record'.input /\ record'.input.body.type = type

Output(type) == {m \in Range(record'.output) : m.body.type = type}

ReplyIsTrue ==
    [][\A m \in Output("multi_paxos_propose_ok") :
           m.body.chosen /\ Chosen(m.body.slot, m.body.value)']_vars

LogIsTrue ==
    [][\A m \in Output("multi_paxos_log_ok") :
           \A entry \in Range(m.body.log) :
               entry.status = "chosen" /\ Chosen(entry.slot, entry.value)']_vars

(* And it is what was requested: the entries ascend, and of the slots that *)
(* the node knows none is missing but those above a log that is full.      *)

LogIsWhole ==
    [][\A m \in Output("multi_paxos_log_ok") :
           LET asked == record'.input.body
               log == m.body.log
               shown == {entry.slot : entry \in Range(log)}
               wanted(slot) == "from" \in DOMAIN asked => slot >= asked.from
               limited == "limit" \in DOMAIN asked
           IN  /\ limited => Len(log) <= asked.limit
               /\ \A i, j \in DOMAIN log : i < j => log[i].slot < log[j].slot
               /\ \A slot \in shown : wanted(slot)
               /\ \A slot \in Known(replica[m.src]) \ shown : wanted(slot) =>
                      /\ limited /\ Len(log) = asked.limit
                      /\ \A other \in shown : other < slot]_vars

(* Phase 1 ran for a request if it was seen waiting in one, or if it       *)
(* arrived at a node that had to start one.                                *)

SkipIsTrue ==
    [][\A m \in Output("multi_paxos_propose_ok") :
           LET n == m.src
               s == replica[n]
               mine(r) == r.src = m.dest /\ r.body.msg_id = m.body.in_reply_to
                          /\ r.body.slot = m.body.slot
               waited == {w.request : w \in Range(s.waiting)}
           IN  \E r \in Proposals :
                   /\ mine(r)
                   /\ m.body.phase1_skipped =
                          IF r \in waited THEN r \notin delayed[n]
                          ELSE Leading(s) \/ m.body.slot \in Known(s)]_vars

(* An error that claims that a request has no effect is true: no node has  *)
(* voted for its value, unless another node was asked for the same value   *)
(* in the same slot.  That no node ever will, unless it is requested       *)
(* again, is checked where no request comes twice (models/Once.tla).       *)

Voted(r) == \E c \in cast : c.slot = r.body.slot /\ c.value = r.body.value

Elsewhere(r) ==
    \E other \in Proposals :
        /\ other.dest # r.dest
        /\ other.body.slot = r.body.slot /\ other.body.value = r.body.value

Refuses(m, r) ==
    /\ m.body.type = "error" /\ m.body.code = Unavailable
    /\ m.src = r.dest /\ m.dest = r.src /\ m.body.in_reply_to = r.body.msg_id

RefusalIsTrue ==
    [][\A m \in Output("error") : m.body.code = Unavailable =>
           \E r \in Proposals :
               Refuses(m, r) /\ (Voted(r)' => Elsewhere(r))]_vars

(* A node that queries comes to know all that is decided: it sends all     *)
(* that it knows, and the answer carries the first slots that it lacks, at *)
(* most Batch of them, and whether there are more.                         *)

LearnedIsNext ==
    [][Input("learn") =>
           LET n == record'.node
               missing == Known(replica[n]) \ record'.input.body.known
               taught(m) == DOMAIN m.body.decided
           IN  /\ Cardinality(Output("learned")) = 1
               /\ \A m \in Output("learned") :
                      /\ m.dest = record'.input.src
                      /\ taught(m) \subseteq missing
                      /\ Cardinality(taught(m)) <= Batch
                      /\ taught(m) = {} => missing = {}
                      /\ \A slot \in missing \ taught(m) :
                             \A other \in taught(m) : other < slot
                      /\ m.body.more = (taught(m) # missing)]_vars

KnownIsSent ==
    [][\A m \in Output("learn") \cup Output("prepare") :
           m.body.known = Known(replica'[m.src])]_vars

(* A node knows all that another one knew at the version that is kept of   *)
(* it.  A poll of the present version is not answered, so while nothing is *)
(* decided no node sends all that it knows again; a poll of any other      *)
(* version is answered.                                                    *)

VersionsAreTrue ==
    \A n, p \in Node :
        LET version == replica[n].versions[p]
        IN  /\ version <= Version(replica[p])
            /\ version = Version(replica[p]) => Known(replica[p]) \subseteq Known(replica[n])

PollIsAnswered ==
    [][Input("poll") =>
           LET n == record'.node
               news == record'.input.body.version # Version(replica[n])
               answer(m) == m.dest = record'.input.src /\ m.body.more
           IN  /\ (Range(record'.output) # {}) = news
               /\ \A m \in Range(record'.output) : m \in Output("learned") /\ answer(m)]_vars

VersionIsSent ==
    [][/\ \A m \in Output("poll") : m.body.version = replica[m.src].versions[m.dest]
       /\ \A m \in Output("learned") : m.body.version = Version(replica[m.src])]_vars

(* A node does not preempt itself: while it collects promises it starts no *)
(* other ballot, whatever it receives and however long it waits.           *)

BallotsAreAwaited ==
    [][\A n \in Node : InPhase1(replica[n]) =>
           replica'[n].ballot \in {0, replica[n].ballot}]_vars

(* What is decided stays, and no promise is taken back. *)

DecidedStays ==
    [][\A n \in Node : \A slot \in Known(replica[n]) :
           /\ slot \in Known(replica'[n])
           /\ replica'[n].decided[slot] = replica[n].decided[slot]]_vars

PromisedGrows ==
    [][\A n \in Node : replica'[n].promised >= replica[n].promised]_vars

-----------------------------------------------------------------------------
(* Refinement.  A step of node n is, one level above, that n promises what *)
(* it follows afterwards and casts the votes that are new, or nothing at   *)
(* all.  VotingSpec is the same without naming them; so TLC has to search  *)
(* for them, in finitely many ballots, and only a small model does that    *)
(* (`refines-voting`).                                                     *)

RefinesVoting ==
    /\ V!Init
    /\ [][LET n == record'.node
          IN  \/ UNCHANGED <<cast, Promises>>
              \/ V!Act(n, replica'[n].promised, cast' \ cast)]_vars

VotingSpec == V!Spec
=============================================================================
