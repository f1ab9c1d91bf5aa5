//! Arrays as raw little-endian sections, one after the other in the order of the records that describe them, each of 64
//! bytes or more on a multiple of 64, smaller ones on a multiple of 8. Offsets are computed, never stored.

use std::borrow::Cow;

use dormouse_value::{DType, Value, bf16, f16};
use serde::{Deserialize, Serialize};

use crate::container::ALIGNMENT;

/// The most axes that a tensor in a file has. It bounds what an operand list can blow up to.
pub(crate) const MAX_RANK: usize = 64;

/// What a record says of an array.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Spec {
    pub(crate) dtype: DType,
    pub(crate) dims: Vec<u64>,
}

impl Spec {
    pub(crate) fn of(value: &Value) -> Spec {
        Spec { dtype: value.dtype(), dims: value.shape().iter().map(|d| *d as u64).collect() }
    }

    /// Extents and bytes, if an array can have so many.
    fn extents(&self) -> Result<(Vec<usize>, usize), String> {
        if self.dims.len() > MAX_RANK {
            return Err(format!("it has {} axes, at most {MAX_RANK} are allowed", self.dims.len()));
        }
        let dims = self.dims.iter().map(|d| usize::try_from(*d).ok()).collect::<Option<Vec<usize>>>();
        dims.and_then(|dims| {
            let bytes = dormouse_value::element_count(&dims)?.checked_mul(self.dtype.size())?;
            Some((dims, bytes))
        })
        .ok_or_else(|| format!("{} {:?} is more than any memory holds", self.dtype, self.dims))
    }
}

fn alignment(bytes: usize) -> usize {
    if bytes >= ALIGNMENT { ALIGNMENT } else { 8 }
}

/// The payload of a section of arrays, which must be in row-major order.
pub(crate) fn pieces<'a>(values: impl IntoIterator<Item = &'a Value>) -> Vec<Cow<'a, [u8]>> {
    let mut pieces = Vec::new();
    let mut at: usize = 0;
    for value in values {
        let bytes = little_endian(value);
        let start = at.next_multiple_of(alignment(bytes.len()));
        if start > at {
            pieces.push(Cow::Owned(vec![0; start - at]));
        }
        at = start + bytes.len();
        pieces.push(bytes);
    }
    pieces
}

fn little_endian(value: &Value) -> Cow<'_, [u8]> {
    let bytes = match value.as_bytes() {
        Some(bytes) => Cow::Borrowed(bytes),
        None => Cow::Owned(value.to_standard_layout().as_bytes().unwrap_or_default().to_vec()),
    };
    if cfg!(target_endian = "little") {
        return bytes;
    }
    bytes.chunks_exact(value.dtype().size()).flat_map(|element| element.iter().rev().copied()).collect()
}

/// Takes arrays out of a section, in order.
#[derive(Debug)]
pub(crate) struct Arrays<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Arrays<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Arrays { bytes, at: 0 }
    }

    pub(crate) fn next(&mut self, spec: &Spec) -> Result<Value, String> {
        let (dims, len) = spec.extents()?;
        let start = self.at.next_multiple_of(alignment(len));
        let rest = self.bytes.len().saturating_sub(start);
        let end = start.checked_add(len).filter(|end| *end <= self.bytes.len());
        let Some(end) = end else {
            return Err(format!("{} {:?} takes {len} bytes, {rest} are left", spec.dtype, spec.dims));
        };
        if self.bytes[self.at..start].iter().any(|b| *b != 0) {
            return Err("there are bytes between arrays".to_owned());
        }
        self.at = end;
        let bytes = &self.bytes[start..end];
        match spec.dtype {
            DType::F32 => Value::from_elements(&dims, elements(bytes, f32::from_le_bytes)),
            DType::F64 => Value::from_elements(&dims, elements(bytes, f64::from_le_bytes)),
            DType::I32 => Value::from_elements(&dims, elements(bytes, i32::from_le_bytes)),
            DType::I64 => Value::from_elements(&dims, elements(bytes, i64::from_le_bytes)),
            DType::U8 => Value::from_elements(&dims, bytes.to_vec()),
            DType::F16 => Value::from_elements(&dims, elements(bytes, f16::from_le_bytes)),
            DType::Bf16 => Value::from_elements(&dims, elements(bytes, bf16::from_le_bytes)),
            DType::I8 => Value::from_elements(&dims, elements(bytes, i8::from_le_bytes)),
            DType::I16 => Value::from_elements(&dims, elements(bytes, i16::from_le_bytes)),
            DType::U16 => Value::from_elements(&dims, elements(bytes, u16::from_le_bytes)),
            DType::U32 => Value::from_elements(&dims, elements(bytes, u32::from_le_bytes)),
            DType::U64 => Value::from_elements(&dims, elements(bytes, u64::from_le_bytes)),
            DType::Bool => match bytes.iter().find(|b| **b > 1) {
                Some(byte) => return Err(format!("{byte} is neither true nor false")),
                None => Value::from_elements(&dims, bytes.iter().map(|b| *b == 1).collect()),
            },
        }
        .map_err(|error| error.to_string())
    }

    pub(crate) fn finish(self) -> Result<(), String> {
        match self.bytes.len() - self.at {
            0 => Ok(()),
            rest => Err(format!("{rest} bytes are left over at its end")),
        }
    }
}

fn elements<T, const N: usize>(bytes: &[u8], f: impl Fn([u8; N]) -> T) -> Vec<T> {
    bytes.as_chunks::<N>().0.iter().map(|element| f(*element)).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn arrays_come_back_bit_for_bit() {
        let values = [
            Value::from(f32::from_bits(0x7fa0_0001)),
            Value::from(vec![1.5_f64; 9]),
            Value::from([[true, false, true]]),
            Value::zeros(DType::I64, &[3, 0, 2]),
            Value::from(vec![7_u8; 65]),
            Value::from(i32::MIN),
        ];
        let bytes = pieces(&values).concat();
        let mut arrays = Arrays::new(&bytes);
        for value in &values {
            let back = arrays.next(&Spec::of(value)).unwrap();
            assert_eq!((back.dtype(), back.shape()), (value.dtype(), value.shape()));
            assert_eq!(back.as_bytes(), value.as_bytes());
        }
        arrays.finish().unwrap();
    }

    #[test]
    fn specs_that_the_bytes_do_not_back_are_errors() {
        let told =
            |dims: &[u64]| Arrays::new(&[0; 16]).next(&Spec { dtype: DType::F32, dims: dims.to_vec() }).unwrap_err();
        assert!(told(&[1 << 60]).contains("takes 4611686018427387904 bytes, 16 are left"));
        assert!(told(&[1 << 40, 1 << 40]).contains("more than any memory holds"));
        assert!(told(&[u64::MAX]).contains("more than any memory holds"));
        assert!(told(&[1; 65]).contains("at most 64"));
        assert!(told(&[1 << 62, 1 << 62, 0]).contains("cannot have shape"), "{}", told(&[1 << 62, 1 << 62, 0]));
        let boolean = Arrays::new(&[2]).next(&Spec { dtype: DType::Bool, dims: vec![] });
        assert_eq!(boolean, Err("2 is neither true nor false".to_owned()));
    }
}
