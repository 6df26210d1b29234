-------------------------------- MODULE Trace --------------------------------
(***************************************************************************)
(* Is the log of a node a behaviour of the specification?                  *)
(*                                                                         *)
(* A node is a deterministic automaton, so its log is judged alone: from   *)
(* the initial state each record's input is given to the one action that   *)
(* takes it, and what that action says must be the record's output.  That  *)
(* every message received was sent before is judged elsewhere.             *)
(*                                                                         *)
(* Logs is defined by a module written for the run.  Each log is a         *)
(* behaviour of its own; its end is printed, and so is a record that       *)
(* differs, with what the specification says there.                        *)
(***************************************************************************)
EXTENDS MultiPaxos, Printing

CONSTANTS
    Logs,       \* a sequence of [node, records], a record being [input, output]
    Last        \* the highest slot in them

(* Takes the place of Ascending, for slots up to Last: the same, and found *)
(* in one pass instead of by looking for the least again and again.        *)

InOrder(S) == SelectSeq([i \in 1..(Last + 1) |-> i - 1], LAMBDA slot : slot \in S)

VARIABLES log, at

tracing == <<vars, log, at>>

Current == Logs[log].records[at]

(* Takes the place of Step, at the end of every action. *)

TraceStep(n, input, t) ==
    /\ IF t.output = Current.output THEN TRUE
       ELSE PrintT(Text(<<"differs", log, at, t.output>>)) /\ FALSE
    /\ IF at < Len(Logs[log].records) THEN TRUE ELSE PrintT(Text(<<"accepted", log>>))
    /\ replica' = [replica EXCEPT ![n] = t.state]
    /\ at' = at + 1
    /\ UNCHANGED <<network, cast, delayed, record, log>>

TraceInit ==
    /\ log \in DOMAIN Logs
    /\ at = 1
    /\ replica = [n \in {Logs[log].node} |-> Fresh]
    /\ network = {}
    /\ cast = {}
    /\ delayed = <<>>
    /\ record = <<>>

Happens(n, event) ==
    \/ event = "timeout" /\ Timeout(n)
    \/ event = "inquire" /\ Inquire(n)
    \/ event = "expire" /\ Expire(n)
    \/ event = "crash" /\ Crash(n)
    \/ event = "restart" /\ Restart(n)

(* A node that is down takes nothing but its restart, and only a request   *)
(* that waits can be given up.                                             *)

Taken(n, input) ==
    LET happens(event) == "event" \in DOMAIN input /\ input.event = event
    IN  /\ replica[n].up # happens("restart")
        /\ happens("expire") => replica[n].waiting # <<>>
        /\ "dest" \in DOMAIN input => input.dest = n

TraceNext ==
    /\ at <= Len(Logs[log].records)
    /\ LET n == Logs[log].node
           input == Current.input
       IN  IF ~Taken(n, input) THEN PrintT(Text(<<"refused", log, at>>)) /\ FALSE
           ELSE IF "event" \in DOMAIN input THEN Happens(n, input.event)
           ELSE Receive(n, input)

TraceSpec == TraceInit /\ [][TraceNext]_tracing

(* A log and a place in it are all there is to a state: it is determined.  *)

Place == <<log, at>>
=============================================================================
