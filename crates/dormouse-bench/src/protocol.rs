//! How a step is measured: blocks of as many steps as fill a quarter of a second, and their median.

use std::hint::black_box;
use std::time::Instant;

use dormouse::Result;

const BLOCK_SECONDS: f64 = 0.25;
const BLOCKS: usize = 7;

/// Seconds that `steps` steps take.
fn block(step: &mut dyn FnMut() -> Result<f32>, steps: usize) -> Result<f64> {
    let start = Instant::now();
    for _ in 0..steps {
        black_box(step()?);
    }
    Ok(start.elapsed().as_secs_f64())
}

/// Measures a step and prints its line.
///
/// # Errors
/// The step's.
pub(crate) fn measure(name: &str, step: &mut dyn FnMut() -> Result<f32>) -> Result<()> {
    block(step, 2)?;
    let once = block(step, 1)?;
    let inner = ((BLOCK_SECONDS / once.max(1e-7)) as usize).max(1);
    block(step, (inner / 2).max(1))?;
    let mut nanos = Vec::with_capacity(BLOCKS);
    for _ in 0..BLOCKS {
        nanos.push(block(step, inner)? / inner as f64 * 1e9);
    }
    nanos.sort_by(f64::total_cmp);
    let (median, least, most) = (nanos[BLOCKS / 2], nanos[0], nanos[BLOCKS - 1]);
    println!(
        r#"{{"system": "dormouse", "workload": "{name}", "ns_per_step": {median:.1}, "min": {least:.1}, "max": {most:.1}, "inner": {inner}, "reps": {BLOCKS}}}"#
    );
    Ok(())
}
