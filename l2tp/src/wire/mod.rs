//! Messages as bytes; no state.
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |T|L|x|x|S|x|O|P|x|x|x|x|  Ver  |          Length (opt)         |
//! |           Tunnel ID           |           Session ID          |
//! |             Ns (opt)          |             Nr (opt)          |
//! |      Offset Size (opt)        |    Offset pad... (opt)        |
//! ```
#![deny(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::panic,
    clippy::arithmetic_side_effects
)]

mod avp;
mod data;
mod header;
mod hidden;
mod message;

pub use avp::{Avp, AvpType, Avps, Definition, MAX_VALUE};
pub use data::{DataHeader, MAX_DATA_HEADER};
pub use header::{CONTROL_FLAGS, Header, VERSION};
pub use hidden::{hide, reveal};
pub use message::{Builder, Fault, Message, MessageType};
