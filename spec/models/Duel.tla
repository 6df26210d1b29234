-------------------------------- MODULE Duel --------------------------------
(***************************************************************************)
(* Two nodes that propose, and a third that promises each the next ballot  *)
(* before the other has its vote: no request is ever answered, although    *)
(* all are up, nothing is lost and all fairness there can be holds.        *)
(*                                                                         *)
(* Ballots grow for ever in such a run, so no state of it comes back and   *)
(* TLC, which looks for a cycle, would find none.  But a node only         *)
(* compares ballots and takes the next one of its own.  So once every node *)
(* has promised something, the numbers of a state may all be lowered by    *)
(* the same multiple of the number of nodes: order and owners stay, and    *)
(* what can follow is the same with each number lowered.  Each step here   *)
(* does this as far as it can.  A cycle of lowered states is an endless    *)
(* run of the protocol, with the ballots raised in every round.            *)
(*                                                                         *)
(* What is left out is left out to have a small model.  This is no loss    *)
(* where a behaviour is to be found that exists, provided that it is fair  *)
(* with what was left out put back.  Hence time is asked for without the   *)
(* "if it can" of weak fairness: each of the two must time out infinitely  *)
(* often, so that a timeout which the bound forbids is no excuse.  Links   *)
(* and requests are asked for as in Liveness.tla, and the bound forbids    *)
(* the receipt of no message that is on a link.                            *)
(***************************************************************************)
EXTENDS Live

Seconds == Phases("n1", "n3") \cup Phases("n2", "n3")

-----------------------------------------------------------------------------
(* Ballots, wherever they are named. *)

Cast(votes) == {votes[slot].ballot : slot \in DOMAIN votes}

OfState(s) ==   \* ballot 0 is no node's ballot, but 0 promised is the lowest
    {s.promised} \cup ({s.ballot} \ {0}) \cup Cast(s.accepted) \cup Cast(s.reported)

OfMessage(m) ==
    CASE m.body.type = "multi_paxos_propose" -> {}
      [] m.body.type = "promise" -> {m.body.ballot} \cup Cast(m.body.accepted)
      [] m.body.type = "rejected" -> {m.body.promised}
      [] OTHER -> {m.body.ballot}

Lower(k, b) == IF b = 0 THEN 0 ELSE b - k

LowerVotes(k, votes) ==
    [slot \in DOMAIN votes |-> [votes[slot] EXCEPT !.ballot = @ - k]]

LowerState(k, s) ==
    [s EXCEPT !.promised = Lower(k, @), !.ballot = Lower(k, @),
              !.accepted = LowerVotes(k, @), !.reported = LowerVotes(k, @)]

LowerMessage(k, m) ==
    CASE m.body.type = "multi_paxos_propose" -> m
      [] m.body.type = "promise" ->
             [m EXCEPT !.body.ballot = @ - k, !.body.accepted = LowerVotes(k, @)]
      [] m.body.type = "rejected" -> [m EXCEPT !.body.promised = @ - k]
      [] OTHER -> [m EXCEPT !.body.ballot = @ - k]

Excess(nodes, messages) ==
    LET all == UNION {OfState(nodes[n]) : n \in Node}
               \cup UNION {OfMessage(m) : m \in messages}
        least == CHOOSE b \in all : \A c \in all : b <= c
    IN  IF least = 0 THEN 0
        ELSE Len(Members) * ((least - 1) \div Len(Members))

-----------------------------------------------------------------------------
(* The two are not connected; the third gets all that both send to it.     *)
(* (A set of one element makes TLC evaluate it once.)                      *)

Delivered(m) == m.dest \in Node /\ {m.src, m.dest} # {"n1", "n2"}

DuelStep(n, input, t) ==
    /\ t.state.promised <= MaxBallot
    /\ \E nodes \in {[replica EXCEPT ![n] = t.state]} :
       \E messages \in {(network \ ({input} \ Requests))
                        \cup {m \in Leaving(Range(t.output)) : Delivered(m)}} :
       \E k \in {Excess(nodes, messages)} :
           /\ replica' = [x \in Node |-> LowerState(k, nodes[x])]
           /\ network' = Lively({LowerMessage(k, m) : m \in messages})
    /\ answered' = answered \cup {r \in Requests : Replies(n, r, t.output)}
    /\ UNCHANGED <<crashes, Histories>>

DuelNext ==
    \/ \E m \in network \ Requests : Receive(m.dest, m)
    \/ \E r \in Requests : Undelivered(r) /\ Receive(r.dest, r)
    \/ \E n \in Patient : Stuck(replica[n]) /\ Timeout(n)

DuelSpec ==
    /\ LossyInit
    /\ [][DuelNext]_live
    /\ \A r \in Repeated : []<>~Undelivered(r)
    /\ \A n \in Patient : []<><<Timeout(n)>>_live
    /\ \A link \in Links : []<>InTransit(link) => []<><<Deliver(link)>>_live
=============================================================================
