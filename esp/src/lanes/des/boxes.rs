//! The S-boxes as circuits of two-input gates. The outputs that [`COMPLEMENTED`] names come out
//! complemented, since that saves gates.

use super::slice::Bits;

/// For each S-box, from the first output's bit (8) to the last one's (1).
pub(super) const COMPLEMENTED: [u8; 8] = [
    0b1110, 0b1111, 0b1010, 0b0111, 0b0010, 0b1100, 0b0100, 0b1101,
];

/// 59 gates.
#[rustfmt::skip]
#[inline(always)]
pub(super) fn s1<B: Bits>([x0, x1, x2, x3, x4, x5]: [B; 6]) -> [B; 4] {
    let x6 = x3.xor(x0); let x7 = x6.xor(x5); let x8 = x6.and_not(x5); let x9 = x4.and_not(x8);
    let x10 = x7.xor(x9); let x11 = x5.xor(x4); let x12 = x7.and_not(x9); let x13 = x12.and(x3);
    let x14 = x11.xor(x13); let x15 = x14.and(x2); let x16 = x10.xor(x15); let x17 = x2.xor(x11);
    let x18 = x17.xor(x16); let x19 = x18.or(x14); let x20 = x9.or(x18); let x21 = x0.and_not(x20);
    let x22 = x19.xor(x21); let x23 = x22.and(x1); let x24 = x16.xor(x23); let x25 = x0.and_not(x1);
    let x26 = x25.xor(x11); let x27 = x1.and(x9); let x28 = x24.and_not(x27); let x29 = x3.and_not(x28);
    let x30 = x26.xor(x29); let x31 = x14.and_not(x0); let x32 = x31.xor(x29); let x33 = x22.and_not(x32);
    let x34 = x11.or(x7); let x35 = x34.and(x25); let x36 = x35.or(x1); let x37 = x33.xor(x36);
    let x38 = x37.or(x2); let x39 = x30.xor(x38); let x40 = x26.xor(x36); let x41 = x40.xor(x19);
    let x42 = x1.and(x24); let x43 = x42.xor(x31); let x44 = x3.and_not(x43); let x45 = x41.xor(x44);
    let x46 = x32.xor(x20); let x47 = x46.or(x13); let x48 = x47.and(x1); let x49 = x12.xor(x48);
    let x50 = x49.and_not(x2); let x51 = x45.xor(x50); let x52 = x45.xor(x16); let x53 = x52.xor(x30);
    let x54 = x52.and_not(x42); let x55 = x54.xor(x46); let x56 = x55.xor(x41); let x57 = x4.and_not(x56);
    let x58 = x53.xor(x57); let x59 = x40.and_not(x5); let x60 = x36.or(x20); let x61 = x60.or(x3);
    let x62 = x59.xor(x61); let x63 = x62.or(x2); let x64 = x58.xor(x63);
    [x39, x51, x24, x64]
}

/// 50 gates.
#[rustfmt::skip]
#[inline(always)]
pub(super) fn s2<B: Bits>([x0, x1, x2, x3, x4, x5]: [B; 6]) -> [B; 4] {
    let x6 = x1.and_not(x5); let x7 = x6.xor(x0); let x8 = x7.xor(x4); let x9 = x0.and(x8);
    let x10 = x6.and_not(x9); let x11 = x10.or(x3); let x12 = x8.xor(x11); let x13 = x4.and(x3);
    let x14 = x13.xor(x1); let x15 = x5.and_not(x14); let x16 = x10.xor(x15); let x17 = x16.and_not(x2);
    let x18 = x12.xor(x17); let x19 = x0.and_not(x5); let x20 = x19.xor(x3); let x21 = x20.xor(x4);
    let x22 = x5.and_not(x9); let x23 = x4.and_not(x19); let x24 = x3.and_not(x23); let x25 = x22.xor(x24);
    let x26 = x25.and_not(x1); let x27 = x21.xor(x26); let x28 = x9.or(x19); let x29 = x7.and_not(x28);
    let x30 = x2.and_not(x29); let x31 = x27.xor(x30); let x32 = x11.and(x1); let x33 = x32.xor(x20);
    let x34 = x33.xor(x22); let x35 = x26.or(x13); let x36 = x35.xor(x11); let x37 = x36.and_not(x0);
    let x38 = x34.xor(x37); let x39 = x7.or(x4); let x40 = x22.or(x1); let x41 = x39.xor(x40);
    let x42 = x2.and_not(x41); let x43 = x38.xor(x42); let x44 = x18.or(x43); let x45 = x44.xor(x31);
    let x46 = x45.xor(x23); let x47 = x43.and_not(x7); let x48 = x5.and_not(x47); let x49 = x46.xor(x48);
    let x50 = x35.xor(x38); let x51 = x5.and_not(x34); let x52 = x51.and(x2); let x53 = x50.xor(x52);
    let x54 = x53.and_not(x1); let x55 = x49.xor(x54);
    [x31, x18, x55, x43]
}

