//! The table: a row is an operation, its operands, and a naive reference. Further cases of an operation follow its row.

mod factors;
mod image;
mod order;
mod parts;
mod systems;
mod windows;

use dormouse::prelude::*;
use dormouse::value::{
    BinaryOp as B, CompareOp as C, CumulativeOp, LogicalOp as L, Op, Part, PoolOp, Real, ReduceOp, ScatterOp,
    SegmentOp, UnaryOp as U, Window2d, Window3d,
};
use ndarray::IxDyn;

use crate::reference::{
    Windows, at, bessel, error_function, fold, from, hurwitz, incomplete_beta, incomplete_gamma, line, log_gamma, map,
    polygamma, quantile, softmax, truth, zip,
};
use crate::row::{
    ANY, Gradient, HALVES, INTEGERS, Numbers, Operand, Row, SIGNED, given, indices, like, made, positive, row, signed,
    truths,
};

/// Integers that some operations do not take.
const SHORT: [DType; 5] = [DType::I8, DType::I16, DType::U16, DType::U32, DType::U64];
/// Integers that matrices are multiplied of.
const MULTIPLIED: [DType; 3] = [DType::I32, DType::I64, DType::U8];

/// Every row.
pub(crate) fn rows() -> Vec<Row> {
    [
        plain(),
        unary(),
        binary(),
        choices(),
        reductions(),
        products(),
        shapes(),
        parts(),
        lookups(),
        classes(),
        images(),
        parts::slices(),
        parts::places(),
        image::images(),
        order::segments(),
        order::order(),
        windows::rows(),
        systems::rows(),
        factors::rows(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Operations of so much that threads share the work: rows for checks that need no reference.
pub(crate) fn large() -> Vec<Row> {
    let of = |op, x: Vec<Operand>| row(op, x, first).only(&[DType::F32]);
    let smooth = |op, x| of(op, x).gradient(Gradient::Smooth);
    let reduce = |op, axes| Op::Reduce { op, axes, keep_dims: false };
    let window = |stride| Window2d { strides: [stride; 2], dilations: [1, 1], padding: Padding::Same };
    let picked: Vec<usize> = (0..20_000).map(|i| i * 7919 % 1000).collect();
    let mut rows = vec![
        smooth(Op::Unary(U::Tanh), vec![signed([300_000])]),
        smooth(Op::Binary(B::Mul), vec![signed([1000, 300]), signed([300])]),
        smooth(Op::MatMul { transpose_a: false, transpose_b: false }, vec![signed([200, 300]), signed([300, 250])]),
        smooth(Op::MatMul { transpose_a: false, transpose_b: true }, vec![signed([3, 5000]), signed([7, 5000])]),
        smooth(Op::Transpose { perm: list([1, 0]) }, vec![signed([700, 501])]),
        smooth(Op::Concat { axis: 1 }, vec![signed([700, 300]), signed([700, 201])]),
        smooth(Op::Tile { multiples: list([30, 20]) }, vec![signed([20, 30])]),
        smooth(Op::Gather { axis: 0 }, vec![signed([1000, 20]), indices([20_000], &picked)]),
        smooth(Op::SumLike, vec![signed([1000, 300]), like([300])]),
        smooth(
            Op::StridedSlice { parts: list([Part::WHOLE, Part::Range { begin: None, end: None, step: -2 }]) },
            vec![signed([700, 301])],
        ),
        smooth(Op::GatherNd { batch_dims: 0 }, vec![signed([1000, 20]), indices([20_000, 1], &picked)]),
        smooth(
            Op::ScatterNd { op: ScatterOp::Add, batch_dims: 0 },
            vec![signed([1000, 20]), indices([20_000, 1], &picked), signed([20_000, 20])],
        ),
        smooth(
            Op::Cumulative { op: CumulativeOp::Sum, axis: 0, exclusive: false, reverse: false },
            vec![signed([3000, 100])],
        ),
        smooth(Op::Softmax { axis: -1 }, vec![signed([3000, 100])]),
        smooth(Op::LogSoftmax { axis: 0 }, vec![signed([100, 3000])]),
        smooth(Op::L2Loss, vec![signed([500_000])]),
        smooth(Op::Conv2d(window(1)), vec![signed([8, 20, 20, 8]), signed([5, 5, 8, 16])]),
        smooth(Op::Conv2d(window(2)), vec![signed([1, 90, 80, 3]), signed([3, 3, 3, 20])]),
        smooth(Op::Conv2d(window(1)), vec![signed([4, 20, 20, 16]), signed([3, 3, 4, 32])]),
        smooth(Op::DepthwiseConv2d(window(1)), vec![signed([8, 30, 30, 24]), signed([3, 3, 24, 2])]),
        smooth(
            Op::Conv3d(Window3d { strides: [1, 2, 1], dilations: [1; 3], padding: Padding::Same }),
            vec![signed([2, 8, 16, 16, 4]), signed([3, 3, 3, 4, 16])],
        ),
        smooth(Op::Pool2d { op: PoolOp::Max, size: [2, 2], window: window(2) }, vec![signed([20, 28, 28, 32])]),
        smooth(Op::Pool2d { op: PoolOp::Average, size: [3, 3], window: window(1) }, vec![signed([1, 200, 100, 16])]),
        of(Op::ArgMax { axis: 1, output: DType::I64 }, vec![signed([3000, 100])]),
        smooth(Op::TopK { k: Some(5) }, vec![signed([3000, 100])]),
        smooth(Op::TriangularSolve { lower: true, adjoint: false }, vec![signed([300, 7, 7]), signed([300, 7, 5])]),
        smooth(
            Op::Segment { op: SegmentOp::Sum, segments: 1000, sorted: false },
            vec![signed([20_000, 20]), indices([20_000], &picked)],
        ),
        smooth(
            Op::Segment { op: SegmentOp::Max, segments: 1000, sorted: false },
            vec![signed([20_000, 20]), indices([20_000], &picked)],
        ),
    ];
    for op in [ReduceOp::Sum, ReduceOp::Mean, ReduceOp::Max] {
        rows.push(smooth(reduce(op, None), vec![signed([500_000])]));
        rows.push(smooth(reduce(op, Some(list([0]))), vec![signed([3000, 100])]));
        rows.push(smooth(reduce(op, Some(list([1]))), vec![signed([3000, 100])]));
    }
    rows
}

/// A list of an attribute.
fn list<T, const N: usize, L: FromIterator<T>>(items: [T; N]) -> L {
    items.into_iter().collect()
}

fn first(x: &[Numbers]) -> Numbers {
    x[0].clone()
}

fn plain() -> Vec<Row> {
    vec![
        row(Op::Identity, [signed([2, 3])], first).also(&ANY),
        row(Op::Identity, [signed([])], first).also(&ANY),
        row(Op::StopGradient, [signed([2, 3])], first).also(&ANY).steps(),
        row(Op::EnsureShape { shape: Box::new(shape![?, 3]) }, [signed([2, 3])], first).also(&ANY),
        row(Op::CheckNumerics { message: "checked".to_owned() }, [signed([2, 3])], first),
    ]
}

fn unary() -> Vec<Row> {
    let of = |op, x, f: fn(f64) -> f64| row(Op::Unary(op), [x], map(f));
    let x = || signed([2, 3]);
    let inside = || given([4], &[-0.75, -0.25, 0.125, 0.875]);
    let softplus = |x: f64| x.max(0.0) + (-x.abs()).exp().ln_1p();
    vec![
        of(U::Neg, x(), |x| -x).also(&SIGNED),
        of(U::Abs, x(), f64::abs).also(&SIGNED),
        of(U::Sign, x(), |x| if x == 0.0 { 0.0 } else { x.signum() }).also(&SIGNED).gradient(Gradient::Fixed),
        of(U::Square, x(), |x| x * x).also(&INTEGERS),
        of(U::Sqrt, positive([2, 3]), f64::sqrt),
        of(U::Rsqrt, positive([2, 3]), |x| 1.0 / x.sqrt()),
        of(U::Reciprocal, positive([2, 3]), |x| 1.0 / x),
        of(U::Exp, x(), f64::exp),
        of(U::Expm1, x(), f64::exp_m1),
        of(U::Log, positive([2, 3]), f64::ln),
        of(U::Log1p, positive([2, 3]), f64::ln_1p),
        of(U::Sin, x(), f64::sin),
        of(U::Cos, x(), f64::cos),
        of(U::Tan, positive([2, 3]), f64::tan),
        of(U::Tanh, x(), f64::tanh),
        of(U::Sigmoid, x(), |x| 1.0 / (1.0 + (-x).exp())),
        of(U::Softplus, x(), softplus),
        of(U::Relu, x(), |x| x.max(0.0)).also(&INTEGERS),
        of(U::Elu, x(), |x| if x > 0.0 { x } else { x.exp_m1() }),
        of(U::Floor, x(), f64::floor).steps(),
        of(U::Ceil, x(), f64::ceil).steps(),
        of(U::Round, x(), f64::round_ties_even).steps(),
        of(U::LogicalNot, x(), |x| 1.0 - x).only(&[DType::Bool]),
        of(U::Asin, inside(), f64::asin),
        of(U::Acos, inside(), f64::acos),
        of(U::Atan, x(), f64::atan),
        of(U::Sinh, x(), f64::sinh),
        of(U::Cosh, x(), f64::cosh),
        of(U::Asinh, x(), f64::asinh),
        of(U::Acosh, given([4], &[1.1, 1.5, 2.25, 7.0]), f64::acosh),
        of(U::Atanh, inside(), f64::atanh),
        of(U::Erf, x(), error_function),
        of(U::Erfc, x(), |x| 1.0 - error_function(x)),
        of(U::Lgamma, given([5], &[0.3, 1.4, 2.75, 9.5, -1.3]), log_gamma).without(&[DType::Bf16]),
        of(U::Digamma, given([5], &[0.4, 1.4, 2.75, 9.5, -1.4]), |x| polygamma(0, x)).without(&[DType::Bf16]),
        of(U::Erfinv, inside(), quantile).without(&HALVES),
        of(U::Ndtri, given([4], &[0.125, 0.4, 0.7, 0.95]), |p| std::f64::consts::SQRT_2 * quantile(2.0 * p - 1.0))
            .without(&HALVES),
        of(U::Swish, x(), |x| x / (1.0 + (-x).exp())),
        of(U::Gelu, x(), |x| 0.5 * x * (1.0 + error_function(x * std::f64::consts::FRAC_1_SQRT_2))),
        of(U::BesselI0, x(), |x| bessel(0, x)).without(&[DType::Bf16]),
        of(U::BesselI0e, x(), |x| bessel(0, x) * (-x.abs()).exp()).without(&[DType::Bf16]),
        of(U::BesselI1, x(), |x| bessel(1, x)).without(&[DType::Bf16]),
        of(U::BesselI1e, x(), |x| bessel(1, x) * (-x.abs()).exp()).without(&[DType::Bf16]),
        of(U::Softsign, x(), |x| x / (1.0 + x.abs())),
        of(U::Relu6, given([2, 3], &[-1.5, 0.5, 5.75, 6.25, 9.0, 3.0]), |x| x.clamp(0.0, 6.0)),
        of(U::Selu, x(), |x| if x > 0.0 { 1.050_700_987_355_480_5 * x } else { 1.758_099_340_847_376_9 * x.exp_m1() }),
        of(U::Invert, x(), |x| -1.0 - x).only(&INTEGERS),
        of(U::Exp, signed([]), f64::exp),
        of(U::Tanh, signed([0, 3]), f64::tanh),
    ]
}

fn binary() -> Vec<Row> {
    let of = |op, [a, b]: [_; 2], f: fn(f64, f64) -> f64| row(Op::Binary(op), [a, b], zip(f)).also(&INTEGERS);
    let beside = || [signed([2, 3]), signed([3])];
    let whole = |op, operands, f: fn(i64, i64) -> i64| {
        row(Op::Binary(op), operands, zip(move |a, b| f(a as i64, b as i64) as f64)).only(&INTEGERS)
    };
    let bits = |op, f| whole(op, beside(), f);
    let shift = |op, f| whole(op, [signed([2, 3]), positive([3])], f);
    let shapes = || given([3, 1], &[0.7, 2.5, 6.0]);
    let limits = || given([3], &[0.5, 1.5, 4.0]);
    let compare = |op, f: fn(&f64, &f64) -> bool| {
        row(Op::Compare(op), beside(), zip(move |a, b| truth(f(&a, &b)))).gives(DType::Bool).also(&INTEGERS).steps()
    };
    let logical = |op, f: fn(bool, bool) -> bool| {
        row(Op::Logical(op), [signed([2, 1]), signed([3])], zip(move |a, b| truth(f(a != 0.0, b != 0.0))))
            .only(&[DType::Bool])
    };
    vec![
        of(B::Add, beside(), |a, b| a + b),
        of(B::Add, [signed([2, 1, 3]), signed([4, 1])], |a, b| a + b),
        of(B::Sub, [signed([3]), signed([2, 3])], |a, b| a - b),
        of(B::Mul, [signed([2, 1]), signed([2, 3])], |a, b| a * b),
        of(B::Mul, [signed([2, 0]), signed([1, 1])], |a, b| a * b),
        row(Op::Binary(B::Div), [signed([2, 3]), positive([])], zip(|a, b| a / b)),
        of(B::FloorDiv, [signed([2, 3]), positive([3])], |a, b| (a / b).floor()).steps(),
        of(B::FloorMod, [signed([2, 3]), positive([3])], |a, b| a - b * (a / b).floor()),
        row(Op::Binary(B::Pow), [positive([2, 3]), positive([3])], zip(f64::powf)).also(&SIGNED),
        of(B::Maximum, beside(), f64::max),
        of(B::Minimum, beside(), f64::min),
        of(B::SquaredDifference, beside(), |a, b| (a - b) * (a - b)).without(&SHORT),
        of(B::ReluGrad, [signed([2, 3]), signed([2, 3])], |a, b| if b > 0.0 { a } else { 0.0 }),
        row(Op::Binary(B::Atan2), beside(), zip(f64::atan2)),
        of(B::TruncateDiv, [signed([2, 3]), positive([3])], |a, b| (a / b).trunc()).steps(),
        of(B::TruncateMod, [signed([2, 3]), positive([3])], |a, b| a % b).without(&SHORT),
        bits(B::BitwiseAnd, |a, b| a & b),
        bits(B::BitwiseOr, |a, b| a | b),
        bits(B::BitwiseXor, |a, b| a ^ b),
        shift(B::LeftShift, |a, b| a << b),
        shift(B::RightShift, |a, b| a >> b),
        row(Op::Binary(B::Zeta), [given([2, 1], &[2.5, 4.0]).held(), given([3], &[0.5, 1.25, 3.0])], zip(hurwitz))
            .without(&[DType::Bf16]),
        row(
            Op::Binary(B::Polygamma),
            [given([3, 1], &[0.0, 1.0, 2.0]).held(), given([3], &[0.75, 1.25, 3.0])],
            zip(|n, x| polygamma(n as u32, x)),
        )
        .without(&[DType::Bf16]),
        // The derivative by the shape has none by it.
        row(Op::Binary(B::Igamma), [shapes(), limits()], zip(|a, x| incomplete_gamma(a, x)[0]))
            .gradient(Gradient::Fixed)
            .without(&HALVES),
        row(Op::Binary(B::Igammac), [shapes(), limits()], zip(|a, x| 1.0 - incomplete_gamma(a, x)[0]))
            .gradient(Gradient::Fixed)
            .without(&HALVES),
        row(Op::Binary(B::IgammaGradA), [shapes().held(), limits()], zip(|a, x| incomplete_gamma(a, x)[1]))
            .without(&HALVES),
        row(
            Op::Binary(B::RandomGammaGrad),
            [shapes(), limits()],
            zip(|a, x| -incomplete_gamma(a, x)[1] / ((a - 1.0) * x.ln() - x - log_gamma(a)).exp()),
        )
        .without(&HALVES)
        .steps(),
        compare(C::Equal, |a, b| a == b).also(&[DType::Bool]),
        compare(C::NotEqual, |a, b| a != b).also(&[DType::Bool]),
        compare(C::Less, |a, b| a < b),
        compare(C::LessEqual, |a, b| a <= b),
        compare(C::Greater, |a, b| a > b),
        compare(C::GreaterEqual, |a, b| a >= b),
        logical(L::And, |a, b| a && b),
        logical(L::Or, |a, b| a || b),
        logical(L::Xor, |a, b| a != b),
    ]
}

fn choices() -> Vec<Row> {
    let select = |x: &[Numbers]| {
        let dims = crate::reference::broadcast(x[0].shape(), &crate::reference::broadcast(x[1].shape(), x[2].shape()));
        from(&dims, |i| if at(&x[0], i) == 0.0 { at(&x[2], i) } else { at(&x[1], i) })
    };
    let sum = |x: &[Numbers]| &x[0] + &x[1] + &x[2];
    let cast = |to, f: fn(f64) -> f64| row(Op::Cast { to }, [signed([2, 3])], map(f)).also(&ANY).gives(to);
    // Floats below 0 saturate, integers wrap.
    let unsigned = |to| row(Op::Cast { to }, [positive([2, 3])], map(f64::trunc)).also(&ANY).gives(to).steps();
    vec![
        row(Op::Select, [truths([2, 3]), signed([2, 3]), signed([2, 3])], select).also(&ANY),
        row(Op::Select, [truths([2, 1]), signed([3]), signed([])], select).also(&ANY),
        cast(DType::F64, |x| x),
        cast(DType::F32, |x| f64::from(x as f32)).gradient(Gradient::Coarse),
        cast(DType::I64, f64::trunc).steps(),
        cast(DType::I32, f64::trunc).steps(),
        cast(DType::Bool, |x| truth(x != 0.0)).steps(),
        cast(DType::F16, |x| f16::from_f32(x as f32).into()).gradient(Gradient::Coarse),
        cast(DType::Bf16, |x| bf16::from_f32(x as f32).into()).gradient(Gradient::Coarse),
        cast(DType::I8, f64::trunc).steps(),
        cast(DType::I16, f64::trunc).steps(),
        unsigned(DType::U16),
        unsigned(DType::U32),
        unsigned(DType::U64),
        row(Op::AddN, [signed([2, 3]), signed([2, 3]), signed([2, 3])], sum).also(&INTEGERS),
        row(
            Op::Betainc,
            [given([2, 1], &[0.75, 3.0]).held(), given([2, 1], &[2.5, 0.5]).held(), given([3], &[0.1, 0.4, 0.8])],
            |x| from(&[2, 3], |i| incomplete_beta(at(&x[0], i), at(&x[1], i), at(&x[2], i))),
        )
        .without(&HALVES),
        row(Op::Bitcast { to: DType::U32 }, [positive([2, 3])], map(|x| x)).only(&[DType::I32]).gives(DType::U32),
        row(Op::Bitcast { to: DType::I64 }, [positive([3, 2])], |x| {
            from(&[3], |i| x[0][[i[0], 0]] + x[0][[i[0], 1]] * 2.0_f64.powi(32))
        })
        .only(&[DType::U32])
        .gives(DType::I64),
        row(Op::Bitcast { to: DType::U8 }, [positive([2])], |x| {
            from(&[2, 2], |i| if i[1] == 0 { x[0][[i[0]]] } else { 0.0 })
        })
        .only(&[DType::I16])
        .gives(DType::U8),
    ]
}

fn reductions() -> Vec<Row> {
    let reduce = |op, axes: Option<&'static [usize]>, f: fn(&[f64]) -> f64| {
        let named = axes.map(|axes| axes.iter().map(|a| *a as i32).collect());
        let op = Op::Reduce { op, axes: named, keep_dims: false };
        row(op, [signed([2, 3, 2])], fold(axes.unwrap_or(&[0, 1, 2]), f))
    };
    let kept = |op, f: fn(&[f64]) -> f64| {
        let op = Op::Reduce { op, axes: Some(list([-2])), keep_dims: true };
        row(op, [signed([2, 3, 2])], move |x| from(&[2, 1, 2], |i| f(&line(&x[0], i, 1))))
    };
    let sum: fn(&[f64]) -> f64 = |x| x.iter().sum();
    let mean: fn(&[f64]) -> f64 = |x| x.iter().sum::<f64>() / x.len() as f64;
    let product: fn(&[f64]) -> f64 = |x| x.iter().product();
    let largest: fn(&[f64]) -> f64 = |x| x.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let smallest: fn(&[f64]) -> f64 = |x| x.iter().copied().fold(f64::INFINITY, f64::min);
    let any: fn(&[f64]) -> f64 = |x| truth(x.iter().any(|x| *x != 0.0));
    let all: fn(&[f64]) -> f64 = |x| truth(x.iter().all(|x| *x != 0.0));
    let index = |op, better: fn(&f64, &f64) -> bool| {
        row(op, [signed([2, 3, 2])], move |x| {
            from(&[2, 2], |i| {
                let line = line(&x[0], &[i[0], 0, i[1]], 1);
                let best = (1..line.len()).fold(0, |best, i| if better(&line[i], &line[best]) { i } else { best });
                best as f64
            })
        })
        .also(&ANY)
        .steps()
    };
    let running = |op, x, exclusive: bool, reverse: bool, start: f64, f: fn(f64, f64) -> f64| {
        row(Op::Cumulative { op, axis: 1, exclusive, reverse }, [x], move |x| {
            from(x[0].shape(), |i| {
                let counts = |j: usize| {
                    let before = if reverse { j > i[1] } else { j < i[1] };
                    before || (j == i[1] && !exclusive)
                };
                let row = line(&x[0], i, 1);
                row.iter().enumerate().filter(|(j, _)| counts(*j)).fold(start, |run, (_, x)| f(run, *x))
            })
        })
        .also(&INTEGERS)
    };
    let zero = || given([2, 4], &[2.0, 3.0, 0.0, 5.0, 0.0, 4.0, 1.0, 2.0]);
    let zeros = || given([1, 5], &[2.0, 0.0, 3.0, 0.0, 4.0]);
    let mut rows = vec![
        reduce(ReduceOp::Any, Some(&[1]), any).only(&[DType::Bool]),
        reduce(ReduceOp::All, None, all).only(&[DType::Bool]),
        index(Op::ArgMax { axis: 1, output: DType::I64 }, |a, b| a > b).gives(DType::I64),
        index(Op::ArgMax { axis: -2, output: DType::I32 }, |a, b| a > b).gives(DType::I32),
        index(Op::ArgMin { axis: 1, output: DType::I64 }, |a, b| a < b).gives(DType::I64),
        row(Op::L2Loss, [signed([2, 3])], |x| from(&[], |_| x[0].iter().map(|x| x * x).sum::<f64>() / 2.0)),
        row(Op::Reduce { op: ReduceOp::Sum, axes: None, keep_dims: false }, [signed([0, 3])], |_| from(&[], |_| 0.0))
            .also(&INTEGERS),
    ];
    for (op, f) in [
        (ReduceOp::Sum, sum),
        (ReduceOp::Mean, mean),
        (ReduceOp::Prod, product),
        (ReduceOp::Max, largest),
        (ReduceOp::Min, smallest),
    ] {
        rows.push(reduce(op, None, f).also(&INTEGERS));
        rows.push(reduce(op, Some(&[1]), f).also(&INTEGERS));
        rows.push(reduce(op, Some(&[2, 0]), f).also(&INTEGERS));
        rows.push(kept(op, f).also(&INTEGERS));
    }
    for (exclusive, reverse) in [(false, false), (true, false), (false, true), (true, true)] {
        rows.push(running(CumulativeOp::Sum, signed([2, 4]), exclusive, reverse, 0.0, |a, b| a + b));
        let product = |x| running(CumulativeOp::Prod, x, exclusive, reverse, 1.0, |a, b| a * b);
        rows.push(product(signed([2, 4])));
        rows.push(product(zero()));
        rows.push(product(zeros()).gradient(Gradient::Fixed));
    }
    rows
}

fn products() -> Vec<Row> {
    let matmul = |transpose_a: bool, transpose_b: bool| {
        let a = if transpose_a { signed([3, 2]) } else { signed([2, 3]) };
        let b = if transpose_b { signed([4, 3]) } else { signed([3, 4]) };
        row(Op::MatMul { transpose_a, transpose_b }, [a, b], move |x| {
            let a = |i, k| if transpose_a { x[0][[k, i]] } else { x[0][[i, k]] };
            let b = |k, j| if transpose_b { x[1][[j, k]] } else { x[1][[k, j]] };
            from(&[2, 4], |i| (0..3).map(|k| a(i[0], k) * b(k, i[1])).sum())
        })
        .also(&MULTIPLIED)
    };
    let batched =
        row(Op::MatMul { transpose_a: false, transpose_b: true }, [signed([3, 1, 2, 2]), signed([2, 2, 2])], |x| {
            from(&[3, 2, 2, 2], |i| (0..2).map(|k| x[0][[i[0], 0, i[2], k]] * x[1][[i[1], i[3], k]]).sum())
        });
    let empty = row(Op::MatMul { transpose_a: false, transpose_b: false }, [signed([2, 0]), signed([0, 3])], |_| {
        from(&[2, 3], |_| 0.0)
    });
    vec![
        matmul(false, false),
        matmul(true, false),
        matmul(false, true),
        matmul(true, true),
        batched.also(&MULTIPLIED),
        empty.also(&MULTIPLIED),
    ]
}

fn shapes() -> Vec<Row> {
    /// The same elements in other extents.
    fn to<const N: usize>(dims: [usize; N]) -> impl Fn(&[Numbers]) -> Numbers {
        move |x| x[0].to_shape(IxDyn(&dims)).unwrap().to_owned()
    }
    let swapped = |x: &[Numbers]| from(&[2, 2, 3], |i| x[0][[i[1], i[2], i[0]]]);
    let reversed = |x: &[Numbers]| from(&[2, 3, 2], |i| x[0][[i[2], i[1], i[0]]]);
    let spread = |x: &[Numbers]| from(&[2, 2, 3], |i| at(&x[0], i));
    let summed = |x: &[Numbers]| {
        from(&[2, 1], |i| (0..2).flat_map(|a| (0..3).map(move |c| (a, c))).map(|(a, c)| x[0][[a, i[0], c]]).sum())
    };
    vec![
        row(Op::Reshape { dims: list([3, -1]) }, [signed([2, 3])], to([3, 2])).also(&ANY),
        row(Op::Reshape { dims: list([0, 2]) }, [signed([2, 0, 3])], to([0, 2])).also(&ANY),
        row(Op::ReshapeLike, [signed([2, 3]), like([6])], to([6])).also(&ANY),
        row(Op::ExpandDims { axes: list([0, -1]) }, [signed([2, 3])], to([1, 2, 3, 1])).also(&ANY),
        row(Op::Squeeze { axes: list([-1]) }, [signed([1, 2, 1])], to([1, 2])).also(&ANY),
        row(Op::Squeeze { axes: list([]) }, [signed([1, 2, 1])], to([2])).also(&ANY),
        row(Op::Transpose { perm: list([2, 0, 1]) }, [signed([2, 3, 2])], swapped).also(&ANY),
        row(Op::Transpose { perm: list([]) }, [signed([2, 3, 2])], reversed).also(&ANY),
        row(Op::BroadcastTo { dims: list([2, 2, 3]) }, [signed([2, 1])], spread).also(&ANY),
        row(Op::BroadcastLike, [signed([2, 1]), like([2, 2, 3])], spread).also(&ANY),
        row(Op::SumLike, [signed([2, 2, 3]), like([2, 1])], summed).also(&INTEGERS),
        row(Op::ShapeOf { output: DType::I64 }, [signed([2, 0, 3])], |_| from(&[3], |i| [2.0, 0.0, 3.0][i[0]]))
            .also(&ANY)
            .gives(DType::I64)
            .steps(),
        row(Op::SizeOf { output: DType::I32 }, [signed([2, 3])], |_| from(&[], |_| 6.0))
            .also(&ANY)
            .gives(DType::I32)
            .steps(),
    ]
}

fn parts() -> Vec<Row> {
    let joined = |x: &[Numbers]| {
        from(&[2, 6], |i| match i[1] {
            0 => x[0][[i[0], 0]],
            j @ 1..=3 => x[1][[i[0], j - 1]],
            j => x[2][[i[0], j - 4]],
        })
    };
    let part = |x: &[Numbers]| from(&[2, 3], |i| x[0][[i[0], i[1] + 1]]);
    let cut = |x: &[Numbers]| from(&[2, 2], |i| x[0][[i[0] + 1, i[1] + 1]]);
    let within = |i: usize, start: usize, len: usize| i.checked_sub(start).filter(|i| *i < len);
    let put = move |x: &Numbers, i: &[usize], start: [usize; 2], outside: f64| {
        let place = [within(i[0], start[0], x.shape()[0]), within(i[1], start[1], x.shape()[1])];
        if let [Some(r), Some(c)] = place { x[[r, c]] } else { outside }
    };
    let repeated = |x: &[Numbers]| from(&[4, 3], |i| x[0][[i[0] % 2, i[1] % 3]]);
    let added = |x: &[Numbers]| {
        from(&[2, 1], |i| (0..2).flat_map(|a| (0..3).map(move |b| (a, b))).map(|(a, b)| x[0][[i[0] + 2 * a, b]]).sum())
    };
    vec![
        row(Op::Concat { axis: -1 }, [signed([2, 1]), signed([2, 3]), signed([2, 2])], joined).also(&ANY),
        row(Op::Concat { axis: 0 }, [signed([2, 3])], first).also(&ANY),
        row(Op::ConcatGrad { axis: 1, index: 1 }, [signed([2, 6]), like([2, 1]), like([2, 3]), like([2, 2])], part)
            .also(&ANY),
        row(Op::Slice { begin: list([1, 1]), size: list([-1, 2]) }, [signed([3, 4])], cut).also(&ANY),
        row(Op::SliceLike { begin: list([1, 1]) }, [signed([3, 4]), like([2, 2])], cut).also(&ANY),
        row(Op::SliceGrad { begin: list([1, 1]) }, [signed([2, 2]), like([3, 4])], move |x| {
            from(&[3, 4], |i| put(&x[0], i, [1, 1], 0.0))
        })
        .also(&ANY),
        row(Op::Pad { paddings: list([[1, 0], [0, 2]]), value: Real(1.0) }, [signed([2, 2])], move |x| {
            from(&[3, 4], |i| put(&x[0], i, [1, 0], 1.0))
        })
        .also(&ANY),
        row(Op::Tile { multiples: list([2, 1]) }, [signed([2, 3])], repeated).also(&ANY),
        row(Op::TileGrad { multiples: list([2, 3]) }, [signed([4, 3])], added).also(&INTEGERS),
    ]
}

fn lookups() -> Vec<Row> {
    const AT: [usize; 4] = [2, 0, 2, 1];
    let rows = |x: &[Numbers]| from(&[2, 2, 2], |i| x[0][[AT[2 * i[0] + i[1]], i[2]]]);
    let columns = |x: &[Numbers]| from(&[2, 4], |i| x[0][[i[0], AT[i[1]]]]);
    let scattered = |x: &[Numbers]| from(&[2, 3], |i| (0..4).filter(|j| AT[*j] == i[1]).map(|j| x[0][[i[0], j]]).sum());
    let hot = |axis: i32, dtype| Op::OneHot { depth: 3, axis, on: Real(2.0), off: Real(-1.0), dtype };
    let of = |i: usize, j: usize| if AT[i] == j { 2.0 } else { -1.0 };
    vec![
        row(Op::Gather { axis: 0 }, [signed([3, 2]), indices([2, 2], &AT)], rows).also(&ANY),
        row(Op::Gather { axis: 1 }, [signed([2, 3]), indices([4], &AT)], columns).also(&ANY),
        row(Op::GatherGrad { axis: 1 }, [signed([2, 4]), indices([4], &AT), like([2, 3])], scattered).also(&INTEGERS),
        row(hot(-1, DType::F16), [indices([4], &AT)], move |_| from(&[4, 3], |i| of(i[0], i[1])))
            .gives(DType::F16)
            .steps(),
        row(hot(0, DType::I8), [indices([4], &AT)], move |_| from(&[3, 4], |i| of(i[1], i[0])))
            .gives(DType::I8)
            .steps(),
        row(hot(-1, DType::F64), [indices([4], &AT)], move |_| from(&[4, 3], |i| of(i[0], i[1])))
            .gives(DType::F64)
            .steps(),
        row(hot(0, DType::I32), [indices([4], &AT)], move |_| from(&[3, 4], |i| of(i[1], i[0])))
            .gives(DType::I32)
            .steps(),
    ]
}

fn classes() -> Vec<Row> {
    const LABELS: [usize; 2] = [2, 0];
    let batched = |x: &[Numbers]| {
        let share = softmax(&x[0], 2);
        let label = |i: &[usize]| LABELS[i[1]];
        let loss = from(&[2, 2], |i| -share[[i[0], i[1], label(i)]].ln());
        [loss, from(&[2, 2, 3], |i| share[IxDyn(i)] - truth(label(i) == i[2]))]
    };
    let shares = |_: &[Numbers]| softmax(&from(&[2, 3], |i| (i[0] * 2 + i[1]) as f64), 1);
    let dense = |x: &[Numbers]| {
        let share = softmax(&x[0], 1);
        let loss = from(&[2], |i| -(0..3).map(|c| x[1][[i[0], c]] * share[[i[0], c]].ln()).sum::<f64>());
        [loss, share - &x[1]]
    };
    let sparse = |x: &[Numbers]| {
        let share = softmax(&x[0], 1);
        let loss = from(&[2], |i| -share[[i[0], LABELS[i[0]]]].ln());
        [loss, from(&[2, 3], |i| share[IxDyn(i)] - truth(LABELS[i[0]] == i[1]))]
    };
    vec![
        row(Op::Softmax { axis: -1 }, [signed([2, 3])], |x| softmax(&x[0], 1)),
        row(Op::Softmax { axis: 0 }, [signed([2, 3])], |x| softmax(&x[0], 0)),
        row(Op::LogSoftmax { axis: -1 }, [signed([2, 3])], |x| softmax(&x[0], 1).mapv(f64::ln)),
        row(Op::LogSoftmax { axis: 1 }, [signed([2, 3, 2])], |x| softmax(&x[0], 1).mapv(f64::ln)),
        row(Op::SoftmaxCrossEntropy, [signed([2, 3]), made([2, 3], shares)], dense),
        row(Op::SparseSoftmaxCrossEntropy, [signed([2, 3]), indices([2], &LABELS)], sparse),
        row(Op::SparseSoftmaxCrossEntropy, [signed([2, 2, 3]), indices([2, 2], &[2, 0, 2, 0])], batched),
    ]
}

fn images() -> Vec<Row> {
    let mut rows = Vec::new();
    for windows in [
        Windows { size: [2, 3], strides: [1, 1], dilations: [1, 1], same: true },
        Windows { size: [2, 2], strides: [2, 2], dilations: [1, 1], same: true },
        Windows { size: [2, 1], strides: [1, 3], dilations: [2, 1], same: false },
    ] {
        rows.extend(convolutions(windows));
    }
    for windows in [
        Windows { size: [2, 2], strides: [2, 2], dilations: [1, 1], same: true },
        Windows { size: [3, 2], strides: [1, 1], dilations: [1, 1], same: true },
        Windows { size: [2, 3], strides: [1, 2], dilations: [1, 1], same: false },
    ] {
        rows.extend(pools(windows));
    }
    rows
}

fn window(windows: &Windows) -> Window2d {
    let padding = if windows.same { Padding::Same } else { Padding::Valid };
    Window2d { strides: windows.strides.map(|n| n as u32), dilations: windows.dilations.map(|n| n as u32), padding }
}

fn convolutions(windows: Windows) -> Vec<Row> {
    let (x, filter) = ([1, 3, 4, 2], [windows.size[0], windows.size[1], 2, 2]);
    let y = windows.result(&x, 2);
    let forward = move |v: &[Numbers]| {
        let mut sum = Numbers::zeros(IxDyn(&y));
        windows.products(&x, 2, |a, b, c| sum[c] += v[0][a] * v[1][b]);
        sum
    };
    let to_input = move |v: &[Numbers]| {
        let mut sum = Numbers::zeros(IxDyn(&x));
        windows.products(&x, 2, |a, b, c| sum[a] += v[0][c] * v[1][b]);
        sum
    };
    let to_filter = move |v: &[Numbers]| {
        let mut sum = Numbers::zeros(IxDyn(&filter));
        windows.products(&x, 2, |a, b, c| sum[b] += v[0][a] * v[1][c]);
        sum
    };
    let window = window(&windows);
    vec![
        row(Op::Conv2d(window), [signed(x), signed(filter)], forward),
        row(Op::Conv2dInputGrad(window), [signed(y), signed(filter), like(x)], to_input),
        row(Op::Conv2dFilterGrad(window), [signed(x), signed(y), like(filter)], to_filter),
    ]
}

fn pools(windows: Windows) -> Vec<Row> {
    let x = [1, 3, 4, 2];
    let y = windows.result(&x, 2);
    let (size, window) = (windows.size.map(|n| n as u32), window(&windows));
    let largest = move |v: &[Numbers]| windows.pool(&v[0], |x| x.iter().copied().fold(f64::NEG_INFINITY, f64::max));
    let mean = move |v: &[Numbers]| windows.pool(&v[0], |x| x.iter().sum::<f64>() / x.len() as f64);
    let of_largest = move |v: &[Numbers]| {
        let mut sum = Numbers::zeros(IxDyn(&x));
        windows.largest(&v[0]).into_iter().for_each(|(window, cell)| sum[cell] += v[2][window]);
        sum
    };
    let at_largest = move |v: &[Numbers]| {
        let mut chosen = Numbers::zeros(IxDyn(&y));
        windows.largest(&v[0]).into_iter().for_each(|(window, cell)| chosen[window] = v[2][cell]);
        chosen
    };
    let spread = move |v: &[Numbers]| {
        let mut sum = Numbers::zeros(IxDyn(&x));
        windows.each(&x, |window, cells| {
            cells.iter().for_each(|(cell, _)| sum[*cell] += v[0][window] / cells.len() as f64);
        });
        sum
    };
    let pooled = made(y, move |v| largest(v));
    vec![
        row(Op::Pool2d { op: PoolOp::Max, size, window }, [signed(x)], largest).also(&INTEGERS),
        row(Op::Pool2d { op: PoolOp::Average, size, window }, [signed(x)], mean),
        row(Op::MaxPoolGrad { size, window }, [signed(x).held(), pooled.clone(), signed(y)], of_largest),
        row(Op::MaxPoolGradGrad { size, window }, [signed(x).held(), pooled, signed(x)], at_largest),
        row(Op::AveragePoolGrad { size, window }, [signed(y), like(x)], spread),
    ]
}
