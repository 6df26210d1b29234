----------------------------- MODULE BrokenOnce -----------------------------
(***************************************************************************)
(* A bug that shows only later, where no request comes twice.              *)
(***************************************************************************)
EXTENDS Once

(* In place of Expire: an error claims that the request had no effect and  *)
(* will have none, but the request still waits.                            *)

KeepsGivenUp(n) ==
    /\ n \in Restless /\ replica[n].up /\ replica[n].waiting # <<>>
    /\ LET t == Begin(n)
           request == Head(t.state.waiting).request
           code == IF request.body.slot \in DOMAIN t.state.accepted
                   THEN Indefinite ELSE Unavailable
       IN  Step(n, Event("expire"), Say(t, Answer(request, GivenUp(request, code))))
=============================================================================
