//! Checks that a program printed what it claims.

use dormouse::prelude::Value;

/// Whether a value's numbers are these, to five digits.
#[track_caller]
pub(crate) fn close(value: &Value, expected: &[f32]) {
    let numbers = value.to_vec::<f32>().unwrap_or_default();
    let near = |(got, expected): (&f32, &f32)| (got - expected).abs() <= 1e-5 * expected.abs().max(0.1);
    let same = numbers.len() == expected.len() && numbers.iter().zip(expected).all(near);
    assert!(same, "got {numbers:?}, TensorFlow gives {expected:?}");
}
