//! Rows of images' operations.

use dormouse::prelude::*;
use dormouse::value::{Op, Real, Resize, Sampling};
use ndarray::IxDyn;

use crate::row::{INTEGERS, Numbers, Row, given, like, row, signed};

/// How much of each of `cells` cells each of `places` is made of.
fn weights(interpolation: Interpolation, sampling: Sampling, cells: usize, places: usize) -> Vec<Vec<f64>> {
    let (n, m) = (cells as f64, places as f64);
    let last = n - 1.0;
    let centers = sampling == Sampling::HalfPixel;
    let source = |place: f64| match sampling {
        Sampling::Corner => place * n / m,
        Sampling::AlignedCorners if places > 1 => place * last / (m - 1.0),
        Sampling::AlignedCorners => 0.0,
        Sampling::HalfPixel => (place + 0.5) * n / m - 0.5,
    };
    let cubic = |distance: f64| {
        let (a, d) = (if centers { -0.5 } else { -0.75 }, distance.abs());
        if d <= 1.0 {
            (a + 2.0) * d.powi(3) - (a + 3.0) * d.powi(2) + 1.0
        } else if d < 2.0 {
            a * (d.powi(3) - 5.0 * d.powi(2) + 8.0 * d - 4.0)
        } else {
            0.0
        }
    };
    let of = |place: usize| -> Vec<f64> {
        let place = place as f64;
        let at = source(place);
        let mut row = vec![0.0; cells];
        match interpolation {
            Interpolation::Nearest => {
                let nearest = match sampling {
                    Sampling::Corner => at.floor(),
                    Sampling::AlignedCorners => at.round(),
                    Sampling::HalfPixel => (at + 0.5).floor(),
                };
                row[nearest.min(last) as usize] = 1.0;
            }
            Interpolation::Bilinear => {
                let at = at.clamp(0.0, last);
                (0..cells).for_each(|k| row[k] = (1.0 - (at - k as f64).abs()).max(0.0));
            }
            Interpolation::Bicubic => {
                for k in -3..cells as i64 + 3 {
                    let inside = k.clamp(0, cells as i64 - 1);
                    if !centers || inside == k {
                        row[inside as usize] += cubic(at - k as f64);
                    }
                }
                let sum: f64 = row.iter().sum();
                row.iter_mut().for_each(|w| *w /= sum);
            }
            Interpolation::Area => {
                let (from, to) = (place * n / m, (place + 1.0) * n / m);
                let common = |k: f64| (to.min(k + 1.0) - from.max(k)).max(0.0);
                (0..cells).for_each(|k| row[k] = common(k as f64) * m / n);
            }
        }
        row
    };
    (0..places).map(of).collect()
}

/// Images `[n, h, w, c]` with both axes made of others, or, turned round, given back to them.
fn stretched(x: &Numbers, [down, across]: &[Vec<Vec<f64>>; 2], turned: bool) -> Numbers {
    let extent = |weights: &Vec<Vec<f64>>| if turned { weights[0].len() } else { weights.len() };
    let mut y = Numbers::zeros(IxDyn(&[x.shape()[0], extent(down), extent(across), x.shape()[3]]));
    for ((n, c), (i, k)) in (0..x.shape()[0])
        .flat_map(|n| (0..x.shape()[3]).map(move |c| (n, c)))
        .flat_map(|at| (0..down.len()).flat_map(move |i| (0..down[0].len()).map(move |k| (at, (i, k)))))
    {
        for (j, l) in (0..across.len()).flat_map(|j| (0..across[0].len()).map(move |l| (j, l))) {
            let weight = down[i][k] * across[j][l];
            if turned {
                y[[n, k, l, c]] += weight * x[[n, i, j, c]];
            } else {
                y[[n, i, j, c]] += weight * x[[n, k, l, c]];
            }
        }
    }
    y
}

pub(super) fn images() -> Vec<Row> {
    let mut all = Vec::new();
    let kinds = [Interpolation::Nearest, Interpolation::Bilinear, Interpolation::Bicubic, Interpolation::Area];
    for interpolation in kinds {
        for sampling in [Sampling::Corner, Sampling::AlignedCorners, Sampling::HalfPixel] {
            if interpolation == Interpolation::Area && sampling != Sampling::Corner {
                continue;
            }
            // Steps that f32 holds, larger and smaller.
            let ([height, width], size) = match sampling {
                Sampling::AlignedCorners => ([3, 5], [5, 3]),
                Sampling::Corner | Sampling::HalfPixel => ([2, 6], [4, 3]),
            };
            let resize = Resize { interpolation, sampling, size: size.map(|n| n as u32) };
            let axes =
                [weights(interpolation, sampling, height, size[0]), weights(interpolation, sampling, width, size[1])];
            let turned = axes.clone();
            let (x, y) = ([2, height, width, 2], [2, size[0], size[1], 2]);
            let forward = row(Op::ResizeImages(resize), [signed(x)], move |v| stretched(&v[0], &axes, false));
            all.push(if interpolation == Interpolation::Nearest { forward.also(&INTEGERS) } else { forward });
            let backward = move |v: &[Numbers]| stretched(&v[0], &turned, true);
            all.push(row(Op::ResizeImagesGrad(resize), [signed(y), like(x)], backward));
        }
    }
    let edges = [
        [0.0, 0.0, 1.0, 1.0],
        [0.0, 0.25, 1.0, 1.0],
        [0.5, 0.5, 1.5, 1.5],
        [1.0, 1.0, 0.0, 0.0],
        [2.0, 2.0, 3.0, 2.5],
        [2.0, 2.0, 2.0, 3.0],
    ];
    let boxes = given([6, 4], &edges.concat());
    let scores = given([6], &[0.5, 0.75, 0.5, 0.625, 0.25, -1.0]);
    for (size, overlap, chosen) in
        [(3, 0.5, vec![1.0, 2.0, 4.0]), (5, 0.5, vec![1.0, 2.0, 4.0]), (2, 1.0, vec![1.0, 3.0])]
    {
        let op = Op::NonMaxSuppression { size, overlap: Real(overlap), score: Real(0.0) };
        let count = chosen.len() as f64;
        let results = move |_: &[Numbers]| {
            let mut indices = Numbers::zeros(IxDyn(&[size as usize]));
            chosen.iter().enumerate().for_each(|(i, index)| indices[[i]] = *index);
            [indices, Numbers::from_elem(IxDyn(&[]), count)]
        };
        all.push(row(op, [boxes.clone(), scores.clone()], results).gives(DType::I32).steps().without(&[DType::Bf16]));
    }
    all
}
