//! From picture order counts to the order of showing.

/// One picture's place as its slice header gives it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Order {
    /// Order counts start anew here: nothing before is shown after, and nothing after before.
    pub(super) resets: bool,
    /// Picture order count, comparable within one run between resets.
    pub(super) count: i64,
}

/// The low bits of an order count continued over their wrapping (H.264 §8.2.1.1, H.265 §8.3.1).
#[derive(Debug, Default)]
pub(super) struct CountUnwrapper {
    high: i64,
    low: i64,
}

impl CountUnwrapper {
    /// Starts a new run of order counts at `low`.
    pub(super) fn restart(&mut self, low: u32) {
        *self = Self { high: 0, low: i64::from(low) };
    }

    /// The full count for `low`, of `1 << bits` values; remembered where the picture `is_reference`.
    pub(super) fn unwrap(&mut self, low: u32, bits: u32, is_reference: bool) -> i64 {
        let low = i64::from(low);
        let range = 1i64 << bits;
        let high = if low < self.low && self.low - low >= range / 2 {
            self.high + range
        } else if low > self.low && low - self.low > range / 2 {
            self.high - range
        } else {
            self.high
        };
        if is_reference {
            (self.high, self.low) = (high, low);
        }
        high + low
    }
}

/// For pictures in decoding order, each one's place in the order of showing.
pub(super) fn places(orders: &[Order]) -> Vec<u32> {
    let mut places = vec![0; orders.len()];
    let mut from = 0;
    while from < orders.len() {
        let length =
            orders[from + 1..].iter().position(|order| order.resets).map_or(orders.len() - from, |n| n + 1);
        let mut shown: Vec<usize> = (from..from + length).collect();
        // Stable: pictures of equal count keep the order they were decoded in.
        shown.sort_by_key(|&index| orders[index].count);
        for (&index, place) in shown.iter().zip(from as u32..) {
            places[index] = place;
        }
        from += length;
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_run_is_shown_whole_before_the_next() {
        // I P B B | I P B, the second run decoded with higher counts than the first ended with.
        let orders = [(true, 0), (false, 6), (false, 2), (false, 4), (true, 20), (false, 24), (false, 22)]
            .map(|(resets, count)| Order { resets, count });
        assert_eq!(places(&orders), [0, 3, 1, 2, 4, 6, 5]);
        assert_eq!(places(&[]), Vec::<u32>::new());
    }

    #[test]
    fn low_bits_are_continued_over_the_wrap_in_both_directions() {
        let mut counts = CountUnwrapper::default();
        let full: Vec<i64> = [(0, true), (12, true), (8, false), (2, true), (14, false), (6, true)]
            .into_iter()
            .map(|(low, is_reference)| counts.unwrap(low, 4, is_reference))
            .collect();
        // From 0, 12 is nearer as -4; from -4 (that is, 12 of the run before) 8 is -8, 2 is 2, 14 is -2.
        assert_eq!(full, [0, -4, -8, 2, -2, 6]);
        counts.restart(0);
        assert_eq!(counts.unwrap(3, 4, true), 3);
    }
}
