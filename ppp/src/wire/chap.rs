use crate::Error;

/// A CHAP Challenge or Response (RFC 1994 section 4.1): a value and a name.
///
/// ```text
/// | value-size | value ... | name ... |
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChapValue<'a> {
    /// The challenge or the response.
    pub value: &'a [u8],
    /// Who sent it.
    pub name: &'a [u8],
}

impl<'a> ChapValue<'a> {
    /// Reads the data of a CHAP packet.
    ///
    /// # Errors
    /// [`Error::Short`] or [`Error::BadLength`].
    pub fn parse(data: &'a [u8]) -> Result<Self, Error> {
        let (size, rest) = data.split_first().ok_or(Error::Short("CHAP value"))?;
        let (value, name) = rest
            .split_at_checked(usize::from(*size))
            .ok_or(Error::BadLength("CHAP value"))?;
        Ok(Self { value, name })
    }

    /// The data of a CHAP packet; a value has 255 bytes at most.
    #[must_use]
    pub fn emit(&self) -> Vec<u8> {
        let value = self.value.get(..255).unwrap_or(self.value);
        let mut data = vec![u8::try_from(value.len()).unwrap_or(255)];
        data.extend(value);
        data.extend(self.name);
        data
    }
}

/// The value of an MS-CHAPv2 response (RFC 2759 section 4).
///
/// ```text
/// | peer challenge 16 | reserved 8 | NT response 24 | flags 1 |
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MsChapV2Response {
    /// Chosen by the peer.
    pub peer_challenge: [u8; 16],
    /// Proves the password.
    pub nt_response: [u8; 24],
}

impl MsChapV2Response {
    /// Bytes of the value.
    pub const LENGTH: usize = 49;

    /// Reads the value.
    ///
    /// # Errors
    /// [`Error::BadLength`].
    pub fn parse(value: &[u8]) -> Result<Self, Error> {
        let wrong = Error::BadLength("MS-CHAPv2 response");
        if value.len() != Self::LENGTH {
            return Err(wrong);
        }
        let (peer_challenge, rest) = value.split_first_chunk::<16>().ok_or(wrong)?;
        let (_reserved, rest) = rest.split_first_chunk::<8>().ok_or(wrong)?;
        let (nt_response, _flags) = rest.split_first_chunk::<24>().ok_or(wrong)?;
        Ok(Self {
            peer_challenge: *peer_challenge,
            nt_response: *nt_response,
        })
    }

    /// The value as bytes.
    #[must_use]
    pub fn emit(&self) -> Vec<u8> {
        let mut value = Vec::with_capacity(Self::LENGTH);
        value.extend(self.peer_challenge);
        value.extend([0; 8]);
        value.extend(self.nt_response);
        value.push(0);
        value
    }
}

/// A PAP Authenticate-Request (RFC 1334 section 2.2.1).
///
/// ```text
/// | id-length | peer-id ... | password-length | password ... |
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PapRequest<'a> {
    /// The user's name.
    pub user: &'a [u8],
    /// The password in clear.
    pub password: &'a [u8],
}

impl std::fmt::Debug for PapRequest<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PapRequest")
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

impl<'a> PapRequest<'a> {
    /// Reads the data of an Authenticate-Request.
    ///
    /// # Errors
    /// [`Error::Short`] or [`Error::BadLength`].
    pub fn parse(data: &'a [u8]) -> Result<Self, Error> {
        let (user, rest) = counted(data)?;
        let (password, _) = counted(rest)?;
        Ok(Self { user, password })
    }

    /// The data of an Authenticate-Request; each part has 255 bytes at most.
    #[must_use]
    pub fn emit(&self) -> Vec<u8> {
        let mut data = Vec::new();
        for part in [self.user, self.password] {
            let part = part.get(..255).unwrap_or(part);
            data.push(u8::try_from(part.len()).unwrap_or(255));
            data.extend(part);
        }
        data
    }
}

fn counted(data: &[u8]) -> Result<(&[u8], &[u8]), Error> {
    let (length, rest) = data.split_first().ok_or(Error::Short("PAP field"))?;
    rest.split_at_checked(usize::from(*length))
        .ok_or(Error::BadLength("PAP field"))
}
