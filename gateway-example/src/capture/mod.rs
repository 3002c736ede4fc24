//! What Wireshark needs to look inside: captures and key files.

mod keylog;
mod packet;
mod pcapng;

pub use keylog::KeyLog;
pub use packet::{esp_packet, parse_udp, udp_packet};
pub use pcapng::PcapNg;
