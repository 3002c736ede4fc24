//! The outside world: UDP sockets, raw ESP, TUN and the clock. All else is sans-IO.

mod alarm;
mod control;
mod cores;
mod driver;
mod inner;
mod internet;
mod leases;
mod metrics;
mod native_esp;
mod netlink;
mod pace;
mod radius;
mod udp;
mod workers;

pub use control::{Asked, Control, ask};
pub use cores::Cores;
pub use driver::{Devices, Driver, InnerTap, Tap};
pub use inner::{Inner, TunSetup};
pub use internet::{InternetRoutes, resolve_internet};
pub use leases::LeaseFile;
pub use metrics::MetricsServer;
pub use native_esp::{EspPacket, NativeEsp};
pub use radius::{NewRadiusPorts, RadiusPorts, RadiusReceived};
pub use udp::UdpPort;

use std::time::Instant;

/// The one place that reads the clock.
#[allow(
    clippy::disallowed_methods,
    reason = "the I/O layer passes time to the sans-IO core"
)]
#[must_use]
pub fn now() -> Instant {
    Instant::now()
}

/// Seconds since 1970, for captures and logs.
#[allow(
    clippy::disallowed_methods,
    reason = "the I/O layer is where wall-clock time comes from"
)]
#[must_use]
pub fn wall_clock() -> std::time::Duration {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default()
}
