-------------------------------- MODULE Once --------------------------------
(***************************************************************************)
(* A network that brings each request once: it is gone when it was taken.  *)
(* Only then can an error claim something of the future, for a repeated    *)
(* request may be served.                                                  *)
(***************************************************************************)
EXTENDS MC

VARIABLE refused    \* history: the requests that got a definite error

Spent(n, sent) == Living(n, sent) \ (Requests \cap {record'.input})

OnceInit == Init /\ refused = {}

OnceNext ==
    /\ Next
    /\ refused' = refused \cup
           {r \in Proposals : \E m \in Range(record'.output) : Refuses(m, r)}

OnceSpec == OnceInit /\ [][OnceNext]_<<vars, refused>>

SeenOnce == <<Seen, refused>>

RefusedForEver == \A r \in refused : ~Voted(r)
=============================================================================
