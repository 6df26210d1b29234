-------------------------------- MODULE Live --------------------------------
(***************************************************************************)
(* How TLC is bounded where it checks liveness.                            *)
(*                                                                         *)
(* A constraint would cut behaviours off, and a behaviour that is cut off  *)
(* can violate nothing at its end; a view or a symmetry would make TLC     *)
(* take two states of a cycle for one.  So none is used: one node          *)
(* proposes, it takes a new ballot only after a crash, and crashes are     *)
(* counted.  This leaves finitely many states of its own.                  *)
(***************************************************************************)
EXTENDS Liveness, MC

CONSTANTS
    MaxCrashes, \* of all nodes together
    Types       \* the message types that the network carries

-----------------------------------------------------------------------------
(* The messages that n1, which proposes, and n2 have to exchange. *)

Link(type, src, dest) == [type |-> type, src |-> src, dest |-> dest]

Phases(n, p) ==
    {Link("prepare", n, p), Link("promise", p, n),
     Link("accept", n, p), Link("accepted", p, n)}

Majority == Phases("n1", "n2")

Except(type) == {link \in Majority : link.type # type}

NoPrepare == Except("prepare")
NoPromise == Except("promise")
NoAccept == Except("accept")
NoAccepted == Except("accepted")

(* What n2 and n1 have to exchange for n2 to learn what n1 knows.          *)

Answers(more) ==
    [type |-> "learned", src |-> "n1", dest |-> "n2", more |-> more]

Learning ==
    {Link("poll", "n2", "n1"), Link("learn", "n2", "n1"), Answers(TRUE), Answers(FALSE)}

-----------------------------------------------------------------------------
(* The limits.  A node without requests loses nothing at a crash but the   *)
(* messages that it does not receive meanwhile, and these may be lost      *)
(* without one; so where n3 owes no answer it need not crash.              *)

FewCrashes(n, input, t) ==
    input = Event("crash") => crashes < MaxCrashes /\ n \in Fallible

(* What is dead may be forgotten (see Dead): to receive it is to lose it.  *)
(* `decided`, `poll`, `learn` and `learned` bring a node decisions that it *)
(* lacks.  Where only n1 proposes n1 lacks none, so they change what other *)
(* nodes answer about slots that n1 does not query again; most models lose *)
(* them.                                                                   *)

OfTypes(messages) == {m \in messages : m.body.type \in Types}

Lively(messages) == {m \in messages : ~Dead(m)'}

ProposerKnows == \A n \in Node : Known(replica[n]) \subseteq Known(replica["n1"])

-----------------------------------------------------------------------------
(* What must be possible, or the above would hold because nothing is fair. *)
(* Each states that it never happens; TLC must find that it does.          *)

(* A fair behaviour has a crash, and an answer. *)

NeverRecovers == []<>~(crashes > 0 /\ Requests \subseteq answered)

(* The proposing node loses its ballot while a slot is started. *)

NeverLeavesOpen ==
    [][~ \E n \in Node :
           /\ replica[n].up /\ ~replica'[n].up
           /\ replica[n].votes # <<>>]_live

=============================================================================
