//! What users of f16, bf16 and the short integers meet: constants, feeds, variables, training, draws, files, mistakes.

#![allow(clippy::unwrap_used, reason = "tests")]

use dormouse::graph::{CustomOp, Fact};
use dormouse::io::{decode_graph, encode_graph};
use dormouse::prelude::*;
use dormouse::value::{Element, ValueView};

const SHORT: [DType; 7] = [DType::F16, DType::Bf16, DType::I8, DType::I16, DType::U16, DType::U32, DType::U64];

fn of<T: Element>(x: impl FnOnce(&Graph) -> Tensor) -> Vec<T> {
    let graph = Graph::new();
    let y = x(&graph);
    let session = Session::new(&graph).unwrap();
    session.run(y, feeds![]).unwrap().to_vec().unwrap()
}

fn mistake(x: impl FnOnce(&Graph) -> Tensor) -> String {
    let graph = Graph::new();
    let _ = x(&graph);
    Session::new(&graph).unwrap_err().to_string()
}

fn halves(numbers: &[f32]) -> Vec<f16> {
    numbers.iter().map(|x| f16::from_f32(*x)).collect()
}

#[test]
fn numbers_take_the_dtype_that_they_meet() {
    assert_eq!(of::<f16>(|g| 0.1 * g.constant(halves(&[1.0, 2.0])) + 1), halves(&[1.099_609_4, 1.200_195_3]));
    assert_eq!(of::<bf16>(|g| g.constant(vec![bf16::from_f32(3.0)]) / 7.0), [bf16::from_f32(3.0 / 7.0)]);
    assert_eq!(of::<i8>(|g| g.constant(vec![100_i8, -100]) + 100), [-56, 0]);
    assert_eq!(of::<u32>(|g| g.constant(vec![3_u32]) - 4), [u32::MAX]);
    let told = mistake(|g| g.constant(vec![1_i8]) + 200);
    assert!(told.contains("200 is not a value of i8") && told.contains("elements.rs"), "{told}");
    let told = mistake(|g| g.constant(vec![1_u16]) + 0.5);
    assert!(told.contains("0.5 is not a value of u16"), "{told}");
}

#[test]
fn each_operation_rounds() {
    // 2048 + 1 is 2048 in f16, twice; in f32 the sum would be 2050.
    assert_eq!(of::<f16>(|g| g.constant(halves(&[2048.0])) + 1.0 + 1.0), halves(&[2048.0]));
    // A sum is rounded once.
    assert_eq!(of::<f16>(|g| g.fill(&[4000], 1.0, DType::F16).sum()), halves(&[4000.0]));
    assert_eq!(of::<f16>(|g| g.constant(halves(&[300.0])).square()), [f16::INFINITY]);
    assert_eq!(
        of::<bf16>(|g| g.fill(&[3, 3], 0.1, DType::Bf16).matmul(g.eye_with(&[], 3, 3, DType::Bf16)).max()),
        [bf16::from_f32(0.1)]
    );
}

#[test]
fn integers_wrap_truncate_and_fail_as_the_longer_ones_do() {
    assert_eq!(of::<i8>(|g| -g.constant(vec![i8::MIN, 5])), [i8::MIN, -5]);
    assert_eq!(of::<i8>(|g| g.constant(vec![i8::MIN]).abs()), [i8::MIN]);
    assert_eq!(of::<i8>(|g| g.constant(vec![i8::MIN]).floor_div(-1)), [i8::MIN]);
    assert_eq!(of::<i16>(|g| g.constant(vec![-7_i16, 7]).floor_div(2)), [-4, 3]);
    assert_eq!(of::<i16>(|g| g.constant(vec![-7_i16, 7]) % 4), [1, 3]);
    assert_eq!(
        of::<u16>(|g| g.constant(vec![0xff00_u16, 1]).left_shift(g.constant(vec![4_u16, 40]))),
        [0xf000, 0x8000]
    );
    assert_eq!(of::<u16>(|g| g.constant(vec![0xff00_u16]).right_shift(g.constant(vec![200_u16]))), [1]);
    assert_eq!(of::<i8>(|g| g.constant(vec![-128_i8, 64]).right_shift(g.constant(vec![100_i8, -3]))), [-1, 64]);
    assert_eq!(of::<u32>(|g| !g.constant(vec![0_u32, 1 << 31])), [u32::MAX, 0x7fff_ffff]);
    assert_eq!(of::<u32>(|g| g.constant(vec![u32::MAX, 3]).prod()), [u32::MAX.wrapping_mul(3)]);
    assert_eq!(of::<i8>(|g| g.fill(&[1000], 100.0, DType::I8).mean()), [100]);
    assert_eq!(of::<u32>(|g| g.constant(vec![u32::MAX, 1]).max()), [u32::MAX]);
    assert_eq!(of::<i64>(|g| g.constant(vec![0_u32, u32::MAX, 7]).argmax(0)), [1]);
    let graph = Graph::new();
    let y = graph.constant(vec![1_u16]).floor_div(0);
    let told = Session::new(&graph).unwrap().run(y, feeds![]).unwrap_err().to_string();
    assert!(told.contains("integer division by zero") && told.contains("elements.rs"), "{told}");
}

