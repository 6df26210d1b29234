------------------------------ MODULE Sometimes ------------------------------
(***************************************************************************)
(* What the protocol must be able to do.  A formula states that it never   *)
(* happens, and its model passes when TLC finds the formula violated: the  *)
(* counterexample is a run in which it does happen.  Nothing here has to   *)
(* hold; what has to hold is in MultiPaxos.tla.                            *)
(***************************************************************************)
EXTENDS MC

(* In d's ballot the votes were too few, but the owner of c's, a later     *)
(* one, which got no request for this value, found it and had it chosen.   *)

Voters(c) == {n \in Node : [c EXCEPT !.node = n] \in cast}

NeverInherits ==
    \A c, d \in cast :
        ~ /\ c.slot = d.slot /\ c.value = d.value /\ d.ballot < c.ballot
          /\ ~IsQuorum(Voters(d)) /\ IsQuorum(Voters(c))
          /\ \A m \in Requests : m.body.value = c.value => m.dest # Owner(c.ballot)

(* The slot was not decided before the step that made the reply, so it was *)
(* decided for a waiting client, and by Phase 2 alone.                     *)

NeverSkips ==
    [][\A m \in Output("multi_paxos_propose_ok") :
           m.body.phase1_skipped => m.body.slot \in Known(replica[m.src])]_vars

(* A client gets a value that it did not propose. *)

NeverLoses ==
    [][\A m \in Output("multi_paxos_propose_ok") :
           \E r \in Requests :
               /\ r.src = m.dest /\ r.body.msg_id = m.body.in_reply_to
               /\ r.body.value = m.body.value]_vars

(* A node that had led a ballot leads a higher one, and no other node ever *)
(* started one: so nothing but a crash can have ended the first.           *)

NeverReturns ==
    \A n \in Node :
        ~ /\ Leading(replica[n])
          /\ \E c \in cast : c.node = n /\ c.ballot < replica[n].ballot
          /\ \A m \in network : m.body.type = "prepare" => m.src = n

(* A node learns a decision by asking for it, in more than one answer. *)

NeverCatchesUp ==
    [][Input("learned") =>
           \/ Known(replica[record'.node]) = {}
           \/ Known(replica'[record'.node]) = Known(replica[record'.node])]_vars

(* A leader with a closed slot learns its value. *)

NeverOpens ==
    [][Input("learned") =>
           \A slot \in replica[record'.node].closed :
               slot \notin Known(replica'[record'.node])]_vars
=============================================================================
