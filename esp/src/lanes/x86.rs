//! Functions for instructions that no `fearless_simd` level but AVX-512 has.

/// Functions that may use AES and carry-less multiplication in vectors of 256 bits.
macro_rules! vaes {
    ($($(#[$meta:meta])* $vis:vis fn $name:ident $(<const $n:ident: usize>)? ($($arg:ident: $type:ty),* $(,)?) $(-> $ret:ty)? $body:block)*) => { $(
        $(#[$meta])*
        #[target_feature(enable = "aes,avx2,bmi1,bmi2,cmpxchg16b,f16c,fma,fxsr,lzcnt,movbe,pclmulqdq,popcnt,vaes,vpclmulqdq,xsave")]
        #[inline]
        $vis fn $name $(<const $n: usize>)? ($($arg: $type),*) $(-> $ret)? $body
    )* };
}

/// A function that calls one of [`vaes`]; none where it can't.
macro_rules! vaes_entry {
    ($(#[$meta:meta])* $vis:vis fn $name:ident($($arg:ident: $type:ty),* $(,)?) -> $ret:ty = $inner:ident) => {
        $(#[$meta])*
        #[multiversion::multiversion(targets("x86_64+aes+avx2+bmi1+bmi2+cmpxchg16b+f16c+fma+fxsr+lzcnt+movbe+pclmulqdq+popcnt+vaes+vpclmulqdq+xsave"))]
        $vis fn $name($($arg: $type),*) -> Option<$ret> {
            multiversion::target::match_target! {
                "x86_64+aes+avx2+bmi1+bmi2+cmpxchg16b+f16c+fma+fxsr+lzcnt+movbe+pclmulqdq+popcnt+vaes+vpclmulqdq+xsave" => Some($inner($($arg),*)),
                _ => {
                    $(let _ = $arg;)*
                    None
                }
            }
        }
    };
}

/// Functions that may use the SHA and AES instructions. The former have the old encoding, which is slow while
/// the upper halves of vectors are in use: no AVX here.
macro_rules! sha {
    ($($(#[$meta:meta])* $vis:vis fn $name:ident $(<const $n:ident: usize>)? ($($arg:ident: $type:ty),* $(,)?) $(-> $ret:ty)? $body:block)*) => { $(
        $(#[$meta])*
        #[target_feature(enable = "aes,cmpxchg16b,fxsr,popcnt,sha,sse4.2")]
        #[inline]
        $vis fn $name $(<const $n: usize>)? ($($arg: $type),*) $(-> $ret)? $body
    )* };
}

/// A function that calls one of [`sha`]; none where it can't.
macro_rules! sha_entry {
    ($(#[$meta:meta])* $vis:vis fn $name:ident($($arg:ident: $type:ty),* $(,)?) -> $ret:ty = $inner:ident) => {
        $(#[$meta])*
        #[multiversion::multiversion(targets("x86_64+aes+cmpxchg16b+fxsr+popcnt+sha+sse4.2"))]
        $vis fn $name($($arg: $type),*) -> Option<$ret> {
            multiversion::target::match_target! {
                "x86_64+aes+cmpxchg16b+fxsr+popcnt+sha+sse4.2" => Some($inner($($arg),*)),
                _ => {
                    $(let _ = $arg;)*
                    None
                }
            }
        }
    };
}

pub(in crate::lanes) use {sha, sha_entry, vaes, vaes_entry};

use core::arch::x86_64::{__m128i, __m256i, _mm256_broadcastsi128_si256};
use fearless_simd::prelude::*;
use fearless_simd::{Avx2, Level, Sse4_2, u8x16, u8x32};

vaes! {
    pub(in crate::lanes) fn load(from: &[u8; 32]) -> __m256i {
        u8x32::from_slice(Avx2::assume_supported(), from).into()
    }

    pub(in crate::lanes) fn load_block(from: &[u8; 16]) -> __m128i {
        u8x16::from_slice(Avx2::assume_supported(), from).into()
    }

    /// The same block in both halves.
    pub(in crate::lanes) fn load_twice(from: &[u8; 16]) -> __m256i {
        _mm256_broadcastsi128_si256(load_block(from))
    }

    pub(in crate::lanes) fn store(v: __m256i, to: &mut [u8; 32]) {
        let v: u8x32<Avx2> = v.simd_into(Avx2::assume_supported());
        v.store_slice(to);
    }

    pub(in crate::lanes) fn store_block(v: __m128i, to: &mut [u8; 16]) {
        let v: u8x16<Avx2> = v.simd_into(Avx2::assume_supported());
        v.store_slice(to);
    }

    fn nothing() {}
}

sha! {
    pub(in crate::lanes) fn load_words(from: &[u8; 16]) -> __m128i {
        u8x16::from_slice(Sse4_2::assume_supported(), from).into()
    }

    pub(in crate::lanes) fn store_words(v: __m128i, to: &mut [u8; 16]) {
        let v: u8x16<Sse4_2> = v.simd_into(Sse4_2::assume_supported());
        v.store_slice(to);
    }

    fn no_sha() {}
}

vaes_entry! {
    fn try_vaes() -> () = nothing
}

sha_entry! {
    fn try_sha() -> () = no_sha
}

/// Whether [`vaes`] functions can be called, which build upon AVX2.
pub(in crate::lanes) fn has_vaes(level: Level) -> bool {
    level.as_avx2().is_some() && try_vaes().is_some()
}

/// Whether [`sha`] functions can be called. Where there is no AVX2 they are never met.
pub(in crate::lanes) fn has_sha(level: Level) -> bool {
    level.as_avx2().is_some() && try_sha().is_some()
}
