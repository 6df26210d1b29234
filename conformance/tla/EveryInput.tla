----------------------------- MODULE EveryInput -----------------------------
(***************************************************************************)
(* The no-ops of the automaton: in every local state that a model reaches, *)
(* every input that exists anywhere in the model, whether or not it can    *)
(* occur there; the output, and whether it leaves the state as it is: an   *)
(* input that is ignored, refused or answered again.                       *)
(*                                                                         *)
(* States and Inputs are defined by a module written for the run.  Each    *)
(* state is an initial one, and no step is kept.                           *)
(***************************************************************************)
EXTENDS MultiPaxos, Printing

CONSTANTS
    States,     \* node -> its local states, a sequence
    Inputs      \* node -> the messages sent to it, a sequence

VARIABLES node, state, input

EveryInit ==
    /\ node \in DOMAIN States
    /\ state \in DOMAIN States[node]
    /\ input = 0
    /\ replica = node :> States[node][state]
    /\ network = {}
    /\ cast = {}
    /\ delayed = node :> {}
    /\ record = <<>>

EveryNext ==
    /\ UNCHANGED <<node, state>>
    /\ \/ input' = 0 /\ Timeout(node)
       \/ input' = Len(Inputs[node]) + 1 /\ Inquire(node)
       \/ \E i \in DOMAIN Inputs[node] : input' = i /\ Receive(node, Inputs[node][i])

EverySpec == EveryInit /\ [][EveryNext]_<<vars, node, state, input>>

Place == <<node, state, input>>

PrintAll ==
    PrintT(Text(<<node, state, input', record'.output, replica' = replica>>)) /\ FALSE
=============================================================================
