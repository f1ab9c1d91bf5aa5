//! Loops against their steps one by one, over every kind of broadcast, in place, and tile by tile in any order.
#![allow(clippy::unwrap_used, reason = "tests")]

use dormouse_value::{BinaryOp, CompareOp, Element, ReduceOp, UnaryOp, with_dtype};
use proptest::prelude::*;

use super::*;
use crate::Args;

/// An owned tensor: bytes aligned as scratch is.
#[derive(Clone, Debug)]
pub(crate) struct Buffer {
    pub(crate) spec: Spec,
    words: Vec<u64>,
}

impl Buffer {
    pub(crate) fn zeros(spec: Spec) -> Self {
        let words = vec![0; spec.bytes().div_ceil(8)];
        Buffer { spec, words }
    }

    pub(crate) fn of<T: Element>(dims: &[usize], elements: &[T]) -> Self {
        let mut buffer = Buffer::zeros(Spec::new(T::DTYPE, dims));
        assert_eq!(buffer.spec.len(), elements.len());
        // SAFETY: the buffer has room for the elements.
        unsafe { buffer.pointer_mut().cast::<T>().copy_from(elements.as_ptr(), elements.len()) };
        buffer
    }

    pub(crate) fn elements<T: Element>(&self) -> &[T] {
        assert_eq!(self.spec.dtype, T::DTYPE);
        // SAFETY: the words hold elements of T.
        unsafe { std::slice::from_raw_parts(self.pointer().cast::<T>(), self.spec.len()) }
    }

    fn pointer(&self) -> *const u8 {
        self.words.as_ptr().cast()
    }

    fn pointer_mut(&mut self) -> *mut u8 {
        self.words.as_mut_ptr().cast()
    }

    /// Equal spec and bits, any NaN equal to any other.
    #[track_caller]
    pub(crate) fn assert_same(&self, want: &Buffer, what: &dyn std::fmt::Debug) {
        assert_eq!(self.spec, want.spec, "{what:?}");
        with_dtype!(self.spec.dtype, T => {
            for (i, (got, want)) in self.elements::<T>().iter().zip(want.elements::<T>()).enumerate() {
                let bits = |x: &T| format!("{x:?}");
                assert_eq!(bits(got), bits(want), "{what:?}, element {i}");
            }
        });
    }
}

/// Runs all tiles, last first, on scratch full of rubbish.
pub(crate) fn run_kernel(kernel: &Kernel, inputs: &[Buffer], outputs: &[Spec]) -> Result<Vec<Buffer>, KernelError> {
    let mut results: Vec<Buffer> = outputs.iter().map(|spec| Buffer::zeros(spec.clone())).collect();
    let inputs: Vec<*const u8> = inputs.iter().map(Buffer::pointer).collect();
    let outputs: Vec<*mut u8> = results.iter_mut().map(Buffer::pointer_mut).collect();
    run_pointers(kernel, &inputs, &outputs).map(|()| results)
}

fn run_pointers(kernel: &Kernel, inputs: &[*const u8], outputs: &[*mut u8]) -> Result<(), KernelError> {
    let scratch = |bytes: usize| vec![[0xdb_u8; 64]; bytes.div_ceil(64) + 1];
    let (mut shared, mut local) = (scratch(kernel.shared), scratch(kernel.local));
    let aligned = |scratch: &mut Vec<[u8; 64]>| {
        let start = scratch.as_mut_ptr().cast::<u8>();
        // SAFETY: there are 64 bytes more than asked for.
        unsafe { start.add(start.align_offset(64)) }
    };
    let args = Args { inputs, outputs, shared: aligned(&mut shared), local: aligned(&mut local) };
    for (phase, &tiles) in kernel.phases.iter().enumerate() {
        for tile in (0..tiles).rev() {
            // SAFETY: the buffers are those of the kernel's specs; each tile runs once, phases in order.
            unsafe { kernel.body.run(&args, phase, tile)? };
        }
    }
    Ok(())
}

fn outputs_of(l: &Loop) -> Vec<Spec> {
    l.outputs.iter().map(|&value| Spec::new(dtype_of(l, value), &l.dims)).collect()
}

