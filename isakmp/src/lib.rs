//! IKEv1 (ISAKMP) main mode, quick mode, NAT traversal, DPD and fragmentation, sans-IO, both roles.
