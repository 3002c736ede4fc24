//! IPsec NAT traversal: NAT-D, dialects, port 4500 demultiplexing, keepalives, checksum repair.