/// Broadcasts by indices, one element at a time.
fn broadcast<T: Element>(x: &Buffer, dims: &[usize]) -> Vec<T> {
    let own = &x.spec.dims;
    let elements = x.elements::<T>();
    (0..dims.iter().product())
        .map(|flat| {
            let (mut rest, mut offset, mut stride) = (flat, 0, 1);
            for (place, &extent) in dims.iter().rev().enumerate() {
                let at = rest % extent;
                rest /= extent;
                if let Some(axis) = own.len().checked_sub(place + 1) {
                    offset += if own[axis] == 1 { 0 } else { at * stride };
                    stride *= own[axis];
                }
            }
            elements[offset]
        })
        .collect()
}

fn numbers(n: usize, seed: u32) -> Vec<f32> {
    (0..n as u32)
        .map(|i| ((i.wrapping_mul(2_654_435_761).wrapping_add(seed) >> 16) as f32 - 32_768.0) / 5_000.0)
        .collect()
}

fn unary(op: UnaryOp, x: usize) -> Step {
    Step { op: Op::Unary(op), operands: SmallVec::from_slice(&[x]), dtype: DType::F32 }
}

fn binary(op: BinaryOp, a: usize, b: usize) -> Step {
    Step { op: Op::Binary(op), operands: SmallVec::from_slice(&[a, b]), dtype: DType::F32 }
}

/// The loop's results by kernels of one step each, on operands broadcast by hand.
fn step_by_step(l: &Loop, inputs: &[Buffer]) -> Vec<Buffer> {
    let mut values: Vec<Buffer> = inputs
        .iter()
        .map(|x| with_dtype!(x.spec.dtype, T => Buffer::of(&l.dims, &broadcast::<T>(x, &l.dims))))
        .collect();
    for step in &l.steps {
        let operands: Vec<Buffer> = step.operands.iter().map(|&value| values[value].clone()).collect();
        let specs: Vec<Spec> = operands.iter().map(|operand| operand.spec.clone()).collect();
        let output = [Spec::new(step.dtype, &l.dims)];
        let kernel = crate::compile(&step.op, &specs, &output).unwrap();
        values.push(run_kernel(&kernel, &operands, &output).unwrap().swap_remove(0));
    }
    l.outputs.iter().map(|&value| values[value].clone()).collect()
}

#[track_caller]
fn check(l: &Loop, inputs: &[Buffer]) {
    let kernel = compile_loop(l).unwrap();
    let got = run_kernel(&kernel, inputs, &outputs_of(l)).unwrap();
    for (got, want) in got.iter().zip(step_by_step(l, inputs)) {
        got.assert_same(&want, l);
    }
}

fn check_broadcast(dims: &[usize], own: &[usize]) {
    let x = Buffer::of(own, &numbers(own.iter().product(), 1));
    let full = Buffer::of(dims, &numbers(dims.iter().product(), 2));
    let l = Loop {
        dims: dims.into(),
        inputs: vec![x.spec.clone(), full.spec.clone()],
        steps: vec![binary(BinaryOp::Sub, 0, 1)],
        outputs: vec![2],
    };
    check(&l, &[x.clone(), full]);
    check(&Loop { dims: dims.into(), inputs: vec![x.spec.clone()], steps: vec![], outputs: vec![0] }, &[x]);
}

#[test]
fn every_kind_of_broadcast_is_right() {
    let cases: [(&[usize], &[usize]); 26] = [
        (&[], &[]),
        (&[1], &[]),
        (&[1, 1], &[1]),
        (&[5], &[]),
        (&[700], &[1]),
        (&[3, 4], &[4]),
        (&[100, 10], &[1, 10]),
        (&[3, 1000], &[1000]),
        (&[3, 1025], &[1025]),
        (&[5, 3000], &[1, 3000]),
        (&[700, 3], &[700, 1]),
        (&[3, 700], &[3, 1]),
        (&[2, 3, 4], &[2, 1, 4]),
        (&[20, 30, 4], &[1, 30, 1]),
        (&[20, 3, 40], &[20, 1, 40]),
        (&[2, 300, 3], &[300, 1]),
        (&[4, 5, 6, 7], &[5, 1, 7]),
        (&[4, 5, 6, 7], &[4, 1, 6, 1]),
        (&[4, 5, 6, 7], &[1, 5, 6, 1]),
        (&[2, 3, 4, 5, 6], &[2, 1, 4, 1, 6]),
        (&[2, 3, 4, 5, 6], &[3, 1, 5, 1]),
        (&[2, 1, 3, 1, 5], &[1, 1, 3, 1, 1]),
        (&[0], &[1]),
        (&[3, 0], &[1, 0]),
        (&[0, 3], &[3]),
        (&[8, 1, 300], &[8, 1, 300]),
    ];
    for (dims, own) in cases {
        check_broadcast(dims, own);
    }
}

