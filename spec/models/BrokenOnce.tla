----------------------------- MODULE BrokenOnce -----------------------------
(***************************************************************************)
(* A bug that shows only later, where no request comes twice.              *)
(***************************************************************************)
EXTENDS Once

(* In place of Expire: the client is told that nothing came of its request *)
(* and nothing will, but the request stays in line.                        *)

KeepsGivenUp(n) ==
    /\ n \in Restless /\ replica[n].up /\ replica[n].waiting # <<>>
    /\ LET t == Begin(n)
           request == Head(t.state.waiting).request
           code == IF request.body.slot \in DOMAIN t.state.accepted
                   THEN Indefinite ELSE Unavailable
       IN  Step(n, Event("expire"), Say(t, Answer(request, GivenUp(request, code))))
=============================================================================
