------------------------------ MODULE Observed ------------------------------
(***************************************************************************)
(* Can what was seen of a node from outside be explained?                  *)
(*                                                                         *)
(* The router knows the order of a node's inputs, the order of its         *)
(* outputs, and how many outputs had come before each input was given.     *)
(* It does not know which input an output belongs to, nor when time        *)
(* passed.  So TLC looks for a behaviour of the node: each step takes the  *)
(* next input, or is an event of the node's own clock, and sends what      *)
(* comes next in the outputs.                                              *)
(*                                                                         *)
(* An event without output changes nothing, so it need not be guessed.     *)
(* A node that runs no ballot, for it was preempted, may defer a client's  *)
(* request for a while, as if it were still on its way.                    *)
(*                                                                         *)
(* Runs is defined by a module written for the run.  TLC prints each time  *)
(* that more outputs are explained than before, and when a run is given    *)
(* up.                                                                     *)
(***************************************************************************)
EXTENDS MultiPaxos, Order, Printing

CONSTANTS
    Runs,       \* a sequence of [node, inputs, outputs], an input being
                \* [input, after]: how many outputs had come before it
    Most        \* how many steps may be tried for each

VARIABLES
    run,
    taken,      \* how many inputs were taken from the line
    aside,      \* which of them wait
    said        \* how many outputs are explained

Inputs == Runs[run].inputs
Outputs == Runs[run].outputs

(* How much of a run is explained, and how many steps were tried for it.   *)

Furthest(r) == r
Tried(r) == Len(Runs) + r

ASSUME \A r \in DOMAIN Runs : TLCSet(Furthest(r), 0) /\ TLCSet(Tried(r), 0)

(* Takes the place of Step, at the end of every action. *)

ObservedStep(n, input, t) ==
    LET now == said + Len(t.output)
    IN  /\ now <= Len(Outputs)
        /\ SameForEach(t.output, SubSeq(Outputs, said + 1, now))
        /\ IF now <= TLCGet(Furthest(run)) THEN TRUE
           ELSE /\ TLCSet(Furthest(run), now)
                /\ PrintT(Text(<<"explained", run, now, taken>>))
        /\ said' = now
        /\ replica' = [replica EXCEPT ![n] = t.state]
        /\ UNCHANGED <<network, cast, delayed, record, run>>

(* A `learned` carries as many decisions as the next output does.  Takes   *)
(* the place of Portions.                                                  *)

Carried ==
    IF said < Len(Outputs) /\ Outputs[said + 1].body.type = "learned"
    THEN LET k == Cardinality(DOMAIN Outputs[said + 1].body.decided)
         IN  {IF k = 0 THEN 1 ELSE k} \cap 1..Batch
    ELSE {1}

(* The slots that were overdue are those of the accepts that come next, or *)
(* of some of them.  Takes the place of Overdue.                           *)

Accepts(n, k) ==    \* the next k outputs are accepts of open slots
    /\ said + k <= Len(Outputs)
    /\ \A i \in 1..k : /\ Outputs[said + i].body.type = "accept"
                      /\ Outputs[said + i].body.slot \in DOMAIN replica[n].votes

Repeated(n) ==
    {{Outputs[said + i].body.slot : i \in 1..k} :
        k \in {k \in 1..Cardinality(DOMAIN replica[n].votes) * Len(Members) : Accepts(n, k)}}

ObservedInit ==
    /\ run \in DOMAIN Runs
    /\ taken = 0
    /\ aside = {}
    /\ said = 0
    /\ replica = [n \in {Runs[run].node} |-> Fresh]
    /\ network = {}
    /\ cast = {}
    /\ delayed = <<>>
    /\ record = <<>>

TakeNext(n) ==
    /\ taken < Len(Inputs) /\ Inputs[taken + 1].after <= said
    /\ taken' = taken + 1
    /\ \/ UNCHANGED aside /\ Receive(n, Inputs[taken + 1].input)
       \/ /\ Inputs[taken + 1].input.body.type = "multi_paxos_propose"
          /\ replica[n].ballot = 0
          /\ aside' = aside \cup {taken + 1}
          /\ UNCHANGED <<vars, run, said>>

TakeAside(n) ==
    \E k \in aside :
        /\ aside' = aside \ {k}
        /\ UNCHANGED taken
        /\ Receive(n, Inputs[k].input)

PassTime(n) ==
    /\ UNCHANGED <<taken, aside>>
    /\ Timeout(n) \/ Repeat(n) \/ Inquire(n) \/ Expire(n)
    /\ said' > said

ObservedNext ==
    /\ said < Len(Outputs)
    /\ TLCSet(Tried(run), TLCGet(Tried(run)) + 1)
    /\ IF TLCGet(Tried(run)) <= Most THEN TRUE
       ELSE PrintT(Text(<<"given up", run>>)) /\ FALSE
    /\ LET n == Runs[run].node IN TakeNext(n) \/ TakeAside(n) \/ PassTime(n)

ObservedSpec == ObservedInit /\ [][ObservedNext]_<<vars, run, taken, aside, said>>
=============================================================================
