---------------------------- MODULE MCInvariant ----------------------------
(***************************************************************************)
(* How TLC is bounded to check that the invariant of MultiPaxos is         *)
(* inductive: Inv /\ Next => Inv', from every state that satisfies it.     *)
(*                                                                         *)
(* There are too many such clusters to start in each.  But the assertions  *)
(* of Invariant are local and so are the steps: a step reads one node and  *)
(* at most one message.  So TLC starts in every state that consists of     *)
(*                                                                         *)
(*   any votes and promises that satisfy VotesInv,                         *)
(*   one node, `record.node`, in any state that satisfies NodeInv,         *)
(*   at most one message, any that satisfies MessageInv, and               *)
(*   the other nodes with nothing but their disks,                         *)
(*                                                                         *)
(* and takes one step, of one of two kinds.                                *)
(*                                                                         *)
(*   Own     The node takes the message, or times out, crashes, restarts,  *)
(*           as in MultiPaxos.  VotesInv must hold afterwards, NodeInv     *)
(*           of this node, MessageInv of every message sent; and the step  *)
(*           must be one of Voting (OwnStepsAreVoting) and forget no       *)
(*           decision (DecidedStays).                                      *)
(*   Others  Another node votes and promises anything that Voting allows   *)
(*           and after which VotesInv holds.  NodeInv of this node must    *)
(*           survive it, and so must MessageInv of a message.              *)
(*                                                                         *)
(* Why this is enough.  Take any cluster in which Inv holds and any step   *)
(* of a node n in it.  Leave out what is volatile in the other nodes, and  *)
(* all messages but the one that is received.  What is left is one of the  *)
(* states above, for no assertion about it reads what was left out, and n  *)
(* does the same in it.  So the checks of Own show that after the step     *)
(* VotesInv and NodeInv(n) hold, and MessageInv of all that was sent.      *)
(*                                                                         *)
(* Now take another node q, or a message that was there before.  To them   *)
(* the step of n is one of Others: it is a step of Voting and VotesInv     *)
(* holds afterwards, by the checks of Own.  So the check of Others shows   *)
(* that NodeInv(q), and MessageInv of the message, survive it.             *)
(*                                                                         *)
(* What a node knows to be decided may grow in a step, and in Others it    *)
(* does not.  No NodeInv reads what another node knows, and a MessageInv   *)
(* requires of a node only that it knows enough; no case is lost, as long  *)
(* as DecidedStays.                                                        *)
(*                                                                         *)
(* For the same reason the other nodes know nothing at all in a state with *)
(* a message to this node, except for what its `known` has of the sender.  *)
(* And all versions are 0, for no assertion is about them.                 *)
(***************************************************************************)
EXTENDS MC, Invariant, Histories, TLC

Values == {m.body.value : m \in Proposals}

Partial(S, T) == UNION {[D -> T] : D \in SUBSET S}      \* functions from part of S

-----------------------------------------------------------------------------
(* The requests of clients.  Of three nodes with three ballots             *)
(* each owns one; that a node meets answers to an older ballot of its own  *)
(* takes two nodes (Clashes), or four ballots (TwoSlots, at random).       *)

OneEach ==      \* every node proposes in one slot; a log is read
    {Ask("c1", "n1", 1, 1, "v1"), Ask("c2", "n2", 1, 1, "v2"),
     Ask("c3", "n3", 1, 1, "v1"), AskLog("c3", "n1", 2)}

Clashes ==      \* two nodes, each with requests for two values in the slot
    {Ask("c1", "n1", 1, 1, "v1"), Ask("c2", "n1", 1, 1, "v2"),
     Ask("c1", "n2", 2, 1, "v1"), Ask("c2", "n2", 2, 1, "v2"), AskLog("c3", "n1", 3)}

Alone ==        \* a cluster of one is asked for two values in a slot
    {Ask("c1", "n1", 1, 1, "v1"), Ask("c2", "n1", 1, 1, "v2"),
     AskLog("c3", "n1", 3)}

TwoSlots ==     \* and in a second slot, too
    OneEach \cup {Ask("c1", "n1", 4, 2, "v2"), Ask("c2", "n2", 4, 2, "v1"),
                  Ask("c3", "n3", 4, 2, "v2")}

-----------------------------------------------------------------------------
(* All votes that satisfy VotesInv, given all promises, ballot by          *)
(* ballot: whether a vote is backed depends on votes below it.             *)

At(h, p) == INSTANCE Voting WITH
    Acceptor <- Node, Slot <- Slots, Value <- Values, Ballot <- Ballots,
    votes <- h, promised <- p

LedByOwner(h, b) ==
    \A x \in h : x.ballot = b => [x EXCEPT !.node = Owner(b)] \in h

Backed(h, p, b) ==
    \A x \in h : x.ballot = b => At(h, p)!MayVote(x.node, x.slot, b, x.value)

BackedVotes(p) ==
    LET led(b) == {h \in Elections({a \in Node : p[a] >= b}, Slots, b, Values) :
                      LedByOwner(h, b)}
        fits(h, b) == Backed(h, p, b)
    IN  Histories(MaxBallot, led, fits)

-----------------------------------------------------------------------------
(* All states of node n that satisfy NodeInv.  Its durable part is given   *)
(* by its votes, its promise, and the slots K that it knows.  From here on *)
(* `cast` has its value.                                                   *)

ValueOf(slot) == (CHOOSE c \in Choices : c.slot = slot).value

LastVotes(n, K) ==
    LET mine == {x \in cast : x.node = n}
        last(slot) == CHOOSE x \in mine :
            x.slot = slot /\ \A y \in mine : y.slot = slot => y.ballot <= x.ballot
    IN  [slot \in {x.slot : x \in mine} \ K |->
            Vote(last(slot).ballot, last(slot).value)]

Disk(n, b, K) ==
    [Fresh EXCEPT !.promised = b,
                  !.accepted = LastVotes(n, K),
                  !.decided = [slot \in K |-> ValueOf(slot)]]

Lines(n, K) ==      \* what may wait at n, in what order, and how
    LET asked == {m \in Proposals : m.dest = n /\ m.body.slot \notin K}
        orders == UNION {{q \in [1..Cardinality(S) -> S] : Range(q) = S} :
                            S \in SUBSET asked}
    IN  UNION {{[i \in DOMAIN q |-> [request |-> q[i], phase1_skipped |-> f[i]]] :
                   f \in [DOMAIN q -> BOOLEAN]} : q \in orders}

(* On top of disk d: n runs ballot b, in Phase 1 or leading. *)

Collects(d, K, p, b) ==
    LET promises == {S \in SUBSET {a \in Node : p[a] >= b} : ~IsQuorum(S)}
        votes == {Vote(x.ballot, x.value) : x \in {y \in cast : y.ballot < b}}
    IN  {s \in {[d EXCEPT !.ballot = b, !.promises = S, !.closed = C, !.reported = R] :
                    S \in promises, C \in SUBSET (ChosenSlots \ K),
                    R \in Partial(Slots \ K, votes)} : Phase1Inv(s)}

Leads(n, d, K, p, b) ==
    LET promises == {S \in SUBSET {a \in Node : p[a] >= b} : IsQuorum(S)}
        votes == Partial(DOMAIN d.accepted, SUBSET Node)
    IN  {s \in {[d EXCEPT !.ballot = b, !.promises = S, !.closed = C, !.votes = f] :
                    S \in promises, C \in SUBSET (ChosenSlots \ K), f \in votes} :
            LeadInv(n, s)}

States(n, p) ==
    UNION {
        LET d == Disk(n, p[n], K)
            b == p[n]
            runs == IF b = 0 \/ Owner(b) # n THEN {}
                    ELSE Some(Collects(d, K, p, b)) \cup Some(Leads(n, d, K, p, b))
        IN  {[d EXCEPT !.up = FALSE]} \cup
            {[s EXCEPT !.waiting = line] : s \in {d} \cup runs, line \in Some(Lines(n, K))} :
        K \in SUBSET ChosenSlots}

Delayed(s) == {w.request : w \in {x \in Range(s.waiting) : ~x.phase1_skipped}}

-----------------------------------------------------------------------------
(* All messages from q to n that satisfy MessageInv. *)

Prepares(q, p) ==
    {Prepare(b, K) : b \in {c \in 1..p[q] : Owner(c) = q}, K \in SUBSET ChosenSlots}

PromisesTo(n, q, p) ==
    LET votes(b) == {Vote(x.ballot, x.value) :
                        x \in {y \in cast : y.node = q /\ y.ballot <= b}}
        bodies(b, K) == {[type |-> "promise", ballot |-> b, accepted |-> f, known |-> K] :
                            f \in Partial(Slots \ K, votes(b))}
    IN  UNION {{body \in bodies(b, K) :
                   \A slot \in Slots : ReportInv(q, body, slot, Slots)} :
               b \in {c \in 1..p[q] : Owner(c) = n}, K \in SUBSET ChosenSlots}

Phase2(n, q) ==
    LET mine == {x \in cast : x.node = q}
    IN  {Accept(x.ballot, x.slot, x.value) : x \in {y \in mine : Owner(y.ballot) = q}}
        \cup {[type |-> "accepted", ballot |-> x.ballot, slot |-> x.slot] :
                  x \in {y \in mine : Owner(y.ballot) = n}}

Decisions ==
    {Decided(c.slot, c.value) : c \in Choices}
    \cup {Learn(K) : K \in SUBSET ChosenSlots}
    \cup {Learned([slot \in K |-> ValueOf(slot)], more, 0) :
              K \in SUBSET ChosenSlots, more \in BOOLEAN}
    \cup {Poll(0)}

Sent(n, q, p) ==
    {Message(q, n, body) :
        body \in Some(Prepares(q, p)) \cup Some(PromisesTo(n, q, p)) \cup Some(Phase2(n, q))
                 \cup {Rejected(b) : b \in 1..p[q]} \cup Some(Decisions)}

-----------------------------------------------------------------------------
(* The states to start in.  Each is filtered by the assertions themselves, *)
(* so it does no harm if the sets above hold too much.                     *)

Nothing == [q \in Node |-> {}]

Start(n, s, p, known) ==
    /\ replica = [q \in Node |-> IF q = n THEN s ELSE Disk(q, p[q], known[q])]
    /\ delayed = [q \in Node |-> IF q = n THEN Delayed(s) ELSE {}]
    /\ record = [node |-> n, input |-> Event("none"), output |-> <<>>]
    /\ NodeInv(n)

(* A node alone, or with a request.  A node that is down takes no          *)
(* message.                                                                *)

ANode(n, p) ==
    \E s \in States(n, p) :
        /\ Start(n, s, p, Nothing)
        /\ network \in {{}} \cup {{m} : m \in {x \in Requests : x.dest = n /\ s.up}}

Claim(m) == IF m.body.type \in {"prepare", "learn"} THEN m.body.known ELSE {}

ANodeAndAMessage(n, p) ==
    LET states == {x \in States(n, p) : x.up}
    IN  \E q \in Node \ {n} :
        LET messages == Sent(n, q, p)
        IN  \E s \in states, K \in {Claim(m) : m \in messages} :
            /\ Start(n, s, p, [Nothing EXCEPT ![q] = K])
            /\ \E m \in messages : network = {m} /\ Claim(m) = K /\ MessageInv(m)

(* A message to another node than `record.node`.  A `learn` or `poll`      *)
(* asserts nothing about votes, and a `learned` the same as some `decided`. *)

AMessage(n, p) ==
    \E q \in Node \ {n} : \E m \in Sent(n, q, p) : \E K \in SUBSET ChosenSlots :
        /\ m.body.type \notin {"learn", "poll", "learned"}
        /\ K = {} \/ m.body.type = "promise"
        /\ Start(q, Disk(q, p[q], Claim(m)), p, [Nothing EXCEPT ![n] = K])
        /\ network = {m} /\ MessageInv(m)

InductiveInit ==
    \E p \in Some([Node -> 0..MaxBallot]) : \E h \in BackedVotes(p) :
        /\ cast = h
        /\ \E n \in Node : ANode(n, p) \/ ANodeAndAMessage(n, p) \/ AMessage(n, p)

-----------------------------------------------------------------------------
(* One step from there. *)

Own(n) ==
    \/ network = {} /\ (\/ Timeout(n) \/ Repeat(n) \/ Inquire(n) \/ Expire(n)
                       \/ Crash(n) \/ Restart(n))
    \/ \E m \in network : m.dest = n /\ Receive(n, m)

Offers(q, b) ==     \* what q may vote for at once
    {{[node |-> q, slot |-> slot, ballot |-> b, value |-> f[slot]] : slot \in DOMAIN f} :
        f \in Partial(Slots, Values)}

Acts(q) ==
    \E b \in {c \in 1..MaxBallot : c >= replica[q].promised},
       K \in {Known(replica[q])} :
        \E new \in Offers(q, b) :
            /\ cast' = cast \cup new
            /\ replica' = [replica EXCEPT ![q] = Disk(q, b, K)']
            /\ V!Act(q, b, new)
            /\ VotesInv'
            /\ UNCHANGED <<network, delayed, record>>

