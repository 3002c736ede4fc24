//! Stateful firewall and NAPT on packets in place, sans-IO.
