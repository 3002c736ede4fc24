//! ESP (RFC 4303) security associations on a buffer and a range: transport, tunnel, UDP encapsulation, batches.
