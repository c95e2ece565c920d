//! Pictures made at run time, of any size, speed, key-frame interval and bit rate: a tiny encoder that
//! needs no transform. Each picture carries its number ([`layout`]); the rest is noise that renews itself as
//! fast as the bit rate asks.

mod bits;
mod cabac;
mod h264;
mod h265;
mod layout;
mod noise;

use bytes::Bytes;

use crate::media::Codec;

use super::Error;
use bits::BitWriter;
use layout::{BLOCK, Block, Layout};
use noise::Noise;

/// A picture source without a clip.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PatternSettings {
    /// Codec.
    pub codec: PatternCodec,
    /// Luma samples of a row: even, 320 to 4096.
    pub width: u16,
    /// Rows of luma samples: even, 176 to 2304.
    pub height: u16,
    /// Pictures a second, 1 to 120.
    pub fps: u32,
    /// Pictures from key frame to key frame, 1 to 3,000.
    pub gop: u32,
    /// Bits a second on average, 64,000 to 200,000,000. Two bounds come with the size: what a bar code and key
    /// frames cost at least (the rate is then higher than asked for), and what a picture made of noise can
    /// hold (refused).
    pub bit_rate: u32,
}

impl Default for PatternSettings {
    fn default() -> Self {
        let codec = PatternCodec::H264;
        Self { codec, width: 1280, height: 720, fps: 25, gop: 25, bit_rate: 2_000_000 }
    }
}

/// Codec of a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PatternCodec {
    /// H.264, constrained baseline profile.
    H264,
    /// H.265, main profile.
    H265,
}

impl PatternSettings {
    /// Checks every bound.
    pub fn check(&self) -> Result<(), Error> {
        let within = |name, value: u32, low: u32, high: u32| {
            let fits = (low..=high).contains(&value);
            if fits { Ok(()) } else { Err(Error::Pattern { name, value, low, high }) }
        };
        within("width", self.width.into(), 320, 4096)?;
        within("height", self.height.into(), 176, 2304)?;
        within("width (odd)", u32::from(self.width % 2), 0, 0)?;
        within("height (odd)", u32::from(self.height % 2), 0, 0)?;
        within("fps", self.fps, 1, 120)?;
        within("gop", self.gop, 1, 3000)?;
        within("bit rate", self.bit_rate, 64_000, self.highest_bit_rate())
    }

    /// Half of what pictures of nothing but noise would take.
    fn highest_bit_rate(&self) -> u32 {
        let layout = Layout::new(self.width, self.height, self.fps);
        let bytes = layout.columns * layout.rows * self.codec.noise_bytes() / 2;
        let bits = u64::try_from(bytes).unwrap_or(0) * 8 * u64::from(self.fps);
        u32::try_from(bits.min(200_000_000)).unwrap_or(0)
    }
}

impl PatternCodec {
    fn noise_bytes(self) -> usize {
        match self {
            Self::H264 => h264::NOISE_BYTES,
            Self::H265 => h265::NOISE_BYTES,
        }
    }
}

/// How a block is coded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Coded {
    /// As in the picture before.
    Skip,
    /// Predicted from its neighbours.
    Blank,
    /// One luma value.
    Flat(u8),
    /// Fresh noise.
    Noise,
}

/// One coded picture.
#[derive(Debug, Clone)]
pub(super) struct Picture {
    /// Its number, as in the bar code.
    pub(super) number: u32,
    /// Whether it is a key frame.
    pub(super) key: bool,
    /// The NAL unit behind its 4-byte length.
    pub(super) data: Bytes,
}

/// The source: an endless row of pictures.
#[derive(Debug)]
pub(super) struct Pattern {
    settings: PatternSettings,
    layout: Layout,
    coder: Coder,
    noise: Noise,
    shown: Vec<Block>,
    number: u32,
    since_key: u32,
    /// What may be spent, in bits times fps.
    credit: i64,
    /// The block where the next noise goes.
    cursor: usize,
}

#[derive(Debug)]
enum Coder {
    H264(h264::H264),
    H265(h265::H265),
}

/// A key frame may cost as much as so many other pictures.
const KEY_WEIGHT: u32 = 8;

impl Pattern {
    /// A source whose first picture, a key frame, has this number.
    pub(super) fn new(settings: PatternSettings, number: u32) -> Result<Self, Error> {
        settings.check()?;
        let layout = Layout::new(settings.width, settings.height, settings.fps);
        let coder = match settings.codec {
            PatternCodec::H264 => Coder::H264(h264::H264::new(&layout)),
            PatternCodec::H265 => Coder::H265(h265::H265::new(&layout)),
        };
        Ok(Self {
            settings,
            coder,
            noise: Noise::new(number),
            shown: Vec::new(),
            number,
            since_key: 0,
            credit: 0,
            cursor: layout.columns * layout.rows / 2,
            layout,
        })
    }