#[test]
fn sources_merge_axes() {
    assert_eq!(Source::of(&[4, 5], &[4, 5]), Source::Direct);
    assert_eq!(Source::of(&[1, 4, 5], &[4, 5]), Source::Direct);
    assert_eq!(Source::of(&[4, 5], &[]), Source::Splat);
    assert_eq!(Source::of(&[2, 4, 5], &[4, 5]), Source::Row { period: 20, laid_out: true });
    assert_eq!(Source::of(&[4, 5], &[4, 1]), Source::Strided(SmallVec::from_slice(&[(5, 0), (4, 1)])));
}

fn gelu(dims: &[usize]) -> Loop {
    let scalar = Spec::new(DType::F32, &[]);
    Loop {
        dims: dims.into(),
        inputs: vec![Spec::new(DType::F32, dims), scalar.clone(), scalar.clone(), scalar.clone(), scalar],
        steps: vec![
            binary(BinaryOp::Mul, 0, 0),
            binary(BinaryOp::Mul, 5, 0),
            binary(BinaryOp::Mul, 6, 1),
            binary(BinaryOp::Add, 0, 7),
            binary(BinaryOp::Mul, 8, 2),
            unary(UnaryOp::Tanh, 9),
            binary(BinaryOp::Add, 10, 3),
            binary(BinaryOp::Mul, 0, 4),
            binary(BinaryOp::Mul, 12, 11),
        ],
        outputs: vec![13],
    }
}

#[test]
fn a_chain_equals_its_steps() {
    for n in [0, 1, 7, 8, 255, 256, 257, 1000, 200_000] {
        let constants = [0.044_715, 0.797_884_6, 1.0, 0.5_f32].map(|c| Buffer::of(&[], &[c]));
        let mut inputs = vec![Buffer::of(&[n], &numbers(n, 3))];
        inputs.extend(constants);
        check(&gelu(&[n]), &inputs);
    }
}

/// 300 numbers with fractions that fill the type.
fn scattered(dtype: DType, seed: u32) -> Buffer {
    let x = numbers(300, 31 * seed);
    let wide: Vec<f64> = x.iter().map(|&x| f64::from(x) / 3.0).collect();
    if dtype == DType::F32 { Buffer::of(&[300], &x) } else { Buffer::of(&[300], &wide) }
}

#[test]
fn pairs_round_both_operations() {
    let ops = [BinaryOp::Add, BinaryOp::Sub, BinaryOp::Mul];
    for dtype in [DType::F32, DType::F64] {
        let inputs = [0, 1, 2].map(|k| scattered(dtype, k));
        for (inner, outer) in ops.iter().flat_map(|&inner| ops.map(|outer| (inner, outer))) {
            for operands in [[3, 2], [2, 3], [3, 3], [3, 0]] {
                let steps = vec![binary(inner, 0, 1), binary(outer, operands[0], operands[1])];
                let steps = steps.into_iter().map(|step| Step { dtype, ..step }).collect();
                let specs = inputs.iter().map(|x| x.spec.clone()).collect();
                let l = Loop { dims: [300].as_slice().into(), inputs: specs, steps, outputs: vec![4] };
                let joined = Lowered::of(&l).unwrap().instructions.len() == 1;
                assert_eq!(joined, operands != [3, 3], "{operands:?}");
                check(&l, &inputs);
            }
        }
    }
}

#[test]
fn registers_are_shared() {
    let l = gelu(&[4096]);
    let kernel = compile_loop(&l).unwrap();
    // Pointers of 14 slots, three registers, four splats.
    assert!(kernel.local <= 128 + 3 * 1024 + 4 * 1024, "{} bytes", kernel.local);
    assert!(kernel.phases[0] >= 1 && !kernel.fallible);
    assert_eq!(kernel.in_place.as_slice(), [0]);
}

