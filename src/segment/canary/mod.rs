//! A fake camera that tries to get out: what it sends, how its frames are known again, and what the run proves.
//! All of it without I/O; the command `camlock segment verify` does it.

mod frame;
mod judge;
mod marks;
mod scene;
mod ways;

pub use judge::{Control, Outcome, Report, Seen};
pub use marks::{Found, Mark, Marks, beacon};
pub use scene::{NoAddress, Randomness, Scene, Target};
pub use ways::{Answer, Expect, Sends, Way, ways};
