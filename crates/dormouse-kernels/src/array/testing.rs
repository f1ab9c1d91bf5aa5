//! What this family's tests share: arrays of small whole numbers in any dtype, and kernels run in several orders.
//!
//! Numbers are exact in every dtype, so results are compared for equality with a reference that walks indices.

#![allow(clippy::unwrap_used, reason = "tests")]

use dormouse_value::{DType, Op, bf16, f16};
use proptest::prelude::*;

use crate::{Args, Kernel, KernelError, Spec, compile};

/// An operand: a spec and its elements as numbers.
#[derive(Clone, Debug)]
pub(super) struct Array {
    pub(super) spec: Spec,
    pub(super) numbers: Vec<i64>,
}

impl Array {
    pub(super) fn new(dtype: DType, dims: &[usize], numbers: impl IntoIterator<Item = i64>) -> Self {
        let (spec, numbers) = (Spec::new(dtype, dims), numbers.into_iter().map(|n| fit(dtype, n)).collect::<Vec<_>>());
        assert_eq!(spec.len(), numbers.len());
        Array { spec, numbers }
    }

    /// 1, 2, 3, … as far as the dtype tells them apart.
    pub(super) fn counting(dtype: DType, dims: &[usize]) -> Self {
        let count = Spec::new(dtype, dims).len() as i64;
        let cycle = if dtype == DType::Bool { 2 } else { 251 };
        Array::new(dtype, dims, (0..count).map(|i| (i * 5 + 1) % cycle))
    }

    /// The element at these indices.
    pub(super) fn at(&self, index: &[usize]) -> i64 {
        let position = index.iter().zip(&self.spec.dims).fold(0, |position, (&i, &n)| position * n + i);
        self.numbers[position]
    }
}

/// What a dtype makes of a number: short integers wrap, booleans are odd or not.
pub(super) fn fit(dtype: DType, number: i64) -> i64 {
    match dtype {
        DType::U8 => i64::from(number as u8),
        DType::I8 => i64::from(number as i8),
        DType::I16 => i64::from(number as i16),
        DType::U16 => i64::from(number as u16),
        DType::U32 => i64::from(number as u32),
        DType::Bool => number.rem_euclid(2),
        DType::F16 => f64::from(f16::from_f64(number as f64)) as i64,
        DType::Bf16 => f64::from(bf16::from_f64(number as f64)) as i64,
        DType::F32 | DType::F64 | DType::I32 | DType::I64 | DType::U64 => number,
    }
}

/// Every index of a shape, in order.
pub(super) fn indices(dims: &[usize]) -> Vec<Vec<usize>> {
    let count: usize = dims.iter().product();
    let index = |mut position: usize| {
        let mut index = vec![0; dims.len()];
        for (i, &n) in dims.iter().enumerate().rev() {
            index[i] = position % n;
            position /= n;
        }
        index
    };
    (0..count).map(index).collect()
}

/// Numbers that look random, below `limit`.
pub(super) fn scattered(count: usize, limit: usize, seed: u64) -> Vec<i64> {
    let mut state = seed | 1;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        ((state >> 33) as usize % limit) as i64
    };
    (0..count).map(|_| next()).collect()
}

pub(super) fn any_dtype() -> impl Strategy<Value = DType> {
    prop::sample::select(DType::ALL.to_vec())
}

/// One of the types that numbers are computed in.
pub(super) fn any_number() -> impl Strategy<Value = DType> {
    prop::sample::select(vec![DType::F32, DType::F64, DType::I32, DType::I64, DType::U8])
}

/// Up to four axes of 0 to 5 elements, longer ones now and then.
pub(super) fn any_dims() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(prop_oneof![1 => Just(0_usize), 3 => Just(1), 12 => 2..6_usize, 2 => 30..40_usize], 0..=4)
        .prop_filter("small", |dims| dims.iter().product::<usize>() <= 5000)
}

/// The message of the error that compiling gives.
pub(super) fn error(op: &Op, inputs: &[&Spec], output: &Spec) -> String {
    let inputs: Vec<Spec> = inputs.iter().copied().cloned().collect();
    compile(op, &inputs, std::slice::from_ref(output)).unwrap_err().to_string()
}

/// The result's numbers; the same whatever the order of the tiles, and the last error of any.
pub(super) fn run(op: &Op, inputs: &[&Array], output: &Spec) -> Result<Vec<i64>, KernelError> {
    let specs: Vec<Spec> = inputs.iter().map(|array| array.spec.clone()).collect();
    let kernel = compile(op, &specs, std::slice::from_ref(output))?;
    assert!(kernel.cost.nanos.is_finite() && kernel.cost.bytes >= 0.0);
    let buffers: Vec<Buffer> = inputs.iter().map(|array| Buffer::of(array)).collect();
    let pointers: Vec<*const u8> = (0..inputs.len())
        .map(|i| if op.shape_only(i) { std::ptr::dangling() } else { buffers[i].0.as_ptr().cast() })
        .collect();
    let mut results = Vec::new();
    for order in [Order::Forward, Order::Backward, Order::Scattered] {
        let mut result = Buffer(vec![0xA5A5_A5A5_A5A5_A5A5; output.bytes() / 8 + 1]);
        let outcome = execute(&kernel, &pointers, result.0.as_mut_ptr().cast(), order);
        results.push(outcome.map(|()| result.numbers(output)));
    }
    assert!(results.iter().all(|result| *result == results[0]), "tiles in another order give another result");
    assert!(results[0].is_ok() || kernel.fallible);
    results.swap_remove(0)
}

