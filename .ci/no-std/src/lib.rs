//! Uses `esp` and `natt` without the standard library. If anything that they depend on pulled it
//! in, there would be two panic handlers, which is an error.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::boxed::Box;
use core::time::Duration;
use esp::{Cipher, Integrity, SaConfig, SaError, Sadb, Suite, rand_core::CryptoRng};

#[global_allocator]
static ALLOCATOR: emballoc::Allocator<65_536> = emballoc::Allocator::new();

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

/// A database of SAs whose time is what has passed since the start.
pub fn database(now: Duration, rng: Box<dyn CryptoRng + Send>) -> Result<Sadb<Duration>, SaError> {
    let suite = Suite::new(Cipher::AesCbc128, Some(Integrity::HmacSha1_96))?;
    let config = SaConfig::new(0x1000, suite, &[1; 16], &[2; 20]);
    let mut sadb = Sadb::new(rng);
    sadb.insert_inbound(now, &config, 1)?;
    sadb.insert_outbound(now, &config, 1)?;
    sadb.handle_timeout(now);
    Ok(sadb)
}

/// The next keepalive, in the same time.
pub fn keepalive(now: Duration) -> natt::Keepalive<Duration> {
    natt::Keepalive::new(now, natt::KEEPALIVE_INTERVAL)
}
