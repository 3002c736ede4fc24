/// A version of NAT traversal negotiation, chosen by vendor ID.
///
/// RFC 3947 renumbered what the drafts used; drafts 04 to 08 used numbers that IANA had given to
/// others. Which numbers count follows from the vendor ID that both sides sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Dialect {
    /// RFC 3947.
    Rfc3947,
    /// `draft-ietf-ipsec-nat-t-ike-08`.
    Draft08,
    /// `draft-ietf-ipsec-nat-t-ike-07`.
    Draft07,
    /// `draft-ietf-ipsec-nat-t-ike-06`.
    Draft06,
    /// `draft-ietf-ipsec-nat-t-ike-05`.
    Draft05,
    /// `draft-ietf-ipsec-nat-t-ike-04`.
    Draft04,
    /// `draft-ietf-ipsec-nat-t-ike` without a number: Apple.
    Apple,
    /// `draft-ietf-ipsec-nat-t-ike-03`.
    Draft03,
    /// `draft-ietf-ipsec-nat-t-ike-02` with a line feed hashed along: Windows and many others.
    Draft02Newline,
    /// `draft-ietf-ipsec-nat-t-ike-02`.
    Draft02,
}

/// What differs between dialects.
struct Numbers {
    vendor_id: [u8; 16],
    nat_d: u8,
    nat_oa: u8,
    tunnel: u16,
    transport: u16,
    nat_oa_count: usize,
}

const fn numbers(vendor_id: u128, family: Family) -> Numbers {
    let vendor_id = vendor_id.to_be_bytes();
    match family {
        Family::Rfc => Numbers {
            vendor_id,
            nat_d: 20,
            nat_oa: 21,
            tunnel: 3,
            transport: 4,
            nat_oa_count: 2,
        },
        Family::Late => Numbers {
            vendor_id,
            nat_d: 15,
            nat_oa: 16,
            tunnel: 3,
            transport: 4,
            nat_oa_count: 1,
        },
        Family::Apple => Numbers {
            vendor_id,
            nat_d: 15,
            nat_oa: 16,
            tunnel: 3,
            transport: 4,
            nat_oa_count: 0,
        },
        Family::Early => Numbers {
            vendor_id,
            nat_d: 130,
            nat_oa: 131,
            tunnel: 61443,
            transport: 61444,
            nat_oa_count: 1,
        },
    }
}

enum Family {
    Rfc,
    /// Drafts 04 to 08.
    Late,
    /// As `Late`, but no NAT-OA is sent.
    Apple,
    /// Drafts 02 and 03: private-use numbers.
    Early,
}

impl Dialect {
    /// All, the best first.
    pub const ALL: [Self; 10] = [
        Self::Rfc3947,
        Self::Draft08,
        Self::Draft07,
        Self::Draft06,
        Self::Draft05,
        Self::Draft04,
        Self::Apple,
        Self::Draft03,
        Self::Draft02Newline,
        Self::Draft02,
    ];

    /// What an initiator announces: a few suffice, and some peers take the numerically highest.
    pub const ANNOUNCED: [Self; 4] = [
        Self::Rfc3947,
        Self::Draft03,
        Self::Draft02Newline,
        Self::Draft02,
    ];

    const fn numbers(self) -> Numbers {
        match self {
            Self::Rfc3947 => numbers(0x4a131c81_07035845_5c5728f2_0e95452f, Family::Rfc),
            Self::Draft08 => numbers(0x8f8d8382_6d246b6f_c7a8a6a4_28c11de8, Family::Late),
            Self::Draft07 => numbers(0x439b59f8_ba676c4c_7737ae22_eab8f582, Family::Late),
            Self::Draft06 => numbers(0x4d1e0e13_6deafa34_c4f3ea9f_02ec7285, Family::Late),
            Self::Draft05 => numbers(0x80d0bb3d_ef54565e_e84645d4_c85ce3ee, Family::Late),
            Self::Draft04 => numbers(0x9909b64e_ed937c65_73de52ac_e952fa6b, Family::Late),
            Self::Apple => numbers(0x4df37928_e9fc4fd1_b3262170_d515c662, Family::Apple),
            Self::Draft03 => numbers(0x7d9419a6_5310ca6f_2c179d92_15529d56, Family::Early),
            Self::Draft02Newline => numbers(0x90cb8091_3ebb696e_086381b5_ec427b1f, Family::Early),
            Self::Draft02 => numbers(0xcd604643_35df21f8_7cfdb2fc_68b6a448, Family::Early),
        }
    }

    /// The body of its vendor ID payload.
    #[must_use]
    pub const fn vendor_id(self) -> [u8; 16] {
        self.numbers().vendor_id
    }

    /// The dialect that a vendor ID announces, if any.
    #[must_use]
    pub fn from_vendor_id(body: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|d| d.vendor_id() == body)
    }

    /// Payload type of NAT-D.
    #[must_use]
    pub const fn nat_d_payload(self) -> u8 {
        self.numbers().nat_d
    }

    /// Payload type of NAT-OA.
    #[must_use]
    pub const fn nat_oa_payload(self) -> u8 {
        self.numbers().nat_oa
    }

    /// How many NAT-OA payloads each side sends in transport mode: two are initiator's and
    /// responder's address as the sender knows them, one is the sender's own.
    #[must_use]
    pub const fn nat_oa_count(self) -> usize {
        self.numbers().nat_oa_count
    }

    /// Encapsulation mode attribute value of UDP-encapsulated tunnel mode.
    #[must_use]
    pub const fn tunnel_mode(self) -> u16 {
        self.numbers().tunnel
    }

    /// Encapsulation mode attribute value of UDP-encapsulated transport mode.
    #[must_use]
    pub const fn transport_mode(self) -> u16 {
        self.numbers().transport
    }
}

impl core::fmt::Display for Dialect {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Rfc3947 => "RFC 3947",
            Self::Draft08 => "draft-08",
            Self::Draft07 => "draft-07",
            Self::Draft06 => "draft-06",
            Self::Draft05 => "draft-05",
            Self::Draft04 => "draft-04",
            Self::Apple => "draft-apple",
            Self::Draft03 => "draft-03",
            Self::Draft02Newline => "draft-02\\n",
            Self::Draft02 => "draft-02",
        })
    }
}