    /// Codec and parameter sets.
    pub(super) fn codec(&self) -> Codec {
        match self.coder {
            Coder::H264(_) => h264::codec(&self.settings, &self.layout),
            Coder::H265(_) => h265::codec(&self.settings, &self.layout),
        }
    }

    /// The next picture.
    pub(super) fn next_picture(&mut self) -> Picture {
        let (number, key) = (self.number, self.since_key == 0);
        let blocks = self.plan(number, key);
        let nal = match &mut self.coder {
            Coder::H264(coder) => coder.encode(key, &blocks, &mut self.noise),
            Coder::H265(coder) => coder.encode(key, &blocks, &mut self.noise),
        };
        let mut data = Vec::with_capacity(nal.len() + 4);
        data.extend_from_slice(&u32::try_from(nal.len()).unwrap_or(u32::MAX).to_be_bytes());
        data.extend_from_slice(&nal);
        self.credit -= self.price(data.len());
        self.number = number.wrapping_add(1);
        self.since_key = (self.since_key + 1) % self.settings.gop;
        Picture { number, key, data: Bytes::from(data) }
    }

    /// How each block is coded: what changed, and as much noise as the credit allows.
    fn plan(&mut self, number: u32, key: bool) -> Vec<Coded> {
        let wanted = self.layout.paint(number);
        let mut blocks: Vec<Coded> = wanted
            .iter()
            .enumerate()
            .map(|(at, block)| match block {
                Block::Flat(luma) if key || self.shown.get(at) != Some(block) => Coded::Flat(*luma),
                Block::Texture if key => Coded::Blank,
                Block::Flat(_) | Block::Texture => Coded::Skip,
            })
            .collect();
        self.earn(key);
        let mut budget = self.credit - self.price(self.base_bytes(&blocks, key));
        let price = self.price(self.settings.codec.noise_bytes());
        for _ in 0..blocks.len() {
            if budget < price {
                break;
            }
            if wanted.get(self.cursor) == Some(&Block::Texture)
                && let Some(block) = blocks.get_mut(self.cursor)
            {
                *block = Coded::Noise;
                budget -= price;
            }
            self.cursor = (self.cursor + 1) % blocks.len();
        }
        self.shown = wanted;
        blocks
    }

    /// Adds this picture's share of the bit rate. A debt is forgiven beyond one second: where the asked rate
    /// cannot pay for the bar code, nothing is saved up against it.
    fn earn(&mut self, key: bool) {
        let weight = if key { KEY_WEIGHT } else { 1 };
        let a_group = i64::from(self.settings.bit_rate) * i64::from(self.settings.gop);
        let share = a_group * i64::from(weight) / i64::from(self.settings.gop - 1 + KEY_WEIGHT);
        let a_second = i64::from(self.settings.bit_rate) * i64::from(self.settings.fps);
        self.credit = self.credit.max(-a_second) + share;
    }

    /// About what the picture costs without noise.
    fn base_bytes(&self, blocks: &[Coded], key: bool) -> usize {
        let flat = blocks.iter().filter(|block| matches!(block, Coded::Flat(_))).count();
        let blank = if key { blocks.len() } else { 0 };
        match self.settings.codec {
            PatternCodec::H264 => 16 + flat * 4 + blank,
            PatternCodec::H265 => 16 + flat * h265::NOISE_BYTES + blank / 16,
        }
    }

    fn price(&self, bytes: usize) -> i64 {
        i64::try_from(bytes).unwrap_or(i64::MAX / 1024) * 8 * i64::from(self.settings.fps)
    }
}

/// Cropping from whole blocks to the size asked for, in units of two samples: the same syntax in both codecs.
fn write_cropping(w: &mut BitWriter, settings: &PatternSettings, layout: &Layout) {
    let spare = |blocks: usize, size: u16| {
        u32::try_from((blocks * BLOCK).saturating_sub(size.into()) / 2).unwrap_or(0)
    };
    let (right, bottom) =
        (spare(layout.columns, settings.width), spare(layout.rows, settings.height));
    w.flag(right + bottom > 0);
    if right + bottom > 0 {
        w.ue(0); // left
        w.ue(right);
        w.ue(0); // top
        w.ue(bottom);
    }
}

#[cfg(test)]
mod tests;