/// 55 gates.
#[rustfmt::skip]
#[inline(always)]
pub(super) fn s3<B: Bits>([x0, x1, x2, x3, x4, x5]: [B; 6]) -> [B; 4] {
    let x6 = x2.and_not(x4); let x7 = x6.xor(x5); let x8 = x7.xor(x1); let x9 = x8.xor(x2);
    let x10 = x9.and(x5); let x11 = x10.xor(x4); let x12 = x11.and(x3); let x13 = x8.xor(x12);
    let x14 = x9.and_not(x11); let x15 = x14.and(x3); let x16 = x3.xor(x2); let x17 = x16.and_not(x13);
    let x18 = x17.xor(x14); let x19 = x18.and(x1); let x20 = x15.xor(x19); let x21 = x20.or(x0);
    let x22 = x13.xor(x21); let x23 = x4.or(x17); let x24 = x23.xor(x2); let x25 = x24.xor(x22);
    let x26 = x12.or(x6); let x27 = x26.xor(x16); let x28 = x27.xor(x10); let x29 = x28.and(x0);
    let x30 = x25.xor(x29); let x31 = x26.and_not(x14); let x32 = x31.xor(x28); let x33 = x7.and(x26);
    let x34 = x33.xor(x5); let x35 = x34.or(x0); let x36 = x32.xor(x35); let x37 = x1.and_not(x36);
    let x38 = x30.xor(x37); let x39 = x11.and_not(x2); let x40 = x39.xor(x32); let x41 = x2.or(x5);
    let x42 = x40.xor(x41); let x43 = x17.or(x1); let x44 = x43.or(x33); let x45 = x3.or(x27);
    let x46 = x45.and(x44); let x47 = x5.and_not(x46); let x48 = x44.xor(x47); let x49 = x48.and_not(x0);
    let x50 = x42.xor(x49); let x51 = x45.and_not(x4); let x52 = x51.xor(x9); let x53 = x20.xor(x30);
    let x54 = x53.and_not(x31); let x55 = x12.and_not(x43); let x56 = x55.xor(x10); let x57 = x56.or(x1);
    let x58 = x54.xor(x57); let x59 = x58.and(x0); let x60 = x52.xor(x59);
    [x50, x22, x38, x60]
}

/// 41 gates.
#[rustfmt::skip]
#[inline(always)]
pub(super) fn s4<B: Bits>([x0, x1, x2, x3, x4, x5]: [B; 6]) -> [B; 4] {
    let x6 = x3.and(x1); let x7 = x2.and_not(x6); let x8 = x7.xor(x1); let x9 = x3.and_not(x2);
    let x10 = x4.and_not(x9); let x11 = x8.xor(x10); let x12 = x3.or(x1); let x13 = x7.and_not(x12);
    let x14 = x12.and_not(x7); let x15 = x14.xor(x2); let x16 = x15.or(x4); let x17 = x13.xor(x16);
    let x18 = x17.and(x0); let x19 = x11.xor(x18); let x20 = x3.xor(x14); let x21 = x20.or(x11);
    let x22 = x21.xor(x4); let x23 = x10.xor(x7); let x24 = x23.and(x21); let x25 = x24.xor(x3);
    let x26 = x25.or(x0); let x27 = x22.xor(x26); let x28 = x27.and_not(x5); let x29 = x19.xor(x28);
    let x30 = x1.xor(x27); let x31 = x30.and(x17); let x32 = x3.xor(x1); let x33 = x0.and_not(x32);
    let x34 = x31.xor(x33); let x35 = x33.and(x17); let x36 = x21.and_not(x35); let x37 = x0.and_not(x11);
    let x38 = x37.and(x30); let x39 = x3.and_not(x38); let x40 = x36.xor(x39); let x41 = x40.and_not(x5);
    let x42 = x34.xor(x41); let x43 = x5.xor(x29); let x44 = x43.xor(x27); let x45 = x5.and_not(x40);
    let x46 = x45.xor(x34);
    [x46, x42, x44, x29]
}

