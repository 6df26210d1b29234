-------------------------------- MODULE Trace --------------------------------
(***************************************************************************)
(* Is a window of a node's log a behaviour of the specification?           *)
(*                                                                         *)
(* A node is deterministic, so its log is validated alone: each            *)
(* record's input is given to the one action that takes it, and the output *)
(* of that action must be the record's.  That every message received was   *)
(* sent before is checked elsewhere.                                       *)
(*                                                                         *)
(* A window starts from the initial state, from the durable state that the *)
(* log begins with, or from the state that was printed at the end of the   *)
(* window before it.  So whole logs are validated, and only the            *)
(* specification defines what a node's state is.                           *)
(*                                                                         *)
(* The windows are put into register 1 of TLC by the module that is        *)
(* written for a run: TLC looks through a constant wherever it is used,    *)
(* which would be most of what it has to do.  Each window is a behaviour   *)
(* of its own.  Its first state is printed, so that it can be held against *)
(* the one that was meant, and its last state, or else the first record    *)
(* that is refused or differs, with the state before it and the reason.    *)
(***************************************************************************)
EXTENDS MultiPaxos, Order, Printing

VARIABLES window, at

tracing == <<vars, window, at>>

(* A sequence of [node, start, folded, records], a record being [input,    *)
(* output].                                                                *)

Windows == TLCGet(1)

Records == Windows[window].records

Current == Records[at]

Emit(what, value) == PrintT(Text(<<what, window, at, value>>))

(* Takes the place of Step, at the end of every action. *)

TraceStep(n, input, t) ==
    /\ IF SameForEach(t.output, Current.output) THEN TRUE
       ELSE Emit("differs", <<replica[n], t.output>>) /\ FALSE
    /\ IF at < Len(Records) THEN TRUE ELSE Emit("ends", <<t.state>>)
    /\ replica' = [replica EXCEPT ![n] = t.state]
    /\ at' = at + 1
    /\ UNCHANGED <<network, cast, delayed, record, window>>

TraceInit ==
    /\ window \in DOMAIN Windows
    /\ at = 1
    /\ replica = [n \in {Windows[window].node} |-> Windows[window].start]
    /\ network = {}
    /\ cast = {}
    /\ delayed = <<>>
    /\ record = <<>>
    /\ Emit("starts", <<Windows[window].start>>)

(* The slots that are overdue are those that the record names.  Takes the  *)
(* place of Overdue.                                                       *)

Named(n) == {Current.input.slots}

(* A slot in a window may stand for a whole interval of slots that were    *)
(* decided before it: `folded` is how many more slots these are.  Takes    *)
(* the place of Version.                                                   *)

Unfolded(s) == Cardinality(Known(s)) + Windows[window].folded

(* Every node polls (Restless), so every node keeps versions.  Takes the   *)
(* place of KeepVersion.                                                   *)

Kept(n, t, p, version) == [t EXCEPT !.state.versions[p] = version]

(* How many decisions a `learned` may carry is the choice of its sender:   *)
(* as many as in the record, if allowed.  Takes the place of Portions.     *)

Carried ==
    LET learned == {m \in Range(Current.output) : m.body.type = "learned"}
        within(k) == IF k \in 1..Batch THEN k ELSE Batch
    IN  IF learned = {} THEN {Batch}
        ELSE {within(Cardinality(DOMAIN (CHOOSE m \in learned : TRUE).body.decided))}

Happens(n, event) ==
    \/ event = "timeout" /\ Timeout(n)
    \/ event = "repeat" /\ Repeat(n)
    \/ event = "inquire" /\ Inquire(n)
    \/ event = "expire" /\ Expire(n)
    \/ event = "crash" /\ Crash(n)
    \/ event = "restart" /\ Restart(n)

(* What an input needs to be taken at all, as <<what, needed, found>>: a   *)
(* node that is down takes nothing but its restart, only a request that    *)
(* waits can expire, and a message is for the node that takes it.          *)

Needs(n, input) ==
    LET happens(event) == "event" \in DOMAIN input /\ input.event = event
    IN  <<<<"the node is up", ~happens("restart"), replica[n].up>>>>
        \o (IF happens("expire")
            THEN <<<<"a request waits", TRUE, replica[n].waiting # <<>>>>>> ELSE <<>>)
        \o (IF happens("repeat")
            THEN <<<<"open slots are named", TRUE,
                     /\ input.slots # {}
                     /\ input.slots \subseteq DOMAIN replica[n].votes>>>> ELSE <<>>)
        \o (IF "dest" \in DOMAIN input THEN <<<<"dest", n, input.dest>>>> ELSE <<>>)

Unmet(n, input) == SelectSeq(Needs(n, input), LAMBDA need : need[2] # need[3])

TraceNext ==
    /\ at <= Len(Records)
    /\ LET n == Windows[window].node
           input == Current.input
           unmet == Unmet(n, input)
       IN  IF unmet # <<>>
           THEN Emit("refused", <<replica[n], unmet[1]>>) /\ FALSE
           ELSE IF "event" \in DOMAIN input THEN Happens(n, input.event)
           ELSE Receive(n, input)

TraceSpec == TraceInit /\ [][TraceNext]_tracing

(* A window and a place in it are all there is to a state: it is           *)
(* determined.                                                             *)

Place == <<window, at>>
=============================================================================
