//! individual_channel_stream (ISO/IEC 14496-3 4.4.2.7) of AAC-LC: where it ends.

use super::huffman;
use super::tables::{BANDS, SPECTRAL};
use crate::media::Fault;
use crate::media::bits::BitReader;

/// Where the scale factor bands of one sample rate begin; the last is the end.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    long: Vec<usize>,
    short: Vec<usize>,
}

impl Layout {
    pub(super) fn new(rate_index: usize) -> Option<Self> {
        let bands = BANDS.get(rate_index)?;
        let offsets = |runs: &[(u8, u8)]| {
            let mut at = 0;
            let mut offsets = vec![0];
            for (count, width) in runs {
                for _ in 0..*count {
                    at += usize::from(*width);
                    offsets.push(at);
                }
            }
            offsets
        };
        Some(Self { long: offsets(bands.long), short: offsets(bands.short) })
    }
}

/// Long or eight short windows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Windows {
    Long,
    Short,
}

/// ics_info.
#[derive(Debug, Clone)]
pub(super) struct Info {
    windows: Windows,
    /// Bands that are coded.
    max_band: usize,
    /// Windows of each group.
    groups: Vec<usize>,
}

impl Info {
    pub(super) fn parse(r: &mut BitReader<'_>, layout: &Layout) -> Result<Self, Fault> {
        r.zeros(1, "ics_reserved_bit")?;
        let windows = if r.bits(2)? == 2 { Windows::Short } else { Windows::Long };
        r.flag()?; // window_shape
        let (max_band, bands) = match windows {
            Windows::Short => (r.bits(4)?, layout.short.len() - 1),
            Windows::Long => (r.bits(6)?, layout.long.len() - 1),
        };
        let mut groups = vec![1];
        match windows {
            Windows::Short => {
                for _ in 0..7 {
                    match (r.flag()?, groups.last_mut()) {
                        (true, Some(group)) => *group += 1,
                        (true, None) | (false, _) => groups.push(1),
                    }
                }
            }
            Windows::Long => r.zeros(1, "predictor_data_present")?,
        }
        let max_band = usize::try_from(max_band).unwrap_or(usize::MAX);
        if max_band > bands {
            return Err(Fault::OutOfRange("max_sfb"));
        }
        Ok(Self { windows, max_band, groups })
    }

    /// One bit a band and group, of a channel pair.
    pub(super) fn bands(&self) -> usize {
        self.groups.len() * self.max_band
    }
}

/// Walks one channel; `common` is the info that a pair shares.
pub(super) fn walk(
    r: &mut BitReader<'_>,
    layout: &Layout,
    common: Option<&Info>,
) -> Result<(), Fault> {
    let global_gain = r.bits(8)?;
    let own;
    let info = match common {
        Some(common) => common,
        None => {
            own = Info::parse(r, layout)?;
            &own
        }
    };
    let sections = sections(r, info)?;
    scale_factors(r, &sections, global_gain)?;
    if r.flag()? {
        pulses(r, info, layout)?;
    }
    if r.flag()? {
        noise_shaping(r, info)?;
    }
    r.zeros(1, "gain_control_data_present")?;
    spectrum(r, &sections, info, layout)
}

/// What a section's bands hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Content {
    /// Nothing.
    Zero,
    /// Values of codebook 1 to 11, as index into the table.
    Spectrum(usize),
    /// Perceptual noise: an energy for each band.
    Noise,
    /// Intensity stereo: a position for each band.
    Intensity,
}

/// Bands of one group with the same content.
#[derive(Debug, Clone, Copy)]
struct Section {
    group: usize,
    content: Content,
    start: usize,
    end: usize,
}

