//! Operations whose shapes depend on numbers, once these are known: as operations of fixed shapes, or as values.

use std::hash::Hash;

use dormouse_value::{DType, DynamicOp, Element, Op, Value, bf16, f16, with_array};
use rustc_hash::FxHashMap;
use smallvec::SmallVec;

/// What an operation is when the numbers that settle its shape are known.
pub(crate) enum Settled {
    /// An operation of the operands before these (of `SliceGrad`, of the two before).
    Op(Op),
    /// A value.
    Value(Value),
}

/// The operation of fixed shape, for the values of its settling operands.
///
/// # Errors
/// When no shape can be so.
pub(crate) fn settle(op: &DynamicOp, settling: &[Value]) -> Result<Settled, String> {
    let numbers = |i: usize| whole_numbers(&settling[i]);
    let op = match op {
        DynamicOp::NonZero | DynamicOp::Unique { .. } => return Err("its shape depends on its operand".to_owned()),
        DynamicOp::Reshape => Op::Reshape { dims: numbers(0) },
        DynamicOp::BroadcastTo => Op::BroadcastTo { dims: natural("extents", &numbers(0))? },
        DynamicOp::Tile => Op::Tile { multiples: natural("multiples", &numbers(0))? },
        DynamicOp::TileGrad => Op::TileGrad { multiples: natural("multiples", &numbers(0))? },
        DynamicOp::Slice => {
            Op::Slice { begin: numbers(0).into_iter().collect(), size: numbers(1).into_iter().collect() }
        }
        DynamicOp::SliceGrad => Op::SliceGrad { begin: numbers(0).into_iter().collect() },
        &DynamicOp::Segment { op, sorted } => Op::Segment { op, segments: count(&numbers(0))?, sorted },
        DynamicOp::SegmentSpread => Op::SegmentSpread { segments: count(&numbers(0))? },
        DynamicOp::Range => return range(settling).map(Settled::Value),
    };
    Ok(Settled::Op(op))
}

fn whole_numbers(value: &Value) -> SmallVec<[i64; 4]> {
    match value {
        Value::I32(array) => array.iter().map(|n| i64::from(*n)).collect(),
        Value::I64(array) => array.iter().copied().collect(),
        Value::F32(_)
        | Value::F64(_)
        | Value::F16(_)
        | Value::Bf16(_)
        | Value::I8(_)
        | Value::I16(_)
        | Value::U8(_)
        | Value::U16(_)
        | Value::U32(_)
        | Value::U64(_)
        | Value::Bool(_) => SmallVec::new(),
    }
}

fn count(numbers: &[i64]) -> Result<u64, String> {
    let n = natural::<u64>("the number of segments", numbers)?;
    n.first().copied().ok_or_else(|| "it has no number of segments".to_owned())
}

fn natural<T: TryFrom<i64>>(what: &str, numbers: &[i64]) -> Result<SmallVec<[T; 4]>, String> {
    let told = |()| format!("{what} cannot be {numbers:?}");
    numbers.iter().map(|n| T::try_from(*n).map_err(|_| ())).collect::<Result<_, _>>().map_err(told)
}

/// The numbers from the first on, before the second, by the third.
fn range(settling: &[Value]) -> Result<Value, String> {
    macro_rules! whole {
        ($type:ty, $values:expr) => {{
            let [start, limit, step] = $values.map(i128::from);
            let count = counted(
                step,
                (limit - start).unsigned_abs().div_ceil(step.unsigned_abs().max(1)) as f64,
                limit >= start,
            )?;
            Ok(Value::from((0..count as i128).map(|i| (start + i * step) as $type).collect::<Vec<_>>()))
        }};
    }
    macro_rules! real {
        ($values:expr) => {{
            let [start, limit, step] = $values;
            let steps = f64::from((limit - start) / step).abs();
            let sign = step.partial_cmp(&0.0).ok_or("its step is not a number")? as i128;
            let count = counted(sign, steps.ceil(), limit >= start)?;
            let numbers = std::iter::successors(Some(start), |at| Some(at + step));
            Ok::<_, String>(Value::from(numbers.take(count).collect::<Vec<_>>()))
        }};
    }
    match &settling[0] {
        Value::I32(_) => whole!(i32, three::<i32>(settling)?),
        Value::I64(_) => whole!(i64, three::<i64>(settling)?),
        Value::U8(_) => whole!(u8, three::<u8>(settling)?),
        Value::F32(_) => real!(three::<f32>(settling)?),
        Value::F64(_) => real!(three::<f64>(settling)?),
        // TensorFlow adds up in f32, and rounds each number.
        Value::F16(_) => halves(&real!(three::<f16>(settling)?.map(f32::from))?, f16::from_f32),
        Value::Bf16(_) => halves(&real!(three::<bf16>(settling)?.map(f32::from))?, bf16::from_f32),
        Value::I8(_) => whole!(i8, three::<i8>(settling)?),
        Value::I16(_) => whole!(i16, three::<i16>(settling)?),
        Value::U16(_) => whole!(u16, three::<u16>(settling)?),
        Value::U32(_) => whole!(u32, three::<u32>(settling)?),
        Value::U64(_) => whole!(u64, three::<u64>(settling)?),
        Value::Bool(_) => Err("it is not of booleans".to_owned()),
    }
}