#[test]
fn outputs_may_be_inputs_buffers() {
    let dims = [3, 333];
    let n = 999;
    // Outputs: x − y over y's buffer, an intermediate over x's, x itself and the first again in buffers of their own.
    let l = Loop {
        dims: dims.as_slice().into(),
        inputs: vec![Spec::new(DType::F32, &dims), Spec::new(DType::F32, &dims)],
        steps: vec![binary(BinaryOp::Sub, 0, 1), binary(BinaryOp::Mul, 2, 0), unary(UnaryOp::Exp, 3)],
        outputs: vec![2, 4, 0, 2, 1],
    };
    assert_eq!(elementwise_inputs(&l).as_slice(), [0, 1]);
    let inputs = [Buffer::of(&dims, &numbers(n, 5)), Buffer::of(&dims, &numbers(n, 6))];
    let want = step_by_step(&l, &inputs);
    let kernel = compile_loop(&l).unwrap();
    let [mut x, mut y] = inputs.clone();
    let mut own: Vec<Buffer> = (0..3).map(|_| Buffer::zeros(l.inputs[0].clone())).collect();
    let mut outputs = vec![y.pointer_mut(), x.pointer_mut()];
    outputs.extend(own.iter_mut().map(Buffer::pointer_mut));
    run_pointers(&kernel, &[outputs[1].cast_const(), outputs[0].cast_const()], &outputs).unwrap();
    own.insert(0, x);
    own.insert(0, y);
    for (got, want) in own.iter().zip(&want) {
        got.assert_same(want, &"in place");
    }
    // Two inputs change places.
    let swap = Loop { steps: vec![], outputs: vec![1, 0], ..l };
    let kernel = compile_loop(&swap).unwrap();
    let [mut x, mut y] = inputs.clone();
    let both = [x.pointer_mut(), y.pointer_mut()];
    run_pointers(&kernel, &both.map(<*mut u8>::cast_const), &both).unwrap();
    x.assert_same(&inputs[1], &"swapped");
    y.assert_same(&inputs[0], &"swapped");
}

#[test]
fn mistakes_are_named() {
    let spec = |dims: &[usize]| Spec::new(DType::F32, dims);
    let l = |inputs: Vec<Spec>, steps: Vec<Step>, outputs: Vec<usize>| {
        compile_loop(&Loop { dims: [2, 3].as_slice().into(), inputs, steps, outputs }).unwrap_err().to_string()
    };
    assert_eq!(l(vec![spec(&[2])], vec![], vec![0]), "input 0, f32[2], does not broadcast to [2, 3]");
    assert_eq!(
        l(vec![spec(&[3])], vec![unary(UnaryOp::Exp, 1)], vec![1]),
        "step 0 takes value 1, which is not older than it"
    );
    assert_eq!(l(vec![spec(&[3])], vec![], vec![4]), "an output is value 4 of 1");
    let wrong = Step { dtype: DType::F64, ..binary(BinaryOp::Add, 0, 0) };
    assert_eq!(l(vec![spec(&[3])], vec![wrong], vec![1]), "Binary(Add) has no kernel for (f32, f32) → f64");
    let none = Step { op: Op::L2Loss, ..unary(UnaryOp::Exp, 0) };
    assert_eq!(l(vec![spec(&[3])], vec![none], vec![1]), "L2Loss has no kernel for (f32) → f32");
}

#[test]
fn faults_end_the_run() {
    let l = Loop {
        dims: [2000].as_slice().into(),
        inputs: vec![Spec::new(DType::I32, &[2000]), Spec::new(DType::I32, &[])],
        steps: vec![Step { dtype: DType::I32, ..binary(BinaryOp::FloorDiv, 0, 1) }],
        outputs: vec![2],
    };
    let kernel = compile_loop(&l).unwrap();
    assert!(kernel.fallible);
    let x = Buffer::of(&[2000], &vec![7_i32; 2000]);
    let error = run_kernel(&kernel, &[x.clone(), Buffer::of(&[], &[0_i32])], &outputs_of(&l)).unwrap_err();
    assert_eq!(error.to_string(), "integer division by zero");
    let ok = run_kernel(&kernel, &[x, Buffer::of(&[], &[-2_i32])], &outputs_of(&l)).unwrap();
    assert!(ok[0].elements::<i32>().iter().all(|&x| x == -4));
}