fn sections(r: &mut BitReader<'_>, info: &Info) -> Result<Vec<Section>, Fault> {
    let length_bits = match info.windows {
        Windows::Long => 5,
        Windows::Short => 3,
    };
    let more = (1 << length_bits) - 1;
    let mut sections = Vec::new();
    for group in 0..info.groups.len() {
        let mut start = 0;
        while start < info.max_band {
            let content = match usize::try_from(r.bits(4)?).unwrap_or(usize::MAX) {
                0 => Content::Zero,
                book @ 1..=11 => Content::Spectrum(book - 1),
                13 => Content::Noise,
                14 | 15 => Content::Intensity,
                _ => return Err(Fault::OutOfRange("sect_cb")),
            };
            let mut end = start;
            loop {
                let length = usize::try_from(r.bits(length_bits)?).unwrap_or(usize::MAX);
                end += length;
                if end > info.max_band {
                    return Err(Fault::OutOfRange("sect_len"));
                }
                if length != more {
                    break;
                }
            }
            if end == start {
                return Err(Fault::OutOfRange("sect_len"));
            }
            sections.push(Section { group, content, start, end });
            start = end;
        }
    }
    Ok(sections)
}

fn scale_factors(r: &mut BitReader<'_>, sections: &[Section], gain: u32) -> Result<(), Fault> {
    let mut factor = i32::try_from(gain).unwrap_or(0);
    let mut first_noise = true;
    for section in sections {
        for _ in section.start..section.end {
            match section.content {
                Content::Zero => {}
                Content::Noise if first_noise => {
                    first_noise = false;
                    r.skip(9)?; // dpcm_noise_nrg
                }
                Content::Noise | Content::Intensity => {
                    huffman::scale_factor(r)?;
                }
                Content::Spectrum(_) => {
                    factor += huffman::scale_factor(r)?;
                    if !(0..=255).contains(&factor) {
                        return Err(Fault::OutOfRange("a scale factor"));
                    }
                }
            }
        }
    }
    Ok(())
}

fn pulses(r: &mut BitReader<'_>, info: &Info, layout: &Layout) -> Result<(), Fault> {
    if info.windows == Windows::Short {
        return Err(Fault::OutOfRange("pulse_data_present"));
    }
    let count = r.bits(2)? + 1;
    let start = usize::try_from(r.bits(6)?).unwrap_or(usize::MAX);
    if start >= layout.long.len() - 1 {
        return Err(Fault::OutOfRange("pulse_start_sfb"));
    }
    for _ in 0..count {
        r.skip(9)?; // pulse_offset, pulse_amp
    }
    Ok(())
}

/// tns_data: filters of each window.
fn noise_shaping(r: &mut BitReader<'_>, info: &Info) -> Result<(), Fault> {
    let (windows, count_bits, length_bits, order_bits, most) = match info.windows {
        Windows::Long => (1, 2, 6, 5, 12),
        Windows::Short => (8, 1, 4, 3, 7),
    };
    for _ in 0..windows {
        let filters = r.bits(count_bits)?;
        if filters == 0 {
            continue;
        }
        let resolution = 3 + usize::from(r.flag()?);
        for _ in 0..filters {
            r.skip(length_bits)?;
            let order = usize::try_from(r.bits(order_bits)?).unwrap_or(usize::MAX);
            if order > most {
                return Err(Fault::OutOfRange("order"));
            }
            if order > 0 {
                r.flag()?; // direction
                let bits = resolution - usize::from(r.flag()?);
                r.skip(order * bits)?;
            }
        }
    }
    Ok(())
}

fn spectrum(
    r: &mut BitReader<'_>,
    sections: &[Section],
    info: &Info,
    layout: &Layout,
) -> Result<(), Fault> {
    let offsets = match info.windows {
        Windows::Long => &layout.long,
        Windows::Short => &layout.short,
    };
    for section in sections {
        let Content::Spectrum(book) = section.content else { continue };
        let out = Fault::OutOfRange("sect_len");
        let book = SPECTRAL.get(book).ok_or(out)?;
        let start = *offsets.get(section.start).ok_or(out)?;
        let end = *offsets.get(section.end).ok_or(out)?;
        let values = (end - start) * info.groups.get(section.group).ok_or(out)?;
        for _ in 0..values / book.dimension {
            huffman::spectral(r, book)?;
        }
    }
    Ok(())
}
