//! `numeric` in binary form: digits to the base 10000 (`numeric_send`, `numeric_recv`).

use bytes::{Buf, BufMut, Bytes, BytesMut};

const POSITIVE: u16 = 0x0000;
const NEGATIVE: u16 = 0x4000;
const NOT_A_NUMBER: u16 = 0xc000;
const INFINITY: u16 = 0xd000;
const NEGATIVE_INFINITY: u16 = 0xf000;

/// Decimal digits in one digit of the binary form.
const GROUP: usize = 4;

/// Writes the number that `text` holds in plain decimal notation; `false` when it holds none.
pub(super) fn encode(text: &str, out: &mut BytesMut) -> bool {
    let special = match text {
        "NaN" => Some(NOT_A_NUMBER),
        "Infinity" => Some(INFINITY),
        "-Infinity" => Some(NEGATIVE_INFINITY),
        _ => None,
    };
    if let Some(sign) = special {
        put(out, 0, sign, 0, &[]);
        return true;
    }
    let (sign, unsigned) = match text.strip_prefix('-') {
        Some(rest) => (NEGATIVE, rest),
        None => (POSITIVE, text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if (whole.is_empty() && fraction.is_empty()) || !all_digits(whole) || !all_digits(fraction) {
        return false;
    }
    let mut digits = groups(whole, fraction);
    let Ok(mut weight) = i16::try_from(whole.len().div_ceil(GROUP)) else {
        return false;
    };
    weight -= 1;
    let leading = digits.iter().take_while(|&&digit| digit == 0).count();
    digits.drain(..leading);
    while digits.last() == Some(&0) {
        digits.pop();
    }
    let (Ok(leading), Ok(scale)) = (i16::try_from(leading), u16::try_from(fraction.len())) else {
        return false;
    };
    if i16::try_from(digits.len()).is_err() {
        return false;
    }
    if digits.is_empty() {
        // Zero has neither a sign nor a weight.
        put(out, 0, POSITIVE, scale, &[]);
    } else {
        put(out, weight - leading, sign, scale, &digits);
    }
    true
}

/// Reads the binary form as plain decimal text; `None` when it is malformed.
pub(super) fn decode(mut bytes: Bytes) -> Option<String> {
    if bytes.len() < 8 {
        return None;
    }
    let count = usize::from(bytes.get_u16());
    let weight = bytes.get_i16();
    let sign = bytes.get_u16();
    let scale = usize::from(bytes.get_u16());
    if bytes.len() != 2 * count {
        return None;
    }
    let negative = match sign {
        POSITIVE => false,
        NEGATIVE => true,
        NOT_A_NUMBER => return Some("NaN".to_owned()),
        INFINITY => return Some("Infinity".to_owned()),
        NEGATIVE_INFINITY => return Some("-Infinity".to_owned()),
        _ => return None,
    };
    let digits: Vec<u16> = (0..count).map(|_| bytes.get_u16()).collect();
    if digits.iter().any(|&digit| digit > 9999) {
        return None;
    }
    // The digit that stands for 10000 to the power of `place`.
    let digit = |place: i32| {
        usize::try_from(i32::from(weight) - place)
            .ok()
            .and_then(|index| digits.get(index))
            .copied()
            .unwrap_or(0)
    };
    let mut text = String::new();
    for place in (0..=i32::from(weight).max(0)).rev() {
        text.push_str(&format!("{:04}", digit(place)));
    }
    // The last digit before the point stays.
    let leading = text.len() - text.trim_start_matches('0').len();
    text.drain(..leading.min(text.len() - 1));
    if scale > 0 {
        let mut fraction = String::with_capacity(scale + GROUP);
        let mut place = -1;
        while fraction.len() < scale {
            fraction.push_str(&format!("{:04}", digit(place)));
            place -= 1;
        }
        fraction.truncate(scale);
        text.push('.');
        text.push_str(&fraction);
    }
    if negative && text.bytes().any(|byte| matches!(byte, b'1'..=b'9')) {
        text.insert(0, '-');
    }
    Some(text)
}

/// The decimal digits in groups that meet at the decimal point.
fn groups(whole: &str, fraction: &str) -> Vec<u16> {
    let mut decimals = "0".repeat((GROUP - whole.len() % GROUP) % GROUP);
    decimals.push_str(whole);
    decimals.push_str(fraction);
    decimals.push_str(&"0".repeat((GROUP - fraction.len() % GROUP) % GROUP));
    decimals
        .as_bytes()
        .chunks(GROUP)
        .map(|group| {
            group
                .iter()
                .fold(0, |sum, byte| sum * 10 + u16::from(byte - b'0'))
        })
        .collect()
}

fn put(out: &mut BytesMut, weight: i16, sign: u16, scale: u16, digits: &[u16]) {
    out.put_u16(digits.len() as u16);
    out.put_i16(weight);
    out.put_u16(sign);
    out.put_u16(scale);
    for &digit in digits {
        out.put_u16(digit);
    }
}