/// 59 gates.
#[rustfmt::skip]
#[inline(always)]
pub(super) fn s5<B: Bits>([x0, x1, x2, x3, x4, x5]: [B; 6]) -> [B; 4] {
    let x6 = x5.and_not(x3); let x7 = x6.xor(x2); let x8 = x7.xor(x1); let x9 = x3.xor(x8);
    let x10 = x1.and_not(x9); let x11 = x10.or(x4); let x12 = x8.xor(x11); let x13 = x4.or(x1);
    let x14 = x12.and_not(x13); let x15 = x14.xor(x2); let x16 = x9.and_not(x12); let x17 = x16.or(x2);
    let x18 = x17.and_not(x5); let x19 = x15.xor(x18); let x20 = x19.or(x0); let x21 = x12.xor(x20);
    let x22 = x3.and_not(x1); let x23 = x22.xor(x5); let x24 = x23.xor(x4); let x25 = x6.and(x21);
    let x26 = x2.and_not(x25); let x27 = x24.xor(x26); let x28 = x27.xor(x19); let x29 = x28.and_not(x3);
    let x30 = x17.and_not(x10); let x31 = x30.xor(x6); let x32 = x4.and_not(x31); let x33 = x29.xor(x32);
    let x34 = x0.and_not(x33); let x35 = x27.xor(x34); let x36 = x4.or(x16); let x37 = x36.xor(x9);
    let x38 = x37.xor(x26); let x39 = x3.xor(x27); let x40 = x11.and_not(x39); let x41 = x40.and(x5);
    let x42 = x38.xor(x41); let x43 = x42.or(x26); let x44 = x43.xor(x28); let x45 = x39.and_not(x24);
    let x46 = x45.xor(x43); let x47 = x46.or(x1); let x48 = x44.xor(x47); let x49 = x48.and(x0);
    let x50 = x42.xor(x49); let x51 = x18.and_not(x45); let x52 = x0.and_not(x51); let x53 = x52.xor(x12);
    let x54 = x8.or(x34); let x55 = x54.and_not(x2); let x56 = x53.xor(x55); let x57 = x17.and(x44);
    let x58 = x57.xor(x31); let x59 = x21.and_not(x2); let x60 = x59.xor(x23); let x61 = x60.or(x0);
    let x62 = x58.xor(x61); let x63 = x62.and(x4); let x64 = x56.xor(x63);
    [x50, x35, x21, x64]
}

/// 53 gates.
#[rustfmt::skip]
#[inline(always)]
pub(super) fn s6<B: Bits>([x0, x1, x2, x3, x4, x5]: [B; 6]) -> [B; 4] {
    let x6 = x2.and_not(x4); let x7 = x6.xor(x1); let x8 = x4.xor(x2); let x9 = x8.or(x0);
    let x10 = x7.xor(x9); let x11 = x10.or(x2); let x12 = x11.xor(x0); let x13 = x12.xor(x4);
    let x14 = x13.and_not(x3); let x15 = x10.xor(x14); let x16 = x1.and_not(x4); let x17 = x3.and_not(x16);
    let x18 = x17.and(x11); let x19 = x11.or(x3); let x20 = x19.and_not(x18); let x21 = x20.and(x0);
    let x22 = x18.xor(x21); let x23 = x22.and(x5); let x24 = x15.xor(x23); let x25 = x19.and_not(x8);
    let x26 = x25.xor(x16); let x27 = x26.xor(x21); let x28 = x13.or(x1); let x29 = x28.xor(x4);
    let x30 = x29.and(x3); let x31 = x27.xor(x30); let x32 = x10.xor(x1); let x33 = x11.xor(x24);
    let x34 = x33.or(x14); let x35 = x4.and_not(x34); let x36 = x32.xor(x35); let x37 = x5.and_not(x36);
    let x38 = x31.xor(x37); let x39 = x4.or(x2); let x40 = x39.and_not(x3); let x41 = x13.xor(x40);
    let x42 = x41.or(x36); let x43 = x26.and_not(x40); let x44 = x43.xor(x34); let x45 = x44.and_not(x4);
    let x46 = x42.xor(x45); let x47 = x46.and(x5); let x48 = x41.xor(x47); let x49 = x15.xor(x6);
    let x50 = x49.xor(x30); let x51 = x27.and_not(x30); let x52 = x51.xor(x14); let x53 = x52.or(x1);
    let x54 = x50.xor(x53); let x55 = x3.xor(x46); let x56 = x39.and_not(x55); let x57 = x56.or(x5);
    let x58 = x54.xor(x57);
    [x48, x58, x38, x24]
}