fn halves<T: Element>(numbers: &Value, round: fn(f32) -> T) -> Result<Value, String> {
    let numbers = numbers.to_vec::<f32>().map_err(|e| e.to_string())?;
    Ok(Value::from(numbers.into_iter().map(round).collect::<Vec<T>>()))
}

fn three<T: Element>(values: &[Value]) -> Result<[T; 3], String> {
    let scalar = |i: usize| values[i].scalar::<T>().map_err(|e| e.to_string());
    Ok([scalar(0)?, scalar(1)?, scalar(2)?])
}

/// The number of steps, if there are as many: the way must lead to the limit.
fn counted(step: i128, count: f64, upwards: bool) -> Result<usize, String> {
    if step == 0 {
        return Err("its step is 0".to_owned());
    }
    if count == 0.0 {
        return Ok(0);
    }
    if (step > 0) != upwards {
        return Err("its step leads away from its limit".to_owned());
    }
    // As many as a float counts one by one.
    if count < 9e15 { Ok(count as usize) } else { Err("it has no last number".to_owned()) }
}

/// The results of an operation that is computed between stages.
///
/// # Errors
/// When it is none.
pub(crate) fn compute(op: &DynamicOp, x: &Value) -> Result<Vec<Value>, String> {
    match op {
        DynamicOp::NonZero => Ok(vec![nonzero(x)]),
        DynamicOp::Unique { output } => Ok(unique(x, *output)),
        DynamicOp::Reshape
        | DynamicOp::BroadcastTo
        | DynamicOp::Tile
        | DynamicOp::TileGrad
        | DynamicOp::Slice
        | DynamicOp::SliceGrad
        | DynamicOp::Range
        | DynamicOp::Segment { .. }
        | DynamicOp::SegmentSpread => Err("it is computed with all others".to_owned()),
    }
}

fn nonzero(x: &Value) -> Value {
    fn places<T: Element>(x: &[T], dims: &[usize]) -> (Vec<i64>, usize) {
        let (mut found, mut count) = (Vec::new(), 0);
        for (i, _) in x.iter().enumerate().filter(|(_, x)| **x != T::default()) {
            let first = found.len();
            let mut rest = i;
            for n in dims.iter().rev() {
                found.push((rest % n) as i64);
                rest /= n;
            }
            found[first..].reverse();
            count += 1;
        }
        (found, count)
    }
    let dims = x.shape();
    let found = with_array!(Value, x, array => array.as_slice().map(|x| places(x, dims)));
    let (places, count) = found.unwrap_or_default();
    Value::from_elements(&[count, dims.len()], places).unwrap_or_else(|_| Value::zeros(DType::I64, &[0, dims.len()]))
}

fn unique(x: &Value, output: DType) -> Vec<Value> {
    fn places<T: Element, K: Eq + Hash>(x: &[T], key: impl Fn(T) -> Option<K>) -> (Vec<T>, Vec<i64>, Vec<i64>) {
        let mut first = FxHashMap::<K, i64>::default();
        let (mut values, mut index, mut counts) = (Vec::new(), Vec::with_capacity(x.len()), Vec::new());
        for &element in x {
            let next = values.len() as i64;
            // A NaN is like no other.
            let place = key(element).map_or(next, |key| *first.entry(key).or_insert(next));
            if place == next {
                values.push(element);
                counts.push(0);
            }
            counts[place as usize] += 1;
            index.push(place);
        }
        (values, index, counts)
    }
    macro_rules! of {
        ($array:expr, $key:expr) => {{
            let (values, index, counts) = places($array.as_slice().unwrap_or_default(), $key);
            (Value::from(values), index, counts)
        }};
    }
    let (values, index, counts) = match x {
        // 0 and −0 are equal.
        Value::F32(a) => of!(a, |x: f32| (!x.is_nan()).then_some((x + 0.0).to_bits())),
        Value::F64(a) => of!(a, |x: f64| (!x.is_nan()).then_some((x + 0.0).to_bits())),
        Value::I32(a) => of!(a, Some),
        Value::I64(a) => of!(a, Some),
        Value::U8(a) => of!(a, Some),
        Value::Bool(a) => of!(a, Some),
        Value::F16(a) => of!(a, |x: f16| (!x.is_nan()).then_some((f32::from(x) + 0.0).to_bits())),
        Value::Bf16(a) => of!(a, |x: bf16| (!x.is_nan()).then_some((f32::from(x) + 0.0).to_bits())),
        Value::I8(a) => of!(a, Some),
        Value::I16(a) => of!(a, Some),
        Value::U16(a) => of!(a, Some),
        Value::U32(a) => of!(a, Some),
        Value::U64(a) => of!(a, Some),
    };
    let of = |numbers: Vec<i64>| {
        if output == DType::I64 {
            Value::from(numbers)
        } else {
            Value::from(numbers.into_iter().map(|n| n as i32).collect::<Vec<_>>())
        }
    };
    vec![values, of(index), of(counts)]
}
