//! PPP: LCP, PAP, CHAP, MS-CHAPv2, IPCP and IPV6CP over one RFC 1661 automaton, sans-IO.