/// A random loop over f32 with comparisons and selections in between.
fn loops() -> impl Strategy<Value = (Loop, Vec<Buffer>)> {
    let dims = prop::collection::vec(1_usize..12, 0..5);
    let inputs = prop::collection::vec((0_usize..32, 0_usize..5), 1..5);
    let steps = prop::collection::vec((0_u8..14, 0_usize..100, 0_usize..100, 0_usize..100), 0..12);
    let outputs = prop::collection::vec(0_usize..100, 1..4);
    (dims, inputs, steps, outputs).prop_map(|(dims, inputs, steps, outputs)| {
        let inputs: Vec<Buffer> = inputs
            .iter()
            .enumerate()
            .map(|(k, &(mask, dropped))| {
                let own: Vec<usize> =
                    dims.iter().enumerate().map(|(axis, &n)| if mask >> axis & 1 == 1 { 1 } else { n }).collect();
                let own = &own[dropped.min(own.len())..];
                Buffer::of(own, &numbers(own.iter().product(), k as u32 * 977))
            })
            .collect();
        let mut l = Loop {
            dims: dims.as_slice().into(),
            inputs: inputs.iter().map(|x| x.spec.clone()).collect(),
            steps: vec![],
            outputs: vec![],
        };
        for (kind, a, b, c) in steps {
            let count = l.inputs.len() + l.steps.len();
            let of = |dtype: DType, k: usize| {
                let all: Vec<usize> = (0..count).filter(|&value| dtype_of(&l, value) == dtype).collect();
                (!all.is_empty()).then(|| all[k % all.len()])
            };
            let (Some(a), Some(b)) = (of(DType::F32, a), of(DType::F32, b)) else { continue };
            let condition = of(DType::Bool, c);
            l.steps.push(match (kind, condition) {
                (0, _) => binary(BinaryOp::Add, a, b),
                (1, _) => binary(BinaryOp::Mul, a, b),
                (2, _) => binary(BinaryOp::Maximum, a, b),
                (12 | 13, _) => binary(BinaryOp::Sub, a, b),
                (3, _) => unary(UnaryOp::Tanh, a),
                (4, _) => unary(UnaryOp::Sin, a),
                (5, _) => Step { op: Op::Identity, ..unary(UnaryOp::Neg, a) },
                (6, _) => Step { op: Op::AddN, operands: SmallVec::from_slice(&[a, b, a, b]), dtype: DType::F32 },
                (7, _) => Step { op: Op::AddN, ..unary(UnaryOp::Neg, a) },
                (8, Some(c)) => Step { op: Op::Select, operands: SmallVec::from_slice(&[c, a, b]), dtype: DType::F32 },
                (9, Some(c)) => Step { op: Op::Cast { to: DType::F32 }, ..unary(UnaryOp::Neg, c) },
                (_, _) => Step {
                    op: Op::Compare(CompareOp::Less),
                    operands: SmallVec::from_slice(&[a, b]),
                    dtype: DType::Bool,
                },
            });
        }
        let count = l.inputs.len() + l.steps.len();
        l.outputs = outputs.into_iter().map(|value| value % count).collect();
        (l, inputs)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]
    #[test]
    fn random_loops_equal_their_steps((l, inputs) in loops()) {
        check(&l, &inputs);
    }
}

/// A loop with a reduction at its end gives the bits of the loop and then the reduction.
#[test]
fn reduced_loops_equal_their_loops_reduced() {
    let reduce = |op| Op::Reduce { op, axes: None, keep_dims: false };
    for len in [2, 63, 64, 1000, 1024, 1025, 70_000, 131_072, 200_001] {
        let l = gelu(&[len]);
        let x = Buffer::of(&[len], &numbers(len, 7));
        let inputs: Vec<Buffer> = l
            .inputs
            .iter()
            .map(|spec| if spec.len() == len { x.clone() } else { Buffer::of(&[], &[0.5_f32]) })
            .collect();
        let values = run_kernel(&compile_loop(&l).unwrap(), &inputs, &outputs_of(&l)).unwrap();
        for op in [
            reduce(ReduceOp::Sum),
            reduce(ReduceOp::Mean),
            reduce(ReduceOp::Prod),
            reduce(ReduceOp::Max),
            reduce(ReduceOp::Min),
            Op::L2Loss,
        ] {
            let scalar = Spec::new(DType::F32, &[]);
            let last = &outputs_of(&l)[l.outputs.len() - 1];
            let alone = crate::compile(&op, std::slice::from_ref(last), std::slice::from_ref(&scalar)).unwrap();
            let want = run_kernel(&alone, &values[values.len() - 1..], std::slice::from_ref(&scalar)).unwrap();
            // Once with the loop's result beside, once without.
            for beside in [false, true] {
                let mut l = l.clone();
                if beside {
                    l.outputs.insert(0, l.outputs[0]);
                }
                let mut specs = outputs_of(&l);
                if let Some(last) = specs.last_mut() {
                    *last = scalar.clone();
                }
                let got = run_kernel(&compile_loop_reduction(&l, &op).unwrap(), &inputs, &specs).unwrap();
                got[got.len() - 1].assert_same(&want[0], &(len, &op));
                if beside {
                    got[0].assert_same(&values[0], &(len, &op));
                }
            }
        }
    }
    assert!(compile_loop_reduction(&gelu(&[8]), &Op::Softmax { axis: -1 }).is_err());
}

/// A loop with sums of columns at its end gives the bits of the loop and then the sums, wherever what is summed lies: in the
/// loop alone, in an output beside, in an operand, or in what broadcasts; and with its output in an operand's place.
#[test]
fn loops_with_summed_columns_equal_their_loops_and_sums() {
    let shapes: &[&[usize]] = &[
        &[2, 1, 3],
        &[31, 5],
        &[127, 16],
        &[128, 16],
        &[40, 64],
        &[33, 65],
        &[5, 7, 9, 30],
        &[9000, 16],
        &[3001, 100],
        &[400, 512],
        &[70_000, 3],
    ];
    for dims in shapes {
        let columns = dims[dims.len() - 1];
        let len = dims.iter().product();
        let row = Spec::new(DType::F32, &[columns]);
        let mut l = gelu(dims);
        l.inputs[4] = row.clone();
        let scalar = || Buffer::of(&[], &[0.5_f32]);
        let x = Buffer::of(dims, &numbers(len, 7));
        let inputs = vec![x, scalar(), scalar(), scalar(), Buffer::of(&[columns], &numbers(columns, 9))];
        l.outputs = vec![10, 13, 13, 6, 0, 4];
        let (stored, reduces) = (2, [ReduceOp::Sum, ReduceOp::Mean, ReduceOp::Sum, ReduceOp::Mean]);
        let values = run_kernel(&compile_loop(&l).unwrap(), &inputs, &outputs_of(&l)).unwrap();
        let axes: SmallVec<[i32; 4]> = (0..dims.len() as i32 - 1).collect();
        let mut specs = outputs_of(&l);
        specs[stored..].fill(row.clone());
        let kernel = compile_loop_columns(&l, 1, &reduces).unwrap();
        let got = run_kernel(&kernel, &inputs, &specs).unwrap();
        // The operand that may be the first result's own buffer is not one that is summed where it lies.
        assert!(!kernel.in_place.contains(&0));
        for (k, (got, value)) in got.iter().zip(&values).enumerate() {
            if k < stored {
                got.assert_same(value, &(dims, k));
                continue;
            }
            let op = Op::Reduce { op: reduces[k - stored], axes: Some(axes.clone()), keep_dims: false };
            let alone = crate::compile(&op, std::slice::from_ref(&value.spec), std::slice::from_ref(&row)).unwrap();
            let want = run_kernel(&alone, std::slice::from_ref(value), std::slice::from_ref(&row)).unwrap();
            got.assert_same(&want[0], &(dims, k));
        }
        l.outputs = vec![13, 13];
        let kernel = compile_loop_columns(&l, 1, &reduces[..1]).unwrap();
        assert_eq!(kernel.in_place.as_slice(), [0]);
        let (mut shared, mut sums) = (inputs[0].clone(), Buffer::zeros(row.clone()));
        let pointers: Vec<*const u8> =
            std::iter::once(shared.pointer_mut().cast_const()).chain(inputs[1..].iter().map(Buffer::pointer)).collect();
        run_pointers(&kernel, &pointers, &[shared.pointer_mut(), sums.pointer_mut()]).unwrap();
        shared.assert_same(&values[1], dims);
        sums.assert_same(&got[2], dims);
    }
    let l = gelu(&[20, 8]);
    assert!(compile_loop_columns(&l, 1, &[ReduceOp::Max]).is_err());
    assert!(compile_loop_columns(&l, 2, &[ReduceOp::Sum]).is_err());
    assert!(compile_loop_columns(&l, 1, &[]).is_err());
    assert!(!sums_columns(&[20, 513], 1) && !sums_columns(&[1, 8], 1) && !sums_columns(&[0, 8], 1));
}
