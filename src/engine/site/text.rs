//! Label values in a form that is quick to compare.

/// A copy of a label value.
///
/// Up to 16 bytes, the value's length, its first 8 bytes and its last 8 say all there is to say, and comparing needs no
/// look into other memory. What is longer keeps a copy of the whole beside them.
#[derive(Debug)]
pub(super) struct Kept {
    words: Words,
    whole: Box<str>,
}

/// Length, head and tail of a value; all of it, up to [`Words::WHOLE`] bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Words {
    len: usize,
    head: u64,
    tail: u64,
}

impl Words {
    /// The longest value that is fully told by its words.
    const WHOLE: usize = 16;

    #[inline]
    pub(super) fn of(value: &str) -> Words {
        let bytes = value.as_bytes();
        let len = bytes.len();
        let (head, tail) = if let (Some(head), Some(tail)) = (bytes.first_chunk::<8>(), bytes.last_chunk::<8>()) {
            (u64::from_le_bytes(*head), u64::from_le_bytes(*tail))
        } else if let (Some(head), Some(tail)) = (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
            (u64::from(u32::from_le_bytes(*head)), u64::from(u32::from_le_bytes(*tail)))
        } else {
            // First, middle and last of at most three bytes.
            let at = |index: usize| bytes.get(index).copied().map_or(0, u64::from);
            (at(0) | at(len / 2) << 8, at(len.wrapping_sub(1)))
        };
        Words { len, head, tail }
    }

    /// Folds the value, whose words these are, into a hash: one multiplication, which does not wait for that of another
    /// value.
    #[inline]
    pub(super) fn hash(self, value: &str, seed: u64) -> u64 {
        let seed = if self.len > Words::WHOLE { middle(value, seed) } else { seed };
        // Any two numbers without a pattern.
        let (a, b) = (0x9E37_79B9_7F4A_7C15, 0xD1B5_4A32_D192_ED03);
        seed.rotate_left(23) ^ fold(self.head ^ a, self.tail ^ b ^ (self.len as u64).rotate_left(40))
    }
}

/// Folds what lies behind the head: paths and the like often begin and end alike.
#[inline(never)]
fn middle(value: &str, seed: u64) -> u64 {
    let (words, _) = value.as_bytes().as_chunks();
    words.iter().skip(1).fold(seed, |seed, word| fold(seed ^ u64::from_le_bytes(*word), 0x9E37_79B9_7F4A_7C15))
}

/// Both halves of a product: every bit of either number reaches the low bits of the result.
#[inline]
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}

impl Kept {
    pub(super) fn new(value: &str) -> Kept {
        let words = Words::of(value);
        // An empty box does not allocate.
        let whole = if words.len > Words::WHOLE { value.into() } else { "".into() };
        Kept { words, whole }
    }

    /// Whether this is the value whose words are given.
    #[inline]
    pub(super) fn is(&self, words: Words, value: &str) -> bool {
        self.words == words && (words.len <= Words::WHOLE || *self.whole == *value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_told_apart_at_every_length() {
        // A length's all-`a` value, and every value that differs from it in one byte.
        for len in 0..40 {
            let base = "a".repeat(len);
            let kept = Kept::new(&base);
            assert!(kept.is(Words::of(&base), &base));
            for at in 0..len {
                let mut other = base.clone().into_bytes();
                other[at] = b'b';
                let other = String::from_utf8(other).unwrap();
                assert!(!kept.is(Words::of(&other), &other), "{base} {other}");
            }
            let longer = format!("{base}a");
            assert!(!kept.is(Words::of(&longer), &longer));
        }
    }

    fn hash(value: &str) -> u64 {
        Words::of(value).hash(value, 0)
    }

    #[test]
    fn hashes_spread() {
        for (before, after) in
            [("", ""), ("agent-", ""), ("/api/v1/users/", "/details"), ("", "-and-a-long-ending-of-it")]
        {
            let mut seen = std::collections::HashSet::new();
            for number in 0..1_000 {
                seen.insert(hash(&format!("{before}{number}{after}")) % 128);
            }
            assert!(seen.len() > 120, "{before}: {}", seen.len());
        }
    }

    proptest::proptest! {
        #[test]
        fn the_same_value_and_no_other(a in ".{0,24}", b in ".{0,24}") {
            proptest::prop_assert_eq!(Kept::new(&a).is(Words::of(&b), &b), a == b);
        }
    }
}
