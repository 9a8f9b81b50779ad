//! A small image that travels inside the page.

use crate::{Error, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

const SIGNATURE: &[u8; 8] = b"\x89PNG\r\n\x1a\n";

/// An encoded PNG image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Png(Vec<u8>);

impl Png {
    /// Takes the bytes of a PNG file.
    ///
    /// # Errors
    /// Refuses bytes that do not start with PNG's signature.
    pub fn new(bytes: Vec<u8>) -> Result<Self> {
        if bytes.starts_with(SIGNATURE) {
            Ok(Self(bytes))
        } else {
            Err(Error::NotPng)
        }
    }

    /// The image as a URI that holds all of it.
    pub(crate) fn data_uri(&self) -> String {
        format!("data:image/png;base64,{}", STANDARD.encode(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_of_another_format_are_refused() {
        for bytes in [b"".as_slice(), b"\xff\xd8\xff\xe0", b"<svg/>", b"\x89PNG\n"] {
            let error = Png::new(bytes.to_vec()).unwrap_err();
            assert_eq!(
                error.to_string(),
                "an example image is not a PNG file; encode its pixels as PNG first"
            );
        }
        let png = Png::new(SIGNATURE.to_vec()).unwrap();
        assert_eq!(png.data_uri(), "data:image/png;base64,iVBORw0KGgo=");
    }
}
