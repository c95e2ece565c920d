//! hrd_parameters (H.265 E.2.2), with the common part: single-layer streams never leave it out.

use crate::media::Fault;
use crate::media::bits::BitReader;

/// What the common part says about the sub-layers' parts.
#[derive(Debug, Clone, Copy)]
struct Common {
    nal: bool,
    vcl: bool,
    sub_pictures: bool,
}

pub(super) fn parse(r: &mut BitReader<'_>, max_sub_layers_minus1: u32) -> Result<(), Fault> {
    let common = common(r)?;
    for _ in 0..=max_sub_layers_minus1 {
        sub_layer(r, common)?;
    }
    Ok(())
}

fn common(r: &mut BitReader<'_>) -> Result<Common, Fault> {
    let mut common = Common { nal: r.flag()?, vcl: r.flag()?, sub_pictures: false };
    if common.nal || common.vcl {
        common.sub_pictures = r.flag()?;
        if common.sub_pictures {
            r.skip(19)?; // tick divisor, removal delay lengths, place of the parameters
        }
        r.skip(8)?; // bit_rate_scale, cpb_size_scale
        if common.sub_pictures {
            r.skip(4)?; // cpb_size_du_scale
        }
        r.skip(15)?; // lengths of the delays
    }
    Ok(common)
}

fn sub_layer(r: &mut BitReader<'_>, common: Common) -> Result<(), Fault> {
    let fixed_general = r.flag()?;
    let fixed_within = fixed_general || r.flag()?;
    let mut low_delay = false;
    if fixed_within {
        r.ue_to(2047, "elemental_duration_in_tc_minus1")?;
    } else {
        low_delay = r.flag()?;
    }
    let count = if low_delay { 1 } else { r.ue_to(31, "cpb_cnt_minus1")? + 1 };
    for _ in 0..u32::from(common.nal) + u32::from(common.vcl) {
        for _ in 0..count {
            r.ue()?; // bit_rate_value_minus1
            r.ue()?; // cpb_size_value_minus1
            if common.sub_pictures {
                r.ue()?; // cpb_size_du_value_minus1
                r.ue()?; // bit_rate_du_value_minus1
            }
            r.flag()?; // cbr_flag
        }
    }
    Ok(())
}
