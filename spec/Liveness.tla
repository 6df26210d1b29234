------------------------------ MODULE Liveness ------------------------------
(***************************************************************************)
(* Liveness.  MultiPaxos.tla defines what a node may do and what is always *)
(* true; a cluster that does nothing satisfies it.  This module states     *)
(* what must be assumed of time, crashes and the network for progress, and *)
(* what progress is: while one node proposes, a majority is up and the     *)
(* messages between its members are not all lost for ever, every request   *)
(* is answered and every started slot is decided.                          *)
(*                                                                         *)
(* That one node proposes is an assumption too: no protocol that is always *)
(* safe also ends always (Fischer, Lynch and Paterson), and two nodes that *)
(* preempt each other show it (models/Duel.tla).                           *)
(*                                                                         *)
(* A node does here what it does there, action by action; only the end of  *)
(* each action differs, LossyStep in place of Step, because the network    *)
(* and the histories do.  Bounds are in models/Live.tla.                   *)
(***************************************************************************)
EXTENDS MultiPaxos

CONSTANTS
    Repeated,   \* requests that their clients repeat until answered
    Patient,    \* nodes that time out again and again
    Polling,    \* nodes that poll their peers again and again
    Returning,  \* nodes that do not stay down
    Links       \* what is not lost for ever: [type, src, dest] each, or with `more`

VARIABLES
    answered,   \* history: the requests that were answered
    crashes     \* history: how many crashes there were

live == <<vars, answered, crashes>>

-----------------------------------------------------------------------------
(* The network.  In MultiPaxos.tla a message that was sent stays, and one  *)
(* that is lost is one that no node receives.  There a message that is     *)
(* sent again does not differ from one that is not, so no formula could be *)
(* about repeating.  Here `network` holds the messages in transit: one     *)
(* that is received or lost is removed, and only its sender can send it    *)
(* again.  So a message arrives twice only if it is sent twice; a network  *)
(* that repeats messages by itself is left to the safety models.           *)
(*                                                                         *)
(* A request stays, for its client repeats it.                             *)
(*                                                                         *)
(* The histories of MultiPaxos.tla do not matter for liveness and would    *)
(* only distinguish states that are the same, so they do not change.       *)

Histories == <<cast, delayed, record>>

(* Three openings for models: which steps there are, which messages leave  *)
(* their sender, and which are still worth carrying after the step.        *)

May(n, input, t) == TRUE
Leaving(messages) == messages
Carried(messages) == messages

Replies(n, r, output) ==
    \E m \in Range(output) :
        m.src = n /\ m.dest = r.src /\ m.body.in_reply_to = r.body.msg_id

LossyStep(n, input, t) ==
    /\ May(n, input, t)
    /\ replica' = [replica EXCEPT ![n] = t.state]
    /\ network' = Carried(
           (network \ ({input} \ Requests))
           \cup {m \in Leaving(Range(t.output)) : m.dest \in Node})
    /\ answered' = answered \cup {r \in Requests : Replies(n, r, t.output)}
    /\ crashes' = IF input = Event("crash") THEN crashes + 1 ELSE crashes
    /\ UNCHANGED Histories

Lose(m) ==
    /\ network' = network \ {m}
    /\ UNCHANGED <<replica, answered, crashes, Histories>>

LossyInit == Init /\ answered = {} /\ crashes = 0

LossyNext == Next \/ \E m \in network \ Requests : Lose(m)

-----------------------------------------------------------------------------
(* Fairness.                                                               *)
(*                                                                         *)
(*   requests   A client repeats its request, so one that is neither       *)
(*              waiting nor answered is received while the node is up.     *)
(*   time       A node whose timeout has something to do times out, and    *)
(*              one that polls its peers does so again and again.          *)
(*   returns    A node that is down restarts.                              *)
(*   links      What is on its way again and again, to a node that is up,  *)
(*              is received again and again.  A link may lose any finite   *)
(*              number of messages in a row, and infinitely many in all.   *)
(*              A `learned` with more answers another query than one       *)
(*              without, so it counts as another type.                     *)
(*                                                                         *)
(* The first three are weak fairness, the last is strong: a loss ends what *)
(* weak fairness would need to last.  Instead of WF and SF they are        *)
(* written out with what makes the action possible, which says the same    *)
(* (DueIsDue, OnItsWay) and saves TLC the search for a step at every step. *)
(*                                                                         *)
(* That crashes end is assumed too.  It is no formula here, for every      *)
(* model bounds their number.                                              *)

Undelivered(r) ==
    LET s == replica[r.dest]
    IN  s.up /\ r \notin answered /\ \A w \in Range(s.waiting) : w.request # r

Due(n) ==
    /\ replica[n].up
    /\ LET t == Begin(n)
       IN  \/ Stuck(t.state) /\ ~InPhase1(t.state)
           \/ ~(Leaving(Range(Again(n, t).output)) \subseteq network)

PollIsDue(n) ==
    /\ n \in Restless /\ replica[n].up
    /\ ~(Leaving(Range(Polls(n, Peers(n)))) \subseteq network)

DueIsDue ==
    \A n \in Node : /\ Due(n) = ENABLED <<Timeout(n)>>_live
                     /\ PollIsDue(n) = ENABLED <<Inquire(n)>>_live

On(m, link) ==
    /\ m.body.type = link.type /\ m.src = link.src /\ m.dest = link.dest
    /\ "more" \in DOMAIN link => m.body.more = link.more

InTransit(link) == replica[link.dest].up /\ \E m \in network : On(m, link)

Deliver(link) ==
    \E m \in network \ network' : On(m, link) /\ Receive(m.dest, m)

OnItsWay ==
    \A link \in Links :
        InTransit(link) =
            \E m \in network :
                On(m, link) /\ ENABLED (Receive(m.dest, m) /\ m \notin network')

Fairness ==
    /\ \A r \in Repeated : []<>~Undelivered(r)
    /\ \A n \in Patient : []<>~Due(n) \/ []<><<Timeout(n)>>_live
    /\ \A n \in Polling : []<>~PollIsDue(n) \/ []<><<Inquire(n)>>_live
    /\ \A n \in Returning : []<>replica[n].up
    /\ \A link \in Links : []<>InTransit(link) => []<><<Deliver(link)>>_live

LossySpec == LossyInit /\ [][LossyNext]_live /\ Fairness

-----------------------------------------------------------------------------
(* Liveness.  The links that are needed are those between the              *)
(* proposing node and one other, if the two are a majority of three; what  *)
(* a third node does, receives or loses cannot prevent it.                 *)

EveryRequestIsAnswered == <>(Requests \subseteq answered)

(* A slot is started when a node has voted in it.  It is decided by the    *)
(* node that got the request; the others receive the decision or query it. *)

Started(slot) == \E n \in Node : slot \in DOMAIN replica[n].accepted

EveryStartedSlotIsDecided ==
    \A r \in Requests :
        Started(r.body.slot) ~> (r.body.slot \in Known(replica[r.dest]))

(* A node that polls comes to know what the others know.                   *)

EveryDecisionIsLearned ==
    \A n \in Restless : \A r \in Requests :
        r.body.slot \in Known(replica[r.dest]) ~> r.body.slot \in Known(replica[n])
=============================================================================
