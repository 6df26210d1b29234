--------------------------------- MODULE MC ---------------------------------
(***************************************************************************)
(* How TLC is bounded: clusters, requests, limits, and what makes two      *)
(* states the same.  Nothing here defines what the protocol does or what   *)
(* must hold; a model is this module and one .cfg beside it, and           *)
(* models.toml states what each one shows.                                 *)
(***************************************************************************)
EXTENDS MultiPaxos

CONSTANTS
    MaxBallot,  \* no node promises more than this
    Fallible,   \* the nodes that may crash
    MaxLearn    \* the most queries (`learn` and `poll`) that differ

-----------------------------------------------------------------------------
(* Clusters and the requests of clients.  A request may arrive at any      *)
(* time, any number of times, or never.                                    *)

One == <<"n1">>
Two == <<"n1", "n2">>
Three == <<"n1", "n2", "n3">>
Four == <<"n1", "n2", "n3", "n4">>
Five == <<"n1", "n2", "n3", "n4", "n5">>

Ask(client, n, id, slot, v) ==
    Message(client, n, [type |-> "multi_paxos_propose", msg_id |-> id,
                        slot |-> slot, value |-> v])

AskLog(client, n, id) ==
    Message(client, n, [type |-> "multi_paxos_log", msg_id |-> id])

AskPart(client, n, id, from, limit) ==
    Message(client, n, [type |-> "multi_paxos_log", msg_id |-> id,
                        from |-> from, limit |-> limit])

Lone == {Ask("c1", "n1", 1, 1, "v1")}
Rival == Ask("c2", "n2", 1, 1, "v2")

Shared == Lone \cup {Ask("c2", "n2", 1, 1, "v1")}        \* one value, at two nodes
Rivals == Lone \cup {Rival}                              \* one slot, two values
RivalsMore == Rivals \cup {Ask("c2", "n2", 2, 2, "v2")}  \* and a free slot
Series == Lone \cup {Ask("c1", "n1", 2, 2, "v1")}        \* one client, two slots
SeriesRival == Series \cup {Rival}
SeriesMore == Series \cup {Ask("c2", "n2", 2, 2, "v2")}
Clash == Lone \cup {Ask("c2", "n1", 1, 1, "v2")}         \* two values at one node
ClashRival == Clash \cup {Ask("c3", "n2", 1, 1, "v3")}   \* and a third at another
FarRivals == {Ask("c1", "n1", 1, 5, "v1"), Ask("c2", "n2", 1, 5, "v2")}
Throng == SeriesRival \cup SeriesMore                     \* both, in both slots
              \cup {Ask("c3", "n1", 1, 1, "v3")}          \* and three values in one
Commands == Lone \cup {Ask("c2", "n2", 1, 2, "v2")}       \* two nodes, a slot each
Third == Rivals \cup {Ask("c3", "n3", 1, 1, "v3")}
Fourth == Rivals \cup {Ask("c3", "n4", 1, 1, "v3")}
LongSeries == Series \cup {Ask("c1", "n1", 3, 3, "v1")}   \* one client, three slots

Logs(nodes) == {AskLog("c3", n, 1) : n \in nodes}
Parts(n) == {AskPart("c3", n, 2, 0, 1), AskPart("c3", n, 3, 2, 2)}
ClashLog == Clash \cup {Ask("c1", "n1", 2, 2, "v1")} \cup Logs({"n1"}) \cup Parts("n1")
RivalsLog == Rivals \cup Logs({"n1", "n2"})
LongSeriesRival == LongSeries \cup {Ask("c2", "n2", 1, 1, "v2"),
                                    Ask("c2", "n2", 2, 3, "v2")} \cup Parts("n2")

-----------------------------------------------------------------------------
(* The limits.  A step that leaves them is still taken and its result is   *)
(* still checked; only what could follow is left out.                      *)

Bounded ==
    /\ \A n \in Node : replica[n].promised <= MaxBallot
    /\ \A n \in Node \ Fallible : replica[n].up
    /\ Cardinality({m \in network : m.body.type \in {"learn", "poll"}}) <= MaxLearn

(* Ballots for a model that must enumerate them: all that it can reach. *)

FewBallots == 1..(MaxBallot + Len(Members))

Asked == {m.dest : m \in Requests}

(* A node starts its ballot only after a vote was cast in each ballot of   *)
(* the nodes with requests below it.                                       *)

InTurn ==
    \A n \in Asked : \A b \in 1..(replica[n].ballot - 1) :
        Owner(b) \in Asked => \E c \in cast : c.ballot = b

(* A second slot is opened in the first ballot or a second ballot started, *)
(* not both.                                                               *)

SlotOrBallot == (\E c \in cast : c.slot = 2) => \A n \in Node : replica[n].promised <= 1

(* n1 decides slot 2 and then the others, one after the other, and n2      *)
(* takes over when two are decided, or three.                              *)

TakenOverLate ==
    /\ Len(replica["n1"].waiting) <= 1
    /\ Known(replica["n1"]) \in {{}, {2}, {1, 2}, {2, 3}, {1, 2, 3}}
    /\ replica["n2"].ballot > 0 => Cardinality(Known(replica["n1"])) >= 2

-----------------------------------------------------------------------------
(* What makes two states the same.  `record` is written by a step and read *)
(* by none, so it has no influence on later steps.  Properties of it are   *)
(* properties of steps, and TLC checks these on every step, whether or not *)
(* the state that it leads to was seen before.                             *)

Seen == <<replica, network, cast, delayed>>

