//! L2TPv2 (RFC 2661) control and data, LNS and LAC, sans-IO.
