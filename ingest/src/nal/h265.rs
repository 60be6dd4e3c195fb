//! H.265: what a sequence parameter set says of sizes, and where a slice header has its quantiser (§7.3.2.2, §7.3.2.3,
//! §7.3.6.1). Of each only as much as lies before what is wanted.

use super::{
    bits::Bits,
    slice::{PictureType, Slice, Slots},
};

/// Coded size, before cropping: what a decoder must allocate.
pub(crate) fn size(nal: &[u8]) -> Option<(u32, u32)> {
    Some(begin(&mut Bits::new(nal, 2))?.size)
}

/// A sequence parameter set.
#[derive(Debug, Clone, Default)]
struct Sps {
    id: u32,
    size: (u32, u32),
    separate_planes: bool,
    chroma: bool,
    bit_depth: i32,
    order_bits: u32,
    offsets: bool,
    short_term: Vec<References>,
    long_term: Option<LongTerm>,
    temporal_vectors: bool,
}

/// Whether each long-term picture that the sequence names is used, as bits; and how many it names.
#[derive(Debug, Clone, Copy, Default)]
struct LongTerm {
    used: u32,
    count: u32,
}

/// A short-term reference picture set (§7.4.8). 16 pictures are the most a decoder holds.
#[derive(Debug, Clone, Copy, Default)]
struct References {
    /// Distance in order of showing: the earlier ones from near to far, then the later ones.
    deltas: [i16; 16],
    used: u16,
    earlier: u8,
    count: u8,
}

/// A picture parameter set.
#[derive(Debug, Clone, Default)]
struct Pps {
    sps: u32,
    output_flag: bool,
    extra_bits: u32,
    cabac_init: bool,
    references: [u32; 2],
    qp: i32,
    weighted_p: bool,
    weighted_b: bool,
    lists_change: bool,
}

/// The sets a stream has in force.
#[derive(Debug, Default)]
pub(crate) struct Sets {
    sps: Slots<Sps>,
    pps: Slots<Pps>,
}

/// Bits for a number below `count`.
fn bits_below(count: u32) -> u32 {
    count.saturating_sub(1).checked_ilog2().map_or(0, |log| log + 1)
}

/// Up to the size.
fn begin(bits: &mut Bits<'_>) -> Option<Sps> {
    bits.skip(4)?;
    let sub_layers = bits.take(3)?;
    bits.bit()?;
    // profile_tier_level: 88 bits of profile, 8 of level, then the sub-layers'.
    bits.skip(96)?;
    let mut more = 0;
    for _ in 0..sub_layers {
        more += 88 * bits.bit()? + 8 * bits.bit()?;
    }
    if sub_layers > 0 {
        bits.skip(2 * (8 - sub_layers))?;
    }
    bits.skip(more)?;
    let mut sps = Sps { id: bits.ue_to(15)?, ..Sps::default() };
    let format = bits.ue()?;
    if format == 3 {
        sps.separate_planes = bits.flag()?;
    }
    sps.chroma = format != 0 && !sps.separate_planes;
    sps.size = (bits.ue()?, bits.ue()?);
    Some(sps)
}

impl Sps {
    fn parse(nal: &[u8]) -> Option<Self> {
        let sub_layers = u32::from((nal.get(2)? >> 1) & 7);
        let bits = &mut Bits::new(nal, 2);
        let mut sps = begin(bits)?;
        if bits.flag()? {
            for _ in 0..4 {
                bits.ue()?;
            }
        }
        sps.bit_depth = i32::try_from(bits.ue_to(8)?).ok()? + 8;
        bits.ue()?;
        sps.order_bits = bits.ue_to(12)? + 4;
        let told = bits.flag()?;
        for _ in 0..if told { sub_layers + 1 } else { 1 } {
            for _ in 0..3 {
                bits.ue()?;
            }
        }
        for _ in 0..6 {
            bits.ue()?;
        }
        if bits.flag()? && bits.flag()? {
            skip_scaling_lists(bits)?;
        }
        bits.bit()?;
        sps.offsets = bits.flag()?;
        if bits.flag()? {
            bits.skip(8)?;
            bits.ue()?;
            bits.ue()?;
            bits.bit()?;
        }
        let sets = bits.ue_to(64)?;
        for _ in 0..sets {
            let set = References::parse(bits, &sps.short_term, false)?;
            sps.short_term.push(set);
        }
        if bits.flag()? {
            let mut long_term = LongTerm { used: 0, count: bits.ue_to(32)? };
            for n in 0..long_term.count {
                bits.skip(sps.order_bits)?;
                long_term.used |= bits.bit()? << n;
            }
            sps.long_term = Some(long_term);
        }
        sps.temporal_vectors = bits.flag()?;
        Some(sps)
    }
}

