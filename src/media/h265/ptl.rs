//! profile_tier_level (H.265 7.3.3).

use super::small;
use crate::media::Fault;
use crate::media::bits::BitReader;

/// General profile and level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ProfileLevel {
    pub(super) profile: u8,
    pub(super) level: u8,
}

/// 30 times each level of table A.8; 255 is level 8.5, without limits (sizes are checked anyway).
const LEVELS: [u32; 15] = [30, 60, 63, 90, 93, 120, 123, 150, 153, 156, 180, 183, 186, 189, 255];
const MAIN: u32 = 1;
const MAIN_10: u32 = 2;
const MAIN_STILL: u32 = 3;
const RANGE_EXTENSIONS: u32 = 4;

pub(super) fn parse(
    r: &mut BitReader<'_>,
    max_sub_layers_minus1: u32,
) -> Result<ProfileLevel, Fault> {
    let profile = profile(r)?;
    let level = r.bits(8)?;
    if !LEVELS.contains(&level) {
        return Err(Fault::OutOfRange("general_level_idc"));
    }
    let mut present = [(false, false); 6];
    let layers = usize::try_from(max_sub_layers_minus1).unwrap_or(usize::MAX);
    let sub_layers = present.get_mut(..layers).ok_or(Fault::OutOfRange("max_sub_layers_minus1"))?;
    for (profile, level) in &mut *sub_layers {
        (*profile, *level) = (r.flag()?, r.flag()?);
    }
    if layers > 0 {
        r.zeros(2 * (8 - layers), "reserved_zero_2bits")?;
    }
    for (has_profile, has_level) in sub_layers {
        if *has_profile {
            self::profile(r)?;
        }
        if *has_level && !LEVELS.contains(&r.bits(8)?) {
            return Err(Fault::OutOfRange("sub_layer_level_idc"));
        }
    }
    Ok(ProfileLevel {
        profile: small(profile, "general_profile_idc")?,
        level: small(level, "general_level_idc")?,
    })
}

/// The 88 bits of one profile.
fn profile(r: &mut BitReader<'_>) -> Result<u32, Fault> {
    r.zeros(2, "profile_space")?;
    r.flag()?; // tier_flag
    let profile = r.bits(5)?;
    let mut compatible = r.bits(32)?;
    r.skip(4)?; // progressive, interlaced, non-packed, frame-only
    compatible |= 1 << 31 >> profile; // a profile is compatible with itself
    let is = |profile: u32| compatible << profile >> 31 == 1;
    match profile {
        RANGE_EXTENSIONS => {
            r.skip(9)?; // general_max_12bit to general_lower_bit_rate_constraint_flag
            r.zeros(34, "reserved_zero_34bits")?;
        }
        MAIN | MAIN_10 | MAIN_STILL if is(MAIN_10) => {
            r.zeros(7, "reserved_zero_7bits")?;
            r.flag()?; // one_picture_only_constraint_flag
            r.zeros(35, "reserved_zero_35bits")?;
        }
        MAIN | MAIN_STILL => r.zeros(43, "reserved_zero_43bits")?,
        _ => return Err(Fault::Unsupported("profile_idc")),
    }
    r.zeros(1, "inbld_flag")?;
    Ok(profile)
}