Others(n) ==
    \/ network = {} /\ \E q \in Node \ {n} : Acts(q)
    \/ \E m \in network : m.dest # n /\ \E q \in Node : Acts(q)

InductiveNext == TLCGet("level") = 1 /\ (Own(record.node) \/ Others(record.node))

InductiveSpec == InductiveInit /\ [][InductiveNext]_vars

(* What must hold before and after the step.  Of the other nodes only the  *)
(* disks count, and VotesInv covers these.                                 *)

LocalInv == VotesInv /\ NodeInv(record.node) /\ \A m \in network : MessageInv(m)

(* A step of Others leaves `record` as it is.                              *)

OwnStepsAreVoting ==
    [][record' = record \/ UNCHANGED <<cast, Promises>>
       \/ V!Act(record'.node, replica'[record'.node].promised, cast' \ cast)]_vars

(* What makes two states the same: which node acts is not left out. *)

Focused == <<Seen, record.node>>

-----------------------------------------------------------------------------
(* What has to be known of the sets above: that they hold all there is.    *)
(* Here is every state of a node and every message, drawn from sets that   *)
(* know nothing of the invariant and filtered by it; each must be among    *)
(* them.  This is only good for small constants.                           *)

EveryVote == [node : Node, slot : Slots, ballot : 1..MaxBallot, value : Values]

EveryReport == Partial(Slots, {Vote(b, v) : b \in 1..MaxBallot, v \in Values})

EveryDisk(b) ==
    {[Fresh EXCEPT !.promised = b, !.accepted = f, !.decided = g] :
        f \in EveryReport, g \in Partial(Slots, Values)}

EveryState(n, d) ==
    {[d EXCEPT !.up = up, !.ballot = b, !.promises = S, !.closed = C,
               !.reported = R, !.votes = f, !.waiting = line] :
        up \in BOOLEAN, b \in 0..MaxBallot, S \in SUBSET Node, C \in SUBSET Slots,
        R \in EveryReport, f \in Partial(Slots, SUBSET Node), line \in Lines(n, {})}

EveryBody ==
    LET ballots == 1..MaxBallot
        some == Partial(Slots, Values)
    IN  [type : {"prepare"}, ballot : ballots, known : SUBSET Slots]
        \cup [type : {"promise"}, ballot : ballots, known : SUBSET Slots,
              accepted : EveryReport]
        \cup [type : {"accept"}, ballot : ballots, slot : Slots, value : Values]
        \cup [type : {"accepted"}, ballot : ballots, slot : Slots]
        \cup [type : {"rejected"}, promised : ballots]
        \cup [type : {"decided"}, slot : Slots, value : Values]
        \cup [type : {"learn"}, known : SUBSET Slots]
        \cup [type : {"learned"}, decided : some, more : BOOLEAN, version : {0}]
        \cup [type : {"poll"}, version : {0}]

PlainInit ==
    \E p \in [Node -> 0..MaxBallot], n \in Node :
        \/ /\ cast \in SUBSET EveryVote
           /\ Start(n, Disk(n, p[n], {}), p, Nothing)
           /\ network = {} /\ VotesInv
        \/ /\ cast \in BackedVotes(p)
           /\ \E d \in {x \in EveryDisk(p[n]) : DurableInv(n, x)} :
              \E s \in EveryState(n, d) : Start(n, s, p, Nothing)
           /\ network = {}
        \/ /\ cast \in BackedVotes(p)
           /\ \E K \in [Node -> SUBSET ChosenSlots] :
                  Start(n, Disk(n, p[n], K[n]), p, K)
           /\ network \in {{Message(n, q, b)} : q \in Node \ {n}, b \in EveryBody}
           /\ LocalInv

PlainSpec == PlainInit /\ [][FALSE]_vars

NothingIsMissing ==
    LET n == record.node
    IN  /\ cast \in BackedVotes(Promises)
        /\ replica[n] \in States(n, Promises)
        /\ \A m \in network : m \in Sent(m.dest, n, Promises)

(* And VotesInv implies Voting's invariant.                                *)

VotingInv == V!Inv
=============================================================================
