------------------------------- MODULE Loops --------------------------------
(***************************************************************************)
(* What holds between two iterations of the folds of MultiPaxos, for the   *)
(* proofs (`python -m conformance prove`).                                 *)
(*                                                                         *)
(* A fold is proved by induction: what is asserted here holds when it      *)
(* begins, and each iteration keeps it.  The assertions are hints: a wrong *)
(* one fails to be proved, and proves nothing.  They are read in the state *)
(* that the step would lead to if it ended between these two iterations;   *)
(* s is the state of node n there, and `before` its state when the fold    *)
(* began.                                                                  *)
(***************************************************************************)
EXTENDS Invariant

(* A leader that has yet to propose what was reported in the slots of      *)
(* `pending`.  If there are none this is what LeadInv says.                *)

Leads(n, pending, reports) ==
    LET s == replica[n]
        taken == Open(s) \cup Known(s)
    IN  /\ DurableInv(n, s) /\ RunsInv(n, s)
        /\ Open(s) \subseteq DOMAIN s.accepted \ s.closed
        /\ \A slot \in Open(s) : CountedVoted(n, s, slot)
        /\ \A slot \in Slots \ taken : NoVotes(s.ballot, slot)
        /\ \A slot \in Slots \ (taken \cup s.closed \cup pending) : IsFree(s, slot)
        /\ \A slot \in pending :
               /\ slot \in Slots \ (taken \cup s.closed)
               /\ RightAbout(reports, slot, Below(s.promises, slot, s.ballot))

(* Nothing that was known is forgotten, and requests only leave the line.  *)

Keeps(n, before) ==
    LET s == replica[n]
    IN  /\ \A slot \in Known(before) : slot \in Known(s) /\ s.decided[slot] = before.decided[slot]
        /\ s.closed \subseteq before.closed
        /\ Range(s.waiting) \subseteq Range(before.waiting)
        /\ \A w \in Range(s.waiting) : w.request.body.slot \notin Known(s)
        /\ \A i, j \in DOMAIN s.waiting :
               s.waiting[i].request = s.waiting[j].request => i = j

(* Requests that were served wait for slots that are open or closed, and   *)
(* those that were not, for slots that are not known.                      *)

Served(n, line, done) ==
    LET s == replica[n]
    IN  /\ \A w \in Range(s.waiting) :
               w \in done => w.request.body.slot \in Open(s) \cup s.closed
        /\ \A w \in line : w \notin done => w.request.body.slot \notin Known(s)

(* The votes of this step are such as a step of Voting casts.  That all    *)
(* votes are backed after it then need not be said here: no step of Voting *)
(* violates VotesAreBacked.  This is read in the state before the step.    *)

Casts(n, b, votes) ==
    /\ \A x \in votes : /\ x.node = n /\ x.ballot = b
                         /\ V!MayVote(n, x.slot, b, x.value)
    /\ \A x, y \in votes : x.slot = y.slot => x = y

(* In a slot of `pending` the leader may vote for what was reported there. *)
(* This, too, is read in the state before the step.                        *)

MayInherit(n, b, pending, reports) ==
    \A slot \in pending : V!MayVote(n, slot, b, reports[slot].value)
=============================================================================
