-------------------------------- MODULE Once --------------------------------
(***************************************************************************)
(* A network that brings each request once: it is gone when it was taken.  *)
(* Only then can an error speak of the future, for whoever asks again may  *)
(* be served.                                                              *)
(***************************************************************************)
EXTENDS MC

Spent(n, sent) == Living(n, sent) \ (Requests \cap {record'.input})

Refused(r) == \E m \in Range(record.output) : Refuses(m, r)

RefusedForEver == \A r \in Proposals : [](Refused(r) => []~Voted(r))
=============================================================================