#[test]
fn the_largest_of_nothing_is_the_end_of_the_dtype() {
    let none = |g: &Graph, dtype| g.fill(&[0], 0.0, dtype);
    assert_eq!(of::<i8>(|g| none(g, DType::I8).max()), [i8::MIN]);
    assert_eq!(of::<u16>(|g| none(g, DType::U16).min()), [u16::MAX]);
    assert_eq!(of::<u32>(|g| none(g, DType::U32).max()), [0]);
    assert_eq!(of::<u32>(|g| none(g, DType::U32).min()), [u32::MAX]);
    assert_eq!(of::<f16>(|g| none(g, DType::F16).max()), [f16::NEG_INFINITY]);
    let segments = |g: &Graph, x: Tensor| x.unsorted_segment_max(g.constant(vec![0_i32, 2]), 3);
    assert_eq!(
        of::<f16>(|g| segments(g, g.constant(vec![f16::ONE, f16::NEG_INFINITY]))),
        [f16::ONE, f16::MIN, f16::MIN]
    );
    assert_eq!(of::<bf16>(|g| segments(g, g.constant(vec![bf16::ONE; 2]))), [bf16::ONE, bf16::MIN, bf16::ONE]);
    assert_eq!(of::<i16>(|g| segments(g, g.constant(vec![1_i16, 2]))), [1, i16::MIN, 2]);
}

#[test]
fn casts_lead_from_any_to_any() {
    for from in SHORT {
        for to in DType::ALL {
            let graph = Graph::new();
            let y = graph.constant(vec![0.0, 1.0, 100.0]).cast(from).cast(to).cast(DType::F64);
            let x = graph.constant(vec![0.0, 1.0, 100.0]);
            let expected = if to == DType::Bool { x.minimum(1.0) } else { x };
            let session = Session::new(&graph).unwrap();
            let values: Vec<Value> = session.run(vec![y, expected], feeds![]).unwrap();
            assert_eq!(values[0], values[1], "{from} to {to}");
        }
    }
    assert_eq!(of::<i8>(|g| g.constant(vec![300.7_f32, -300.0, f32::NAN, -1.9]).cast(DType::I8)), [127, -128, 0, -1]);
    assert_eq!(of::<u16>(|g| g.constant(halves(&[-1.0, 65504.0])).cast(DType::U16)), [0, 65504]);
    assert_eq!(of::<u16>(|g| g.constant(vec![-1_i8]).cast(DType::U16)), [u16::MAX]);
}

#[test]
fn ranges_of_halves_are_of_f32_rounded() {
    let rounded = |numbers: &[f32]| numbers.iter().map(|x| bf16::from_f32(*x)).collect::<Vec<_>>();
    // As TensorFlow has them.
    let expected = rounded(&[1.0, 0.300_781_25, -0.398_437_5, -1.093_75, -1.796_875]);
    assert_eq!(of::<bf16>(|g| g.range_with(1.0, -2.0, -0.7, DType::Bf16)), expected);
    let number = |g: &Graph, x: f32| g.constant(bf16::from_f32(x));
    assert_eq!(of::<bf16>(|g| g.range_of(number(g, 1.0), number(g, -2.0), number(g, -0.7))), expected);
    let expected = rounded(&[250.0, 251.0, 252.0, 253.0, 254.0, 255.0, 256.0, 256.0, 258.0, 260.0, 260.0, 260.0]);
    assert_eq!(of::<bf16>(|g| g.range_of(number(g, 250.0), number(g, 262.0), number(g, 1.0))), expected);
    assert_eq!(of::<bf16>(|g| g.range_with(250.0, 262.0, 1.0, DType::Bf16)), expected);
    assert_eq!(of::<f16>(|g| g.linspace(0.0, 1.0, 5, DType::F16)), halves(&[0.0, 0.25, 0.5, 0.75, 1.0]));
    assert!(mistake(|g| g.range_of(g.constant(0_u16), g.constant(3_u16), g.constant(1_u16))).contains("not u16"));
}