/// As [`run`], with the result in the first operand's buffer.
pub(super) fn run_in_place(op: &Op, inputs: &[&Array], output: &Spec) -> Result<Vec<i64>, KernelError> {
    let specs: Vec<Spec> = inputs.iter().map(|array| array.spec.clone()).collect();
    let kernel = compile(op, &specs, std::slice::from_ref(output))?;
    assert!(kernel.in_place.contains(&0));
    let mut buffer = Buffer::of(inputs[0]);
    let pointer: *mut u8 = buffer.0.as_mut_ptr().cast();
    let mut pointers = vec![std::ptr::dangling(); inputs.len()];
    pointers[0] = pointer.cast_const();
    execute(&kernel, &pointers, pointer, Order::Forward)?;
    Ok(buffer.numbers(output))
}

#[derive(Clone, Copy)]
enum Order {
    Forward,
    Backward,
    Scattered,
}

fn execute(kernel: &Kernel, inputs: &[*const u8], output: *mut u8, order: Order) -> Result<(), KernelError> {
    let mut shared = vec![[0xA5_u8; 64]; kernel.shared.div_ceil(64) + 1];
    let mut local = vec![[0xA5_u8; 64]; kernel.local.div_ceil(64) + 1];
    let args = Args { inputs, outputs: &[output], shared: aligned(&mut shared), local: aligned(&mut local) };
    for (phase, &tiles) in kernel.phases.iter().enumerate() {
        let mut order: Vec<usize> = match order {
            Order::Forward => (0..tiles).collect(),
            Order::Backward => (0..tiles).rev().collect(),
            Order::Scattered => (0..tiles).step_by(3).chain((0..tiles).filter(|tile| tile % 3 != 0)).collect(),
        };
        for tile in order.drain(..) {
            // SAFETY: the buffers have the specs that the kernel was compiled for, and each tile runs once.
            unsafe { kernel.body.run(&args, phase, tile)? };
        }
    }
    Ok(())
}

fn aligned(blocks: &mut [[u8; 64]]) -> *mut u8 {
    let pointer = blocks.as_mut_ptr().cast::<u8>();
    // There is a block more than asked for.
    pointer.wrapping_add(pointer.align_offset(64))
}

struct Buffer(Vec<u64>);

impl Buffer {
    fn of(array: &Array) -> Self {
        let bytes: Vec<u8> = array
            .numbers
            .iter()
            .flat_map(|&n| match array.spec.dtype {
                DType::F32 => (n as f32).to_ne_bytes().to_vec(),
                DType::F64 => (n as f64).to_ne_bytes().to_vec(),
                DType::I32 => (n as i32).to_ne_bytes().to_vec(),
                DType::I64 | DType::U64 => n.to_ne_bytes().to_vec(),
                DType::U8 | DType::I8 | DType::Bool => vec![n as u8],
                DType::I16 | DType::U16 => (n as u16).to_ne_bytes().to_vec(),
                DType::U32 => (n as u32).to_ne_bytes().to_vec(),
                DType::F16 => f16::from_f64(n as f64).to_ne_bytes().to_vec(),
                DType::Bf16 => bf16::from_f64(n as f64).to_ne_bytes().to_vec(),
            })
            .collect();
        let words = bytes.chunks(8).map(|chunk| {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            u64::from_ne_bytes(word)
        });
        Buffer(words.chain([0]).collect())
    }

    fn numbers(&self, spec: &Spec) -> Vec<i64> {
        let bytes: Vec<u8> = self.0.iter().flat_map(|word| word.to_ne_bytes()).take(spec.bytes()).collect();
        let number = |bytes: &[u8]| match spec.dtype {
            DType::F32 => f32::from_ne_bytes(bytes.try_into().unwrap()) as i64,
            DType::F64 => f64::from_ne_bytes(bytes.try_into().unwrap()) as i64,
            DType::I32 => i64::from(i32::from_ne_bytes(bytes.try_into().unwrap())),
            DType::I64 | DType::U64 => i64::from_ne_bytes(bytes.try_into().unwrap()),
            DType::U8 | DType::Bool => i64::from(bytes[0]),
            DType::I8 => i64::from(bytes[0] as i8),
            DType::I16 => i64::from(i16::from_ne_bytes(bytes.try_into().unwrap())),
            DType::U16 => i64::from(u16::from_ne_bytes(bytes.try_into().unwrap())),
            DType::U32 => i64::from(u32::from_ne_bytes(bytes.try_into().unwrap())),
            DType::F16 => f64::from(f16::from_ne_bytes(bytes.try_into().unwrap())) as i64,
            DType::Bf16 => f64::from(bf16::from_ne_bytes(bytes.try_into().unwrap())) as i64,
        };
        bytes.chunks(spec.dtype.size()).map(number).collect()
    }
}
