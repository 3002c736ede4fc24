//! What Wireshark needs to look inside: captures and key files.

mod keylog;
mod packet;
mod pcapng;
mod recorder;

pub use keylog::KeyLog;
pub use packet::{esp_packet, parse_udp, udp_packet};
pub use pcapng::PcapNg;
pub use recorder::{Recorded, Recorder};
