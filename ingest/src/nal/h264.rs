//! H.264: what a sequence parameter set says of sizes, and where a slice header has its quantiser (§7.3.2.1, §7.3.2.2,
//! §7.3.3). Of each only as much as lies before what is wanted.

use super::{
    bits::Bits,
    slice::{PictureType, Slice, Slots},
};

/// A sequence parameter set.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sps {
    /// Coded width and height, before cropping: what a decoder must allocate.
    pub size: (u32, u32),
    id: u32,
    bit_depth: i32,
    separate_planes: bool,
    chroma: bool,
    frame_num_bits: u32,
    order: Order,
    frames_only: bool,
}

/// `pic_order_cnt_type`, and what a slice header has of it.
#[derive(Debug, Clone, Copy, Default)]
enum Order {
    Lsb {
        bits: u32,
    },
    Deltas,
    #[default]
    Implied,
}

/// A picture parameter set.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pps {
    sps: u32,
    cabac: bool,
    bottom_order: bool,
    references: [u32; 2],
    weighted_p: bool,
    weighted_b: bool,
    qp: i32,
    redundant: bool,
}

/// The sets a stream has in force.
#[derive(Debug, Default)]
pub(crate) struct Sets {
    sps: Slots<Sps>,
    pps: Slots<Pps>,
}

impl Sps {
    pub fn parse(nal: &[u8]) -> Option<Self> {
        let mut bits = Bits::new(nal, 1);
        let profile = bits.take(8)?;
        bits.skip(16)?;
        let mut sps = Sps { id: bits.ue_to(31)?, bit_depth: 8, chroma: true, ..Sps::default() };
        if matches!(profile, 100 | 110 | 122 | 244 | 44 | 83 | 86 | 118 | 128 | 138 | 139 | 134 | 135) {
            let format = bits.ue()?;
            if format == 3 {
                sps.separate_planes = bits.flag()?;
            }
            sps.chroma = format != 0 && !sps.separate_planes;
            sps.bit_depth = i32::try_from(bits.ue()?.min(6)).ok()? + 8;
            bits.ue()?;
            bits.bit()?;
            if bits.flag()? {
                for list in 0..if format == 3 { 12 } else { 8 } {
                    if bits.flag()? {
                        skip_scaling_list(&mut bits, if list < 6 { 16 } else { 64 })?;
                    }
                }
            }
        }
        // A number beyond its bound spoils the slices, not the size.
        sps.frame_num_bits = bits.ue()?.min(28) + 4;
        sps.order = match bits.ue()? {
            0 => Order::Lsb { bits: bits.ue()?.min(28) + 4 },
            1 => {
                let none = bits.flag()?;
                bits.ue()?;
                bits.ue()?;
                for _ in 0..bits.ue()?.min(255) {
                    bits.ue()?;
                }
                if none { Order::Implied } else { Order::Deltas }
            }
            _ => Order::Implied,
        };
        bits.ue()?;
        bits.bit()?;
        let width = bits.ue()?.checked_add(1)?.checked_mul(16)?;
        let units = bits.ue()?.checked_add(1)?;
        sps.frames_only = bits.flag()?;
        let fields = if sps.frames_only { 1 } else { 2 };
        sps.size = (width, units.checked_mul(16 * fields)?);
        Some(sps)
    }
}

fn skip_scaling_list(bits: &mut Bits<'_>, size: u32) -> Option<()> {
    let (mut last, mut next) = (8_i64, 8_i64);
    for _ in 0..size {
        if next != 0 {
            next = (last + i64::from(bits.se()?)).rem_euclid(256);
        }
        if next != 0 {
            last = next;
        }
    }
    Some(())
}

impl Pps {
    fn parse(nal: &[u8]) -> Option<(u32, Self)> {
        let mut bits = Bits::new(nal, 1);
        let id = bits.ue_to(255)?;
        let sps = bits.ue_to(31)?;
        let cabac = bits.flag()?;
        let bottom_order = bits.flag()?;
        // Slice groups exist on paper.
        bits.ue_to(0)?;
        let references = [bits.ue_to(31)? + 1, bits.ue_to(31)? + 1];
        let weighted_p = bits.flag()?;
        let weighted_b = bits.take(2)? == 1;
        let qp = 26 + bits.se().filter(|qp| (-62..=25).contains(qp))?;
        bits.se()?;
        bits.se()?;
        bits.skip(2)?;
        let redundant = bits.flag()?;
        Some((id, Pps { sps, cabac, bottom_order, references, weighted_p, weighted_b, qp, redundant }))
    }
}