impl References {
    /// `before` are the sequence's sets so far; a slice's own set follows all of them (§7.3.7).
    fn parse(bits: &mut Bits<'_>, before: &[References], slice: bool) -> Option<Self> {
        if !before.is_empty() && bits.flag()? {
            let back = if slice { bits.ue()? as usize + 1 } else { 1 };
            let base = before.get(before.len().checked_sub(back)?)?;
            let negative = bits.flag()?;
            let by = i32::try_from(bits.ue_to(0x7fff)?).ok()? + 1;
            return base.moved(bits, if negative { -by } else { by });
        }
        let mut set = References::default();
        let counts = [bits.ue_to(16)?, bits.ue_to(16)?];
        for (count, sign) in counts.into_iter().zip([-1, 1]) {
            let mut delta = 0;
            for _ in 0..count {
                delta += sign * (i32::try_from(bits.ue_to(0x7fff)?).ok()? + 1);
                let used = bits.flag()?;
                set.push(delta, used)?;
            }
            if sign < 0 {
                set.earlier = set.count;
            }
        }
        Some(set)
    }
    fn push(&mut self, delta: i32, used: bool) -> Option<()> {
        *self.deltas.get_mut(usize::from(self.count))? = i16::try_from(delta).ok()?;
        self.used |= u16::from(used) << self.count;
        self.count += 1;
        Some(())
    }
    /// This set as seen from a picture `by` away (equations 7-61 and 7-62).
    fn moved(&self, bits: &mut Bits<'_>, by: i32) -> Option<Self> {
        let count = usize::from(self.count);
        // The last stands for the picture itself.
        let mut kept = [(false, false); 17];
        for slot in &mut kept[..=count] {
            let used = bits.flag()?;
            *slot = (used, used || bits.flag()?);
        }
        let delta = |at: usize| i32::from(self.deltas[at]) + by;
        let earlier = usize::from(self.earlier);
        let mut set = References::default();
        for sign in [-1, 1] {
            // From near to far: on the other side of the picture the order turns round.
            let other = if sign < 0 { (earlier..count).rev() } else { (0..earlier).rev() };
            let same = if sign < 0 { 0..earlier } else { earlier..count };
            let order = other.map(|at| (at, delta(at))).chain([(count, by)]);
            for (at, delta) in order.chain(same.map(|at| (at, delta(at)))) {
                let (used, keep) = kept[at];
                if keep && delta.signum() == sign {
                    set.push(delta, used)?;
                }
            }
            if sign < 0 {
                set.earlier = set.count;
            }
        }
        Some(set)
    }
}

fn skip_scaling_lists(bits: &mut Bits<'_>) -> Option<()> {
    for size in 0..4_u32 {
        for _ in 0..if size == 3 { 2 } else { 6 } {
            if bits.flag()? {
                if size > 1 {
                    bits.se()?;
                }
                for _ in 0..64.min(1 << (4 + 2 * size)) {
                    bits.se()?;
                }
            } else {
                bits.ue()?;
            }
        }
    }
    Some(())
}

impl Pps {
    fn parse(nal: &[u8]) -> Option<(u32, Self)> {
        let bits = &mut Bits::new(nal, 2);
        let id = bits.ue_to(63)?;
        let mut pps = Pps { sps: bits.ue_to(15)?, ..Pps::default() };
        bits.bit()?;
        pps.output_flag = bits.flag()?;
        pps.extra_bits = bits.take(3)?;
        bits.bit()?;
        pps.cabac_init = bits.flag()?;
        pps.references = [bits.ue_to(14)? + 1, bits.ue_to(14)? + 1];
        pps.qp = 26 + bits.se().filter(|qp| (-74..=25).contains(qp))?;
        bits.skip(2)?;
        if bits.flag()? {
            bits.ue()?;
        }
        bits.se()?;
        bits.se()?;
        bits.bit()?;
        pps.weighted_p = bits.flag()?;
        pps.weighted_b = bits.flag()?;
        bits.bit()?;
        let tiles = bits.flag()?;
        bits.bit()?;
        if tiles {
            let (columns, rows) = (bits.ue_to(19)?, bits.ue_to(21)?);
            if !bits.flag()? {
                for _ in 0..columns + rows {
                    bits.ue()?;
                }
            }
            bits.bit()?;
        }
        bits.bit()?;
        if bits.flag()? {
            bits.bit()?;
            if !bits.flag()? {
                bits.se()?;
                bits.se()?;
            }
        }
        if bits.flag()? {
            skip_scaling_lists(bits)?;
        }
        pps.lists_change = bits.flag()?;
        Some((id, pps))
    }
}

