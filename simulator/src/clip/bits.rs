//! Reading bit by bit what H.264 §7.2 and H.265 §7.2 write: fixed-length and Exp-Golomb codes of a raw byte sequence.

use crate::error::Error;

/// Enough of a NAL unit for any header the simulator reads; parameter sets are far shorter.
const HEADER_BYTES: usize = 4096;

/// A NAL unit's payload with its emulation prevention bytes (00 00 **03**) taken out.
pub(super) struct Bits {
    bytes: Vec<u8>,
    position: usize,
    what: &'static str,
}

impl Bits {
    /// Reads the NAL unit `nal` after its header of `header_bytes`; `what` names it in errors.
    pub(super) fn new(nal: &[u8], header_bytes: usize, what: &'static str) -> Self {
        let mut bytes = Vec::with_capacity(nal.len().min(HEADER_BYTES));
        let mut zeros = 0;
        for &byte in nal.iter().skip(header_bytes).take(HEADER_BYTES) {
            if zeros >= 2 && byte == 3 {
                zeros = 0;
                continue;
            }
            zeros = if byte == 0 { zeros + 1 } else { 0 };
            bytes.push(byte);
        }
        Self { bytes, position: 0, what }
    }

    /// The error that this part of the stream is damaged.
    pub(super) fn damaged(&self) -> Error {
        Error::DamagedClip { what: self.what }
    }

    /// `u(1)` as a flag.
    pub(super) fn flag(&mut self) -> Result<bool, Error> {
        let byte = self.bytes.get(self.position / 8).ok_or_else(|| self.damaged())?;
        let bit = byte >> (7 - self.position % 8) & 1;
        self.position += 1;
        Ok(bit == 1)
    }

    /// `u(count)`, at most 32 bits.
    pub(super) fn unsigned(&mut self, count: u32) -> Result<u32, Error> {
        let mut value = 0;
        for _ in 0..count {
            value = value << 1 | u32::from(self.flag()?);
        }
        Ok(value)
    }

    /// Passes over `count` bits.
    pub(super) fn skip(&mut self, count: usize) {
        self.position += count;
    }

    /// `ue(v)`.
    pub(super) fn exp_golomb(&mut self) -> Result<u32, Error> {
        let mut zeros = 0;
        while !self.flag()? {
            zeros += 1;
            if zeros > 31 {
                return Err(self.damaged());
            }
        }
        Ok((1 << zeros) - 1 + self.unsigned(zeros)?)
    }

    /// `ue(v)` with an upper bound.
    pub(super) fn exp_golomb_to(&mut self, most_inclusive: u32) -> Result<u32, Error> {
        let value = self.exp_golomb()?;
        if value <= most_inclusive { Ok(value) } else { Err(self.damaged()) }
    }

    /// `se(v)`.
    pub(super) fn signed_exp_golomb(&mut self) -> Result<i64, Error> {
        let code = i64::from(self.exp_golomb()?);
        Ok(if code % 2 == 1 { (code + 1) / 2 } else { -code / 2 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_read_as_the_standard_writes_them() {
        // 1 | 010 | 011 | 00100 | 0001000 then padding: 0, 1, 2, 3, 7.
        let mut bits = Bits::new(&[0b1010_0110, 0b0100_0001, 0b0000_0000], 0, "test");
        let codes: Vec<u32> = (0..5).map(|_| bits.exp_golomb().unwrap()).collect();
        assert_eq!(codes, [0, 1, 2, 3, 7]);
        let mut bits = Bits::new(&[0b0100_1100, 0b1000_0101], 0, "test");
        let codes: Vec<i64> = (0..4).map(|_| bits.signed_exp_golomb().unwrap()).collect();
        assert_eq!(codes, [1, -1, 2, -2]);
    }

    #[test]
    fn emulation_prevention_is_taken_out_and_the_end_is_an_error() {
        let mut bits = Bits::new(&[0xff, 0, 0, 3, 1, 0, 0, 3], 1, "test");
        assert_eq!(bits.unsigned(24).unwrap(), 1);
        assert_eq!(bits.unsigned(16).unwrap(), 0);
        assert!(matches!(bits.flag(), Err(Error::DamagedClip { what: "test" })));
    }
}
