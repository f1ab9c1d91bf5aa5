//! Rows of what goes by order and by segments.

use dormouse::prelude::*;
use dormouse::value::{CumulativeOp, Op, SegmentOp};
use ndarray::IxDyn;

use crate::reference::from;
use crate::row::{ANY, Gradient, INTEGERS, Numbers, Row, given, indices, like, row, signed, whole};

/// Rows of segments.
pub(super) fn segments() -> Vec<Row> {
    const IDS: [i64; 6] = [2, 0, -1, 2, 3, 0];
    const SORTED: [i64; 6] = [0, 0, 2, 2, 2, 3];
    let ops = [SegmentOp::Sum, SegmentOp::Prod, SegmentOp::Max, SegmentOp::Min];
    let take = |op: SegmentOp, a: f64, b: f64| match op {
        SegmentOp::Sum => a + b,
        SegmentOp::Prod => a * b,
        SegmentOp::Max => a.max(b),
        SegmentOp::Min => a.min(b),
    };
    let reduced = move |op: SegmentOp, ids: [i64; 6], empty: f64| {
        move |x: &[Numbers]| {
            let rows = x[0].len() / 6;
            from(&[4, rows], |i| {
                let own = (0..6).filter(|k| ids[*k] == i[0] as i64);
                let numbers = own.map(|k| *x[0].iter().nth(k * rows + i[1]).unwrap());
                numbers.reduce(|a, b| take(op, a, b)).unwrap_or(empty)
            })
        }
    };
    let mut all = Vec::new();
    for op in ops {
        let empty = if op == SegmentOp::Prod { 1.0 } else { 0.0 };
        let sorted = Op::Segment { op, segments: 4, sorted: true };
        all.push(row(sorted, [signed([6, 2]), whole([6], &SORTED)], reduced(op, SORTED, empty)).also(&INTEGERS));
        // No segment is empty, as the lowest number of a dtype is its own.
        let ids = if matches!(op, SegmentOp::Max | SegmentOp::Min) { [2, 0, -1, 1, 3, 0] } else { IDS };
        let unsorted = Op::Segment { op, segments: 4, sorted: false };
        all.push(row(unsorted, [signed([2, 3, 2]), whole([2, 3], &ids)], reduced(op, ids, empty)).also(&INTEGERS));
    }
    let zeros = given([6, 1], &[0.0, 2.0, 3.0, 5.0, 0.0, 0.0]);
    let product = Op::Segment { op: SegmentOp::Prod, segments: 4, sorted: false };
    let ids = [0, 0, 1, 1, 3, 3];
    all.push(
        row(product, [zeros, whole([6], &ids)], reduced(SegmentOp::Prod, ids, 1.0))
            .also(&INTEGERS)
            .gradient(Gradient::Fixed),
    );
    let none = Op::Segment { op: SegmentOp::Sum, segments: 2, sorted: false };
    all.push(row(none, [signed([0, 3]), whole([0], &[])], |_| from(&[2, 3], |_| 0.0)).also(&INTEGERS));
    let spread = Op::SegmentSpread { segments: 4 };
    let part = |x: &[Numbers]| {
        from(&[2, 3, 2], |i| usize::try_from(IDS[i[0] * 3 + i[1]]).map_or(0.0, |segment| x[0][[segment, i[2]]]))
    };
    all.push(row(spread, [signed([4, 2]), whole([2, 3], &IDS)], part).also(&ANY));
    all
}

/// Rows of what goes by order.
pub(super) fn order() -> Vec<Row> {
    const AT: [usize; 6] = [3, 0, 3, 1, 2, 2];
    /// The places of a row's numbers, the largest first.
    fn ranked(x: &Numbers, row: &[usize]) -> Vec<usize> {
        let at = |i: usize| x[IxDyn(&[row, &[i]].concat())];
        let mut places: Vec<usize> = (0..x.shape()[row.len()]).collect();
        places.sort_by(|a, b| at(*b).total_cmp(&at(*a)));
        places
    }
    let best = |k: usize| {
        move |x: &[Numbers]| {
            let mut dims = x[0].shape().to_vec();
            let (last, before) = dims.split_last_mut().unwrap();
            *last = k;
            let rank = before.len();
            let place = |i: &[usize]| ranked(&x[0], &i[..rank])[i[rank]];
            let value = |i: &[usize]| x[0][IxDyn(&[&i[..rank], &[place(i)]].concat())];
            [from(&dims, value), from(&dims, |i| place(i) as f64)]
        }
    };
    let picked = |x: &[Numbers]| from(&[2, 3], |i| x[0][[i[0], AT[i[0] * 3 + i[1]]]]);
    let put = |x: &[Numbers]| {
        let mut y = Numbers::zeros(IxDyn(&[2, 4]));
        (0..6).for_each(|k| y[[k / 3, AT[k]]] += x[0][[k / 3, k % 3]]);
        y
    };
    let sorted = || given([2, 4], &[0.0, 2.0, 2.0, 5.0, 1.0, 1.0, 3.0, 3.0]);
    let places = |right: bool| {
        move |x: &[Numbers]| {
            from(&[2, 3], |i| {
                let own = x[1][i];
                (0..4).filter(|k| x[0][[i[0], *k]] < own || right && x[0][[i[0], *k]] == own).count() as f64
            })
        }
    };
    let mut all = vec![
        row(Op::TopK { k: Some(3) }, [signed([2, 5])], best(3)).also(&INTEGERS),
        row(Op::TopK { k: Some(1) }, [signed([2, 1, 4])], best(1)).also(&INTEGERS),
        row(Op::TopK { k: None }, [signed([7])], best(7)).also(&INTEGERS),
        row(Op::TopK { k: Some(0) }, [signed([2, 3])], |_| [from(&[2, 0], |_| 0.0), from(&[2, 0], |_| 0.0)])
            .also(&INTEGERS),
        row(Op::Pick, [signed([2, 4]), indices([2, 3], &AT)], picked).also(&ANY),
        row(Op::PickGrad, [signed([2, 3]), indices([2, 3], &AT), like([2, 4])], put).also(&INTEGERS),
    ];
    for (right, output) in [(false, DType::I32), (true, DType::I64)] {
        let op = Op::SearchSorted { right, output };
        let x = given([2, 3], &[2.0, 0.0, 7.0, 0.0, 3.0, 1.0]);
        all.push(row(op, [sorted(), x], places(right)).also(&INTEGERS).gives(output).steps());
    }
    for (exclusive, reverse) in [(false, false), (true, false), (false, true), (true, true)] {
        let op = Op::Cumulative { op: CumulativeOp::LogSumExp, axis: -1, exclusive, reverse };
        let sums = move |x: &[Numbers]| {
            from(&[2, 4], |i| {
                let counts = |k: &usize| match (exclusive, reverse) {
                    (false, false) => *k <= i[1],
                    (true, false) => *k < i[1],
                    (false, true) => *k >= i[1],
                    (true, true) => *k > i[1],
                };
                (0..4).filter(counts).map(|k| x[0][[i[0], k]].exp()).sum::<f64>().ln()
            })
        };
        // Of none it is −∞, which has no differences.
        let gradient = if exclusive { Gradient::Coarse } else { Gradient::Smooth };
        all.push(row(op, [signed([2, 4])], sums).gradient(gradient));
    }
    all
}