(* A message is dead if to receive it changes nothing and sends nothing,   *)
(* now and ever after, so that a state with it can do no more than the     *)
(* same state without it.                                                  *)
(*                                                                         *)
(* promise    It is for a ballot of the receiver's own, which it promised  *)
(*            to itself before it sent `prepare`.  It never runs this      *)
(*            ballot a second time, for `promised` survives a crash and a  *)
(*            new ballot is above it; and while it runs, it collects       *)
(*            promises until it leads and never again.  A second promise   *)
(*            from the same node is not dead: between the two its sender   *)
(*            may have learned a decision, which then shows as a closed    *)
(*            slot.                                                        *)
(* accepted   It answers an accept of the receiver's own ballot, so its    *)
(*            slot was opened in that ballot.  A ballot that was left is   *)
(*            left for ever, a slot of the present one leaves `votes` only *)
(*            when it is decided and then for ever, and a vote counted     *)
(*            twice is counted once.                                       *)
(* rejected   `promised` never shrinks, so a node that follows this ballot *)
(*            or a higher one has nothing to learn.                        *)
(* decided    What is decided stays, and is not decided again.             *)
(* learned    The same for each of its slots; but if there is more, the    *)
(*            answer to it is a further query, and a node that polls keeps *)
(*            its version, anew after a crash.                             *)
(*                                                                         *)
(* A request, prepare, accept, learn or poll may always be answered, by    *)
(* what the receiver knows at that time, so it is never dead.              *)
(*                                                                         *)
(* A node that is down keeps all that is used above (`promised` and        *)
(* `decided`) and runs no ballot, so what is dead at a crash stays dead.   *)
(* A dead message that is sent once more stays dead too.  DeadIsDead states *)
(* the argument; it is checked where dead messages are not left out.       *)

DeadTo(s, m, b) ==      \* s receives m, and b is its body
    CASE b.type = "promise"  -> b.ballot # s.ballot \/ ~InPhase1(s)
      [] b.type = "accepted" -> \/ b.ballot # s.ballot
                                \/ b.slot \notin DOMAIN s.votes
                                \/ m.src \in s.votes[b.slot]
      [] b.type = "rejected" -> b.promised <= s.promised
      [] b.type = "decided"  -> b.slot \in Known(s)
      [] b.type = "learned"  -> /\ DOMAIN b.decided \subseteq Known(s)
                                /\ ~b.more /\ m.dest \notin Restless
      [] OTHER -> FALSE

Dead(m) == DeadTo(replica[m.dest], m, m.body)

DeadIsDead ==
    [][\A m \in network :
           Dead(m) => /\ Dead(m)'
                      /\ record'.input = m => /\ record'.output = <<>>
                                             /\ UNCHANGED Seen]_vars

(* So a model may forget dead messages as they die (Network <- Living): of *)
(* those that wait for node n, when its step has changed it, and of those  *)
(* that it sent.  No property reads the network, and `Bounded` counts only *)
(* `learn` and `poll`.                                                     *)

Living(n, sent) ==
    LET s == replica'[n]
    IN  (IF s = replica[n] THEN network
         ELSE {m \in network : m.dest # n \/ ~DeadTo(s, m, m.body)})
        \cup {m \in sent : m.dest \in DOMAIN replica
                           /\ ~DeadTo(replica'[m.dest], m, m.body)}

(* And a model that would be too large may lose all messages between these *)
(* two, so that only a third node receives from both.                      *)

Passing(sent) == {m \in sent : m.dest \in Node /\ {m.src, m.dest} # {"n1", "n2"}}

Parted(n, sent) == network \cup Passing(sent)

PartedLiving(n, sent) == Living(n, Passing(sent))

(* Of five nodes n1 gets its promises from n3 and n5, and so does n2; n4   *)
(* gets them from n1 and n2.  What is not needed for that is lost: n1's    *)
(* accepts, rejections, and decisions that answer no `learn`.              *)

Connected == {{"n1", "n3"}, {"n1", "n5"}, {"n2", "n3"}, {"n2", "n5"},
              {"n4", "n1"}, {"n4", "n2"}}

Reaching(sent) ==
    {m \in sent : /\ {m.src, m.dest} \in Connected
                  /\ m.body.type \notin {"rejected", "decided"}
                  /\ ~(m.src = "n1" /\ m.body.type = "accept")}

SparseLiving(n, sent) == Living(n, Reaching(sent))

(* Of three nodes n1 decides with n3; n2 receives no accept, so it has no  *)
(* votes, only decisions and what n1 promises it.                          *)

Onlooker(sent) ==
    {m \in sent :
        \/ m.src = "n1" /\ m.dest = "n3" /\ m.body.type \in {"prepare", "accept"}
        \/ m.src = "n3" /\ m.dest = "n1" /\ m.body.type \in {"promise", "accepted"}
        \/ m.src = "n1" /\ m.dest = "n2" /\ m.body.type \in {"promise", "decided", "learned"}
        \/ m.src = "n2" /\ m.dest = "n1" /\ m.body.type \in {"prepare", "learn"}}

Watched(n, sent) == network \cup Onlooker(sent)

WatchedLiving(n, sent) == Living(n, Onlooker(sent))

(* Of four nodes n4 receives nothing: the other three are the only quorum. *)

NotToLast(sent) == {m \in sent : m.dest \in Node \ {"n4"}}

WithoutLast(n, sent) == network \cup NotToLast(sent)

WithoutLastLiving(n, sent) == Living(n, NotToLast(sent))
=============================================================================
