-------------------------- MODULE BrokenInvariant --------------------------
(***************************************************************************)
(* That the check of the invariant finds something.  The bugs of Broken    *)
(* must break it in one step from some state that satisfies it; and an     *)
(* invariant that lacks one of its assertions, replaced by Granted here,   *)
(* must not be inductive.  Two nodes, each with a ballot, suffice.         *)
(***************************************************************************)
EXTENDS Broken, MCInvariant

Granted == TRUE                             \* in place of OwnersVoteFirst
                                            \* or of VotesAreBacked

GrantedOf(s, slot) == TRUE                  \* of IsFree, NothingWaits

GrantedReport(a, b, slot, known) == TRUE    \* of ReportInv

(* And the sets to start in must hold all there is (in place of Leads).    *)

LeadsNowhere(n, d, K, p, b) == {}
=============================================================================