/// 52 gates.
#[rustfmt::skip]
#[inline(always)]
pub(super) fn s7<B: Bits>([x0, x1, x2, x3, x4, x5]: [B; 6]) -> [B; 4] {
    let x6 = x0.xor(x3); let x7 = x6.xor(x4); let x8 = x3.and_not(x4); let x9 = x8.xor(x1);
    let x10 = x9.or(x2); let x11 = x7.xor(x10); let x12 = x1.and(x8); let x13 = x2.xor(x11);
    let x14 = x13.and(x9); let x15 = x14.and(x0); let x16 = x12.xor(x15); let x17 = x5.and_not(x16);
    let x18 = x11.xor(x17); let x19 = x11.xor(x16); let x20 = x2.or(x0); let x21 = x20.xor(x7);
    let x22 = x21.xor(x18); let x23 = x5.and_not(x22); let x24 = x19.xor(x23); let x25 = x18.or(x13);
    let x26 = x25.and(x6); let x27 = x26.xor(x5); let x28 = x26.or(x21); let x29 = x28.xor(x11);
    let x30 = x3.and_not(x29); let x31 = x27.xor(x30); let x32 = x31.or(x1); let x33 = x24.xor(x32);
    let x34 = x18.xor(x2); let x35 = x34.xor(x33); let x36 = x24.xor(x9); let x37 = x36.or(x3);
    let x38 = x35.xor(x37); let x39 = x28.and(x27); let x40 = x24.and(x1); let x41 = x28.and_not(x40);
    let x42 = x41.and_not(x2); let x43 = x39.xor(x42); let x44 = x0.and_not(x43); let x45 = x38.xor(x44);
    let x46 = x36.xor(x25); let x47 = x39.and_not(x36); let x48 = x47.or(x12); let x49 = x3.and_not(x48);
    let x50 = x46.xor(x49); let x51 = x37.xor(x31); let x52 = x17.or(x6); let x53 = x52.xor(x8);
    let x54 = x53.and(x1); let x55 = x51.xor(x54); let x56 = x55.or(x2); let x57 = x50.xor(x56);
    [x33, x45, x57, x18]
}

/// 51 gates.
#[rustfmt::skip]
#[inline(always)]
pub(super) fn s8<B: Bits>([x0, x1, x2, x3, x4, x5]: [B; 6]) -> [B; 4] {
    let x6 = x4.and_not(x2); let x7 = x6.xor(x5); let x8 = x7.xor(x3); let x9 = x8.and_not(x5);
    let x10 = x9.or(x2); let x11 = x10.xor(x4); let x12 = x11.and(x0); let x13 = x8.xor(x12);
    let x14 = x4.or(x3); let x15 = x14.and_not(x0); let x16 = x0.and_not(x9); let x17 = x2.and_not(x16);
    let x18 = x15.xor(x17); let x19 = x1.and_not(x18); let x20 = x13.xor(x19); let x21 = x20.xor(x16);
    let x22 = x21.xor(x11); let x23 = x1.or(x10); let x24 = x23.xor(x20); let x25 = x3.and_not(x24);
    let x26 = x22.xor(x25); let x27 = x2.or(x21); let x28 = x27.xor(x18); let x29 = x4.and_not(x12);
    let x30 = x29.xor(x6); let x31 = x30.or(x1); let x32 = x28.xor(x31); let x33 = x32.or(x5);
    let x34 = x26.xor(x33); let x35 = x21.and(x4); let x36 = x35.xor(x24); let x37 = x8.and(x1);
    let x38 = x36.xor(x37); let x39 = x24.xor(x2); let x40 = x0.and_not(x39); let x41 = x22.and_not(x16);
    let x42 = x41.xor(x10); let x43 = x42.and(x4); let x44 = x40.xor(x43); let x45 = x44.and_not(x5);
    let x46 = x38.xor(x45); let x47 = x8.and_not(x20); let x48 = x47.xor(x0); let x49 = x5.and_not(x48);
    let x50 = x42.xor(x49); let x51 = x27.xor(x22); let x52 = x51.xor(x18); let x53 = x52.or(x0);
    let x54 = x51.xor(x53); let x55 = x54.and_not(x1); let x56 = x50.xor(x55);
    [x46, x20, x56, x34]
}
