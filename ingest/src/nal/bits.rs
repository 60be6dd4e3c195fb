//! The bits of a NAL unit, without emulation prevention (H.264 §7.3.1, H.265 §7.3.1.1). Nothing is copied.

/// What is read here stands within the first 1.5 KiB of a set, even where twelve scaling lists of the longest codes a
/// decoder takes (15 bits) come before it; and whoever writes longer ones is refused.
pub(super) const MAX_BYTES: usize = 4096;

/// Reads on and on; `None` at the end, and for codes that no standard allows.
#[derive(Debug, Clone)]
pub(crate) struct Bits<'a> {
    rest: &'a [u8],
    zeros: u8,
    byte: u8,
    left: u8,
}

impl<'a> Bits<'a> {
    /// What follows a NAL unit's header of so many bytes.
    pub fn new(nal: &'a [u8], header: usize) -> Self {
        let rest = nal.get(header..).unwrap_or_default();
        Self { rest: &rest[..rest.len().min(MAX_BYTES)], zeros: 0, byte: 0, left: 0 }
    }
    pub fn bit(&mut self) -> Option<u32> {
        if self.left == 0 {
            self.next_byte()?;
        }
        self.left -= 1;
        Some(u32::from((self.byte >> self.left) & 1))
    }
    pub fn flag(&mut self) -> Option<bool> {
        Some(self.bit()? == 1)
    }
    fn next_byte(&mut self) -> Option<()> {
        loop {
            let (&byte, rest) = self.rest.split_first()?;
            self.rest = rest;
            if self.zeros >= 2 && byte == 3 {
                self.zeros = 0;
                continue;
            }
            self.zeros = if byte == 0 { self.zeros.saturating_add(1) } else { 0 };
            (self.byte, self.left) = (byte, 8);
            return Some(());
        }
    }
    /// u(n), at most 32 bits.
    pub fn take(&mut self, n: u32) -> Option<u32> {
        (0..n).try_fold(0_u32, |value, _| Some(value.wrapping_shl(1) | self.bit()?))
    }
    pub fn skip(&mut self, n: u32) -> Option<()> {
        (0..n).try_for_each(|_| self.bit().map(drop))
    }
    /// ue(v)
    pub fn ue(&mut self) -> Option<u32> {
        let mut zeros = 0;
        while self.bit()? == 0 {
            zeros += 1;
            if zeros > 31 {
                return None;
            }
        }
        let rest = self.take(zeros)?;
        Some((1_u32 << zeros) - 1 + rest)
    }
    /// ue(v) that the standard bounds.
    pub fn ue_to(&mut self, most: u32) -> Option<u32> {
        self.ue().filter(|value| *value <= most)
    }
    /// se(v)
    pub fn se(&mut self) -> Option<i32> {
        let code = i64::from(self.ue()?);
        i32::try_from(if code % 2 == 1 { (code + 1) / 2 } else { -(code / 2) }).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::Bits;

    #[test]
    fn codes_are_read_across_emulation_prevention() {
        // 000 0 | 00 00 03 01 | : a header byte, then 0x00 0x00 0x01.
        let mut bits = Bits::new(&[0x67, 0, 0, 3, 1], 1);
        assert_eq!(bits.take(24), Some(1));
        assert_eq!(bits.bit(), None);
        // 1 | 010 | 011 | 00100 | 00101: 0, 1, 2, 3, 4
        let mut bits = Bits::new(&[0b1010_0110, 0b0100_0010, 0b1000_0000], 0);
        assert_eq!([bits.ue(), bits.ue()], [Some(0), Some(1)]);
        assert_eq!([bits.se(), bits.se(), bits.se()], [Some(-1), Some(2), Some(-2)]);
        assert_eq!(Bits::new(&[0; 40], 0).ue(), None, "no code has 32 zeros");
        assert_eq!(Bits::new(&[], 2).bit(), None);
    }
}
