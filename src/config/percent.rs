//! Percent-encoding (RFC 3986, section 2.1), strictly: what is not well formed is an error, as a
//! guess would be a wrong password. A `+` is a plus sign.

/// Decodes `%XX`; `None` where a `%` has no two hex digits after it, or the result is no UTF-8.
pub(super) fn decode(text: &str) -> Option<String> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let high = hex(bytes.next()?)?;
            let low = hex(bytes.next()?)?;
            decoded.push(high << 4 | low);
        } else {
            decoded.push(byte);
        }
    }
    String::from_utf8(decoded).ok()
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|value| value as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_decoded_and_a_plus_stays_a_plus() {
        assert_eq!(decode("p%40ss%2Fw+rd%C3%A9").as_deref(), Some("p@ss/w+rdé"));
    }

    #[test]
    fn a_malformed_escape_is_refused() {
        for text in ["%", "%4", "%4g", "a%+1", "%ff"] {
            assert_eq!(decode(text), None, "{text}");
        }
    }
}
