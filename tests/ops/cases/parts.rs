//! Rows of what takes and changes parts of arrays.

use dormouse::prelude::*;
use dormouse::value::{Op, Part, ScatterOp};
use ndarray::IxDyn;

use super::list;
use crate::reference::from;
use crate::row::{ANY, INTEGERS, Numbers, Row, indices, like, positive, row, signed};

/// Rows of strided slices, and of regrouped axes.
pub(super) fn slices() -> Vec<Row> {
    // Of [4, 3, 5]: two backwards from the last, one index, a new axis, every other.
    let parts = [
        Part::Range { begin: Some(-1), end: Some(0), step: -2 },
        Part::Index(-2),
        Part::NewAxis,
        Part::Range { begin: Some(1), end: None, step: 2 },
    ];
    let place = |i: &[usize]| [3 - 2 * i[0], 1, 1 + 2 * i[2]];
    let taken = move |x: &[Numbers]| from(&[2, 1, 2], |i| x[0][place(i)]);
    let put = move |x: &[Numbers]| {
        let mut whole = Numbers::zeros(IxDyn(&[4, 3, 5]));
        x[0].indexed_iter().for_each(|(i, x)| whole[place(ndarray::Dimension::slice(&i))] = *x);
        whole
    };
    let back = Op::StridedSlice { parts: list([Part::Rest, Part::Range { begin: None, end: None, step: -1 }]) };
    let none = Op::StridedSlice { parts: list([Part::Range { begin: Some(2), end: Some(1), step: 1 }]) };
    let regroup = |axis, count, dims| Op::Regroup { axis, count, dims };
    let to = |dims: [usize; 3]| move |x: &[Numbers]| x[0].to_shape(IxDyn(&dims)).unwrap().to_owned();
    vec![
        row(Op::StridedSlice { parts: list(parts) }, [signed([4, 3, 5])], taken).also(&ANY),
        row(back, [signed([2, 3])], |x| from(&[2, 3], |i| x[0][[i[0], 2 - i[1]]])).also(&ANY),
        row(none, [signed([3, 2])], |_| from(&[0, 2], |_| 0.0)).also(&ANY),
        row(Op::StridedSliceGrad { parts: list(parts) }, [signed([2, 1, 2]), like([4, 3, 5])], put).also(&ANY),
        row(regroup(1, 1, list([-1, 2])), [signed([2, 4])], to([2, 2, 2])).also(&ANY),
        row(regroup(-2, 2, list([-1])), [signed([2, 3, 2, 2])], to([2, 3, 4])).also(&ANY),
    ]
}

/// Rows of what indices of several numbers name.
pub(super) fn places() -> Vec<Row> {
    const AT: [[usize; 2]; 3] = [[1, 2], [0, 0], [1, 2]];
    const OWN: [[usize; 2]; 2] = [[2, 0], [1, 1]];
    let at = || indices([3, 2], AT.as_flattened());
    let own = || indices([2, 2, 1], OWN.as_flattened());
    let elements = |x: &[Numbers]| from(&[3, 2], |i| x[0][[AT[i[0]][0], AT[i[0]][1], i[1]]]);
    let rows = |x: &[Numbers]| from(&[2, 2, 2], |i| x[0][[i[0], OWN[i[0]][i[1]], i[2]]]);
    let changed = |op: ScatterOp| {
        move |x: &[Numbers]| {
            let mut y = x[0].clone();
            for (k, place) in AT.iter().enumerate() {
                for j in 0..2 {
                    change(op, &mut y[[place[0], place[1], j]], x[2][[k, j]]);
                }
            }
            y
        }
    };
    let changed_rows = |x: &[Numbers]| {
        let mut y = x[0].clone();
        for (b, rows) in OWN.iter().enumerate() {
            for (k, row) in rows.iter().enumerate() {
                y[[b, *row]] += x[2][[b, k]];
            }
        }
        y
    };
    let whole = |x: &[Numbers]| from(&[3, 2], |i| x[0][[i[1]]]);
    let replaced = |x: &[Numbers]| {
        let mut y = x[0].clone();
        (0..2).for_each(|k| y[[AT[k][0], AT[k][1]]] = x[2][[k]]);
        y
    };
    let nd = |op, batch_dims| Op::ScatterNd { op, batch_dims };
    let counted = |axis: usize| move |_: &[Numbers]| from(&[2, 3], |i| i[axis] as f64);
    let mut all = vec![
        row(Op::GatherNd { batch_dims: 0 }, [signed([2, 3, 2]), at()], elements).also(&ANY),
        row(Op::GatherNd { batch_dims: 1 }, [signed([2, 3, 2]), own()], rows).also(&ANY),
        row(Op::GatherNd { batch_dims: 0 }, [signed([2]), indices([3, 0], &[])], whole).also(&ANY),
        row(nd(ScatterOp::Add, 1), [signed([2, 3]), own(), signed([2, 2])], changed_rows).also(&INTEGERS),
        row(nd(ScatterOp::Update, 0), [signed([2, 3]), indices([2, 2], AT[..2].as_flattened()), signed([2])], replaced)
            .also(&ANY),
    ];
    for op in [ScatterOp::Add, ScatterOp::Sub, ScatterOp::Max, ScatterOp::Min] {
        let operands = [signed([2, 3, 2]), at(), signed([3, 2])];
        all.push(row(nd(op, 0), operands, changed(op)).also(&INTEGERS));
    }
    let operands = || [signed([2, 3, 2]), at(), signed([3, 2])];
    all.push(row(nd(ScatterOp::Mul, 0), operands(), changed(ScatterOp::Mul)).also(&INTEGERS).steps());
    let operands = [signed([2, 3, 2]), at(), positive([3, 2])];
    all.push(row(nd(ScatterOp::Div, 0), operands, changed(ScatterOp::Div)).steps());
    for dtype in [DType::F64, DType::I32, DType::U8] {
        all.push(row(Op::Iota { axis: 0, dtype }, [like([2, 3])], counted(0)).also(&ANY).gives(dtype).steps());
        all.push(row(Op::Iota { axis: -1, dtype }, [like([2, 3])], counted(1)).also(&ANY).gives(dtype).steps());
    }
    all
}

fn change(op: ScatterOp, x: &mut f64, update: f64) {
    match op {
        ScatterOp::Update => *x = update,
        ScatterOp::Add => *x += update,
        ScatterOp::Sub => *x -= update,
        ScatterOp::Mul => *x *= update,
        ScatterOp::Div => *x /= update,
        ScatterOp::Max => *x = x.max(update),
        ScatterOp::Min => *x = x.min(update),
    }
}