impl Sets {
    /// Takes a set in, where it is one; one that cannot be read takes the place of none.
    pub fn take(&mut self, nal: &[u8]) {
        match nal.first().map(|first| (first >> 1) & 0x3f) {
            Some(33) => self.sps.put(nal, |nal| Sps::parse(nal).map(|sps| (sps.id, sps))),
            Some(34) => self.pps.put(nal, Pps::parse),
            _ => {}
        }
    }
    /// Coded size of the sequence seen last.
    pub fn size(&self) -> Option<(u32, u32)> {
        self.sps.newest().map(|sps| sps.size)
    }
    /// The first slice segment of a picture.
    pub fn slice(&self, nal: &[u8]) -> Slice {
        let Some(&first) = nal.first() else { return Slice::default() };
        let kind = (first >> 1) & 0x3f;
        // Up to 15 the even types are referred to by no picture of their layer.
        let mut slice =
            Slice { picture: PictureType::Other, reference: kind > 15 || kind % 2 == 1, qp: None };
        if (16..=23).contains(&kind) {
            slice.picture = PictureType::I;
        }
        slice.qp = self.qp(&mut Bits::new(nal, 2), kind, &mut slice.picture);
        slice
    }
    /// SliceQpY (equation 7-54), and the picture type on the way there.
    fn qp(&self, bits: &mut Bits<'_>, kind: u8, picture: &mut PictureType) -> Option<i8> {
        if !bits.flag()? {
            return None;
        }
        if (16..=23).contains(&kind) {
            bits.bit()?;
        }
        let pps = self.pps.get(bits.ue()?)?;
        let sps = self.sps.get(pps.sps)?;
        bits.skip(pps.extra_bits)?;
        *picture = [PictureType::B, PictureType::P, PictureType::I][bits.ue_to(2)? as usize];
        if pps.output_flag {
            bits.bit()?;
        }
        if sps.separate_planes {
            bits.skip(2)?;
        }
        let (mut held, mut temporal_vectors) = (0, false);
        if !matches!(kind, 19 | 20) {
            bits.skip(sps.order_bits)?;
            held = sps.references(bits)?;
            temporal_vectors = sps.temporal_vectors && bits.flag()?;
        }
        if sps.offsets {
            bits.skip(if sps.chroma { 2 } else { 1 })?;
        }
        if *picture != PictureType::I {
            skip_prediction(bits, sps, pps, *picture == PictureType::B, held, temporal_vectors)?;
        }
        let qp = bits.se()?.checked_add(pps.qp)?;
        let least = -6 * (sps.bit_depth - 8);
        i8::try_from(qp).ok().filter(|_| (least..=51).contains(&qp))
    }
}

impl Sps {
    /// Pictures that the slice may be predicted from (NumPicTotalCurr).
    fn references(&self, bits: &mut Bits<'_>) -> Option<u32> {
        let sets = u32::try_from(self.short_term.len()).ok()?;
        let set = if bits.flag()? {
            let at = bits.take(bits_below(sets))? as usize;
            *self.short_term.get(at)?
        } else {
            References::parse(bits, &self.short_term, true)?
        };
        let mut held = set.used.count_ones();
        let Some(named) = self.long_term else { return Some(held) };
        let by_name = if named.count > 0 { bits.ue_to(named.count)? } else { 0 };
        let own = bits.ue_to(16)?;
        for n in 0..by_name + own {
            let used = if n < by_name {
                let at = bits.take(bits_below(named.count))?;
                named.used.checked_shr(at)? & 1
            } else {
                bits.skip(self.order_bits)?;
                bits.bit()?
            };
            held += used;
            if bits.flag()? {
                bits.ue()?;
            }
        }
        Some(held)
    }
}

/// What a predicted slice has between its references and its quantiser.
fn skip_prediction(
    bits: &mut Bits<'_>,
    sps: &Sps,
    pps: &Pps,
    b: bool,
    held: u32,
    temporal_vectors: bool,
) -> Option<()> {
    let lists = if b { 2 } else { 1 };
    let mut references = pps.references;
    if bits.flag()? {
        for count in &mut references[..lists] {
            *count = bits.ue_to(14)? + 1;
        }
    }
    let references = &references[..lists];
    if pps.lists_change && held > 1 {
        for count in references {
            if bits.flag()? {
                bits.skip(count * bits_below(held))?;
            }
        }
    }
    if b {
        bits.bit()?;
    }
    if pps.cabac_init {
        bits.bit()?;
    }
    if temporal_vectors {
        let list = usize::from(b && !bits.flag()?);
        if references[list] > 1 {
            bits.ue()?;
        }
    }
    if if b { pps.weighted_b } else { pps.weighted_p } {
        skip_weights(bits, references, sps.chroma)?;
    }
    bits.ue_to(4).map(drop)
}

fn skip_weights(bits: &mut Bits<'_>, references: &[u32], chroma: bool) -> Option<()> {
    bits.ue_to(7)?;
    if chroma {
        bits.se()?;
    }
    for count in references {
        let luma = bits.take(*count)?;
        let colour = if chroma { bits.take(*count)? } else { 0 };
        for n in (0..*count).rev() {
            let numbers = 2 * ((luma >> n) & 1) + 4 * ((colour >> n) & 1);
            for _ in 0..numbers {
                bits.se()?;
            }
        }
    }
    Some(())
}