impl Sets {
    /// Takes a set in, where it is one; one that cannot be read takes the place of none.
    pub fn take(&mut self, nal: &[u8]) {
        match nal.first().map(|first| first & 0x1f) {
            Some(7) => self.sps.put(nal, |nal| Sps::parse(nal).map(|sps| (sps.id, sps))),
            Some(8) => self.pps.put(nal, Pps::parse),
            _ => {}
        }
    }
    /// Coded size of the sequence seen last.
    pub fn size(&self) -> Option<(u32, u32)> {
        self.sps.newest().map(|sps| sps.size)
    }
    /// The first slice of a picture.
    pub fn slice(&self, nal: &[u8]) -> Slice {
        let Some(&first) = nal.first() else { return Slice::default() };
        let mut bits = Bits::new(nal, 1);
        let (idr, reference) = (first & 0x1f == 5, first & 0x60 != 0);
        let mut slice = Slice { picture: PictureType::Other, reference, qp: None };
        let Some(kind) = bits.ue().and_then(|_| bits.ue_to(9)) else { return slice };
        let kind = kind % 5;
        slice.picture = match kind {
            0 | 3 => PictureType::P,
            1 => PictureType::B,
            _ => PictureType::I,
        };
        slice.qp = self.qp(&mut bits, slice.picture, idr, reference);
        slice
    }
    /// SliceQPY (§7.4.3), reading on behind `slice_type`.
    fn qp(&self, bits: &mut Bits<'_>, picture: PictureType, idr: bool, reference: bool) -> Option<i8> {
        let pps = self.pps.get(bits.ue()?)?;
        let sps = self.sps.get(pps.sps)?;
        let inter = picture != PictureType::I;
        let lists = picture.lists();
        if sps.separate_planes {
            bits.skip(2)?;
        }
        bits.skip(sps.frame_num_bits)?;
        let field = !sps.frames_only && bits.flag()?;
        if field {
            bits.bit()?;
        }
        if idr {
            bits.ue()?;
        }
        let both = pps.bottom_order && !field;
        match sps.order {
            Order::Lsb { bits: n } => {
                bits.skip(n)?;
                if both {
                    bits.se()?;
                }
            }
            Order::Deltas => {
                bits.se()?;
                if both {
                    bits.se()?;
                }
            }
            Order::Implied => {}
        }
        if pps.redundant {
            bits.ue()?;
        }
        if picture == PictureType::B {
            bits.bit()?;
        }
        let mut references = pps.references;
        if inter && bits.flag()? {
            for count in &mut references[..lists] {
                *count = bits.ue_to(31)? + 1;
            }
        }
        for _ in 0..lists {
            if bits.flag()? {
                while bits.ue_to(3)? != 3 {
                    bits.ue()?;
                }
            }
        }
        if (pps.weighted_p && picture == PictureType::P) || (pps.weighted_b && picture == PictureType::B) {
            skip_weights(bits, &references[..lists], sps.chroma)?;
        }
        if reference {
            skip_marking(bits, idr)?;
        }
        if pps.cabac && inter {
            bits.ue_to(2)?;
        }
        let qp = bits.se()?.checked_add(pps.qp)?;
        let least = -6 * (sps.bit_depth - 8);
        i8::try_from(qp).ok().filter(|_| (least..=51).contains(&qp))
    }
}

fn skip_weights(bits: &mut Bits<'_>, references: &[u32], chroma: bool) -> Option<()> {
    bits.ue_to(7)?;
    if chroma {
        bits.ue_to(7)?;
    }
    for count in references {
        for _ in 0..*count {
            for numbers in [2, 4].iter().take(if chroma { 2 } else { 1 }) {
                if bits.flag()? {
                    for _ in 0..*numbers {
                        bits.se()?;
                    }
                }
            }
        }
    }
    Some(())
}

fn skip_marking(bits: &mut Bits<'_>, idr: bool) -> Option<()> {
    if idr {
        return bits.skip(2);
    }
    if bits.flag()? {
        loop {
            match bits.ue_to(6)? {
                0 => break,
                3 => {
                    bits.ue()?;
                    bits.ue()?;
                }
                5 => {}
                _ => {
                    bits.ue()?;
                }
            }
        }
    }
    Some(())
}