#[test]
fn feeds_and_fetches_hold_every_dtype() {
    let graph = Graph::new();
    let x = graph.placeholder(DType::F16, shape![?, 2]);
    let n = graph.placeholder(DType::U16, shape![]);
    let y = x.transpose();
    let session = Session::new(&graph).unwrap();
    let array = ndarray::arr2(&[[f16::from_f32(0.5), f16::from_f32(-1.0)]]);
    let (y, n) = session.run((y, n), feeds![x => &array, n => 7]).unwrap();
    let back: ndarray::Array2<f16> = y.try_into().unwrap();
    assert_eq!(back, array.reversed_axes());
    assert_eq!(u16::try_from(n.clone()).unwrap(), 7);
    assert_eq!(n.to_string(), "7");
    let told = session.run(x, feeds![x => [[1.0_f32, 2.0]]]).unwrap_err().to_string();
    assert!(told.contains("f16") && told.contains("f32"), "{told}");
}

#[test]
fn models_train_in_halves() {
    for dtype in [DType::F16, DType::Bf16] {
        let graph = Graph::new();
        let x = graph.placeholder(dtype, shape![?, 2]);
        let t = graph.placeholder(dtype, shape![?, 1]);
        let w = graph.variable(graph.fill(&[2, 1], 0.5, dtype)).named("w");
        let loss = (x.matmul(w) - t).square().mean();
        // The β₂ of Adam, 0.999, is 1 in bf16, of which it diverges, as in TensorFlow.
        let third =
            if dtype == DType::F16 { Adam::new(0.01).minimize(loss) } else { RmsProp::new(0.01).minimize(loss) };
        let steps = [GradientDescent::new(0.1).minimize(loss), Momentum::new(0.01, 0.9).minimize(loss), third];
        let init = graph.initializer();
        let session = Session::new(&graph).unwrap();
        session.run(init, feeds![]).unwrap();
        let rows = [[1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [-1.0, 0.5]];
        let targets: Vec<f64> = rows.iter().map(|r| 2.0 * r[0] - r[1]).collect();
        let value = |dims: &[usize], x: &[f64]| {
            if dtype == DType::F16 {
                Value::from_elements(dims, x.iter().copied().map(f16::from_f64).collect()).unwrap()
            } else {
                Value::from_elements(dims, x.iter().copied().map(bf16::from_f64).collect()).unwrap()
            }
        };
        let (x_value, t_value) = (value(&[4, 2], rows.as_flattened()), value(&[4, 1], &targets));
        let before: Value = session.run(loss, feeds![x => &x_value, t => &t_value]).unwrap();
        for _ in 0..60 {
            for step in steps {
                session.run(step, feeds![x => &x_value, t => &t_value]).unwrap();
            }
        }
        let after: Value = session.run(loss, feeds![x => &x_value, t => &t_value]).unwrap();
        let number = |v: &Value| v.to_string().parse::<f64>().unwrap();
        assert!(number(&before) > 1.0 && number(&after) < 0.02, "{dtype}: {before} to {after}");
        assert_eq!(after.dtype(), dtype);
    }
}

/// What TensorFlow 2.21 gives after five steps; it rounds within a step elsewhere.
#[test]
fn optimizers_move_as_tensorflows() {
    type Make = fn(Tensor) -> Operation;
    let makes: [(Make, [f64; 4]); 5] = [
        (|loss| GradientDescent::new(0.1).minimize(loss), [1.221_679_69, -0.060_607_91, 1.226_562_5, -0.061_523_44]),
        (|loss| Momentum::new(0.01, 0.9).minimize(loss), [0.738_769_53, 0.330_566_41, 0.742_187_5, 0.332_031_25]),
        (|loss| Adagrad::new(0.1).minimize(loss), [0.807_128_91, 0.195_068_36, 0.804_687_5, 0.195_312_5]),
        (|loss| RmsProp::new(0.01).minimize(loss), [0.572_265_62, 0.440_429_69, 0.570_312_5, 0.441_406_25]),
        (|loss| Adam::new(0.01).minimize(loss), [0.549_804_69, 0.449_951_17, f64::NAN, f64::NAN]),
    ];
    for (number, (make, expected)) in makes.into_iter().enumerate() {
        for (dtype, expected, near) in [(DType::F16, &expected[..2], 0.003), (DType::Bf16, &expected[2..], 0.02)] {
            let graph = Graph::new();
            let x = graph.constant([[1.0_f32, 0.0], [0.0, 1.0], [1.0, 1.0], [-1.0, 0.5]]).cast(dtype);
            let t = graph.constant([[2.0_f32], [-1.0], [1.0], [-2.5]]).cast(dtype);
            let w = graph.variable(graph.fill(&[2, 1], 0.5, dtype));
            let step = make((x.matmul(w) - t).square().mean());
            let (init, wide) = (graph.initializer(), w.cast(DType::F64));
            let session = Session::new(&graph).unwrap();
            session.run(init, feeds![]).unwrap();
            for _ in 0..5 {
                session.run(step, feeds![]).unwrap();
            }
            let got = session.run(wide, feeds![]).unwrap().to_vec::<f64>().unwrap();
            let far = got.iter().zip(expected).any(|(a, b)| (a - b).abs() > near);
            assert!(!far, "{number} in {dtype}: {got:?}, TensorFlow's {expected:?}");
        }
    }
}

#[test]
fn gradients_go_through_casts_of_floats_and_end_at_integers() {
    let graph = Graph::new();
    let x = graph.constant(vec![1.0_f32, -2.0]);
    let half = x.cast(DType::F16);
    let y = (half.square() * 3.0).cast(DType::Bf16).sum();
    let [by_x, by_half] = gradients(y, [x, half]);
    assert_eq!((by_x.dtype(), by_half.dtype()), (DType::F32, DType::F16));
    let session = Session::new(&graph).unwrap();
    assert_eq!(session.run(by_x, feeds![]).unwrap().to_vec::<f32>().unwrap(), [6.0, -12.0]);
    let _ = gradients(x.cast(DType::I16).cast(DType::F32).sum(), [x]);
    assert!(graph.check().is_err());
}

#[test]
fn gradients_of_halves_are_checked_by_halves() {
    let graph = Graph::new();
    let x = graph.placeholder(DType::F16, shape![2]);
    let mut session = Session::new(&graph).unwrap();
    let found = check_gradients(&mut session, x.tanh(), [x], &feeds![x => halves(&[0.25, -0.5])]).unwrap();
    assert!(found.error < 0.02, "{found}");
}

#[test]
fn files_hold_graphs_and_variables_of_every_dtype() {
    let graph = Graph::new();
    let mut reads = Vec::new();
    for dtype in SHORT {
        let v = graph.variable(graph.fill(&[3], 1.5, dtype)).named(dtype.name());
        reads.push((v + v).named(&format!("twice_{dtype}")));
    }
    let init = graph.initializer().named("init");
    let bytes = encode_graph(&graph).unwrap();
    let back = decode_graph(&bytes).unwrap();
    let (first, second) = (Session::new(&graph).unwrap(), Session::new(&back).unwrap());
    first.run(init, feeds![]).unwrap();
    second.run(operation("init"), feeds![]).unwrap();
    for y in reads {
        let there = back.tensor(&y.name()).unwrap();
        assert_eq!(first.run(y, feeds![]).unwrap(), second.run(there, feeds![]).unwrap());
    }
    let folder = tempfile::tempdir().unwrap();
    let path = Saver::new().save(&first, folder.path().join("all"), None).unwrap();
    assert_eq!(Checkpoint::load(&path).unwrap().variables().len(), SHORT.len());
}

#[test]
fn dtypes_that_an_operation_does_not_take_are_named() {
    let told = mistake(|g| g.fill(&[2, 2], 1.0, DType::U16).matmul(g.fill(&[2, 2], 1.0, DType::U16)));
    assert!(told.contains("matmul: takes floats, i32, i64 or u8, not u16") && told.contains("elements.rs"), "{told}");
    let told = mistake(|g| -g.fill(&[2], 1.0, DType::U32));
    assert!(told.contains("takes signed numbers, not u32"), "{told}");
    let told = mistake(|g| g.fill(&[2], 1.0, DType::I8).sqrt());
    assert!(told.contains("takes floats, not i8"), "{told}");
    let told = mistake(|g| g.fill(&[2, 2], 1.0, DType::F16).cholesky());
    assert!(told.contains("takes f32 or f64, not f16"), "{told}");
    let told = mistake(|g| g.fill(&[2], 1.0, DType::I8) / 2);
    assert!(told.contains("floor_div"), "{told}");
}

#[test]
fn numbers_that_are_not_finite_are_hunted_in_halves_too() {
    let graph = Graph::new();
    let y = graph.constant(halves(&[60000.0])).named("big") * 2.0;
    let y = y.named("beyond");
    let session =
        Session::with_options(&graph, dormouse::session::SessionOptions { check_numerics: true, ..Default::default() });
    let told = session.unwrap().run(y, feeds![]).unwrap_err().to_string();
    assert!(told.contains("beyond"), "{told}");
}

#[test]
fn shapes_that_depend_on_numbers_are_of_every_dtype() {
    assert_eq!(of::<u16>(|g| g.constant(vec![7_u16, 0, 9]).boolean_mask(g.constant(vec![true, false, true]))), [7, 9]);
    let nan = f16::NAN;
    let found = of::<f16>(|g| g.constant(vec![f16::ONE, nan, f16::ZERO, f16::ONE, f16::NEG_ZERO, nan]).unique()[0]);
    assert_eq!((found.len(), found[0], found[2]), (4, f16::ONE, f16::ZERO));
    assert_eq!(of::<i8>(|g| g.constant(vec![3_i8, -3, 3]).unique()[0]), [3, -3]);
    let places = |g: &Graph| g.constant(vec![0.0_f32, -0.0, 2.0, 1e-30]).cast(DType::Bf16).nonzero();
    assert_eq!(of::<i64>(places), [2, 3]);
    // A shape that is known only by numbers of i8.
    assert_eq!(of::<u32>(|g| g.fill(&[3], 5.0, DType::U32).tile_by(g.constant(vec![2_i8]).cast(DType::I32))), [5; 6]);
}

/// An operation of a program's own: |x|, of f16.
#[derive(Debug)]
struct Size;

impl CustomOp for Size {
    fn name(&self) -> &'static str {
        "TestSizeOfHalves"
    }

    fn infer(&self, operands: &[Fact]) -> Result<Vec<Fact>, String> {
        match operands {
            [x] if x.dtype == DType::F16 => Ok(vec![x.clone()]),
            _ => Err("takes one operand of f16".to_owned()),
        }
    }

    fn compute(&self, operands: &[ValueView<'_>]) -> Result<Vec<Value>, String> {
        let ValueView::F16(x) = &operands[0] else { return Err("takes f16".to_owned()) };
        Ok(vec![x.mapv(|x| f16::from_bits(x.to_bits() & 0x7fff)).into()])
    }
}

#[test]
fn operations_of_ones_own_and_choices_take_halves() {
    assert_eq!(of::<f16>(|g| g.apply_custom(Size, &[g.constant(halves(&[-1.5, 2.0])) * 2.0])), halves(&[3.0, 4.0]));
    let chosen = |g: &Graph| {
        let x = g.constant(bf16::from_f32(3.0));
        g.cond(x.greater(2.0), || x * 2.0, || x - 1.0)
    };
    assert_eq!(of::<bf16>(chosen), [bf16::from_f32(6.0)]);
    let graph = Graph::new();
    let x = graph.constant(vec![3_u16, 0]);
    let held = x.assert_positive("of counts");
    let told = Session::new(&graph).unwrap().run(held, feeds![]).unwrap_err().to_string();
    assert!(told.contains("of counts") && told.contains("[3 0]"), "{told}");
}

#[test]
fn averages_and_rates_go_with_halves() {
    let graph = Graph::new();
    let w = graph.variable(graph.fill(&[2], 1.0, DType::F16));
    let average = ExponentialMovingAverage::new(0.5);
    let update = average.apply(&[w]);
    let step = global_step(&graph);
    let rate = exponential_decay(0.5, step, Decay { steps: 1, rate: 0.5, staircase: true });
    let train = GradientDescent::new(rate).minimize((w * w).sum());
    let (init, shadow) = (graph.initializer(), average.average(w));
    let session = Session::new(&graph).unwrap();
    session.run(init, feeds![]).unwrap();
    session.run(train, feeds![]).unwrap();
    session.run(update, feeds![]).unwrap();
    let (w, shadow) = session.run((w, shadow), feeds![]).unwrap();
    assert_eq!(w.to_vec::<f16>().unwrap(), halves(&[0.0, 0.0]));
    assert_eq!(shadow.to_vec::<f16>().unwrap(), halves(&[0.5, 0.5]));
}

#[test]
fn casts_are_fused() {
    let graph = Graph::new();
    let x = graph.placeholder(DType::F16, shape![?]);
    let y = (x * 2.0 + 1.0).tanh().sum();
    let session = Session::new(&graph).unwrap();
    let told = session.explain(y, feeds![x => halves(&[0.5; 8])]).unwrap();
    // One loop that ends in the sum, whatever is cast within, and the cast of that.
    assert!(told.contains("plan: 2 steps"), "{told}");
}
