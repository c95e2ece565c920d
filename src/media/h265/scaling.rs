//! scaling_list_data (H.265 7.3.4).

use crate::media::Fault;
use crate::media::bits::BitReader;

pub(super) fn parse(r: &mut BitReader<'_>) -> Result<(), Fault> {
    for size in 0..4_u32 {
        // Of 32x32 there are two, as matrix 0 and 3.
        let matrices = if size == 3 { 2 } else { 6 };
        for matrix in 0..matrices {
            if !r.flag()? {
                r.ue_to(matrix, "scaling_list_pred_matrix_id_delta")?;
                continue;
            }
            if size > 1 {
                r.se_in(-7..=247, "scaling_list_dc_coef_minus8")?;
            }
            for _ in 0..if size == 0 { 16 } else { 64 } {
                r.se_in(-128..=127, "scaling_list_delta_coef")?;
            }
        }
    }
    Ok(())
}
