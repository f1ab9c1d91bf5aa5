//! Convolutions beyond plain ones: of groups of channels, of each channel alone, of images with a depth, and with cells of
//! padding that are told.

use dormouse::value::{Op, Padding, PoolOp, Window2d, Window3d};
use ndarray::IxDyn;

use crate::row::{INTEGERS, Numbers, Row, made, row, signed, signed_of};

/// Windows along one axis.
#[derive(Clone, Copy)]
struct Along {
    cells: usize,
    taps: usize,
    stride: usize,
    dilation: usize,
    before: usize,
    after: usize,
}

impl Along {
    fn count(self) -> usize {
        (self.cells + self.before + self.after - (self.taps - 1) * self.dilation - 1) / self.stride + 1
    }

    /// Window, tap and cell, of all taps that fall on cells.
    fn meetings(self) -> Vec<[usize; 3]> {
        let all = (0..self.count()).flat_map(|o| (0..self.taps).map(move |k| (o, k)));
        let cell = |(o, k): (usize, usize)| {
            let cell = (o * self.stride + k * self.dilation).checked_sub(self.before)?;
            (cell < self.cells).then_some([o, k, cell])
        };
        all.filter_map(cell).collect()
    }
}

fn along(cells: usize, taps: usize, [stride, dilation]: [usize; 2], [before, after]: [usize; 2]) -> Along {
    Along { cells, taps, stride, dilation, before, after }
}

/// How channels meet filters.
#[derive(Clone, Copy, PartialEq)]
enum Channels {
    /// So many groups; the last number is the filters' results.
    Groups(usize, usize),
    /// Each channel so many filters.
    Each(usize),
}

/// A convolution of some axes, and its three operations.
struct Convolution {
    axes: Vec<Along>,
    inputs: usize,
    channels: Channels,
    ops: [Op; 3],
}

impl Convolution {
    fn rows(self) -> Vec<Row> {
        let cells = self.axes.iter().map(|axis| axis.cells);
        let taps = self.axes.iter().map(|axis| axis.taps);
        let counts = self.axes.iter().map(|axis| axis.count());
        let (own, last, outputs) = match self.channels {
            Channels::Groups(groups, outputs) => (self.inputs / groups, outputs, outputs),
            Channels::Each(times) => (self.inputs, times, self.inputs * times),
        };
        let x: Vec<usize> = [2].into_iter().chain(cells).chain([self.inputs]).collect();
        let filter: Vec<usize> = taps.chain([own, last]).collect();
        let y: Vec<usize> = [2].into_iter().chain(counts).chain([outputs]).collect();
        let mut products = Vec::new();
        let mut places: Vec<Vec<[usize; 3]>> = vec![vec![]];
        for axis in &self.axes {
            let longer = |place: &Vec<[usize; 3]>| {
                let place = place.clone();
                axis.meetings().into_iter().map(move |m| [place.clone(), vec![m]].concat()).collect::<Vec<_>>()
            };
            places = places.iter().flat_map(longer).collect();
        }
        for (n, place) in (0..2).flat_map(|n| places.iter().map(move |place| (n, place))) {
            for output in 0..outputs {
                let pairs: Vec<[usize; 3]> = match self.channels {
                    // The input's channel, and the filter's last two indices.
                    Channels::Groups(groups, _) => {
                        (0..own).map(|k| [output / (outputs / groups) * own + k, k, output]).collect()
                    }
                    Channels::Each(times) => vec![[output / times, output / times, output % times]],
                };
                for [input, k, o] in pairs {
                    let at = |which: usize| place.iter().map(move |m| m[which]);
                    let of_x: Vec<usize> = [n].into_iter().chain(at(2)).chain([input]).collect();
                    let of_filter: Vec<usize> = at(1).chain([k, o]).collect();
                    let of_y: Vec<usize> = [n].into_iter().chain(at(0)).chain([output]).collect();
                    products.push([of_x, of_filter, of_y]);
                }
            }
        }
        // The result's place among the three, and those of both factors.
        let sum = |result: usize, [a, b]: [usize; 2], dims: &[usize]| {
            let (products, dims) = (products.clone(), dims.to_vec());
            move |v: &[Numbers]| {
                let mut sum = Numbers::zeros(IxDyn(&dims));
                for product in &products {
                    sum[IxDyn(&product[result])] += v[0][IxDyn(&product[a])] * v[1][IxDyn(&product[b])];
                }
                sum
            }
        };
        let [forward, to_input, to_filter] = self.ops;
        let [of_y, of_x, of_filter] = [sum(2, [0, 1], &y), sum(0, [2, 1], &x), sum(1, [0, 2], &filter)];
        vec![
            row(forward, [signed_of(&x), signed_of(&filter)], of_y),
            row(to_input, [signed_of(&y), signed_of(&filter), signed_of(&x).held()], of_x),
            row(to_filter, [signed_of(&x), signed_of(&y), signed_of(&filter).held()], of_filter),
        ]
    }
}

fn conv2d(window: Window2d) -> [Op; 3] {
    [Op::Conv2d(window), Op::Conv2dInputGrad(window), Op::Conv2dFilterGrad(window)]
}

fn depthwise(window: Window2d) -> [Op; 3] {
    [Op::DepthwiseConv2d(window), Op::DepthwiseConv2dInputGrad(window), Op::DepthwiseConv2dFilterGrad(window)]
}

fn conv3d(window: Window3d) -> [Op; 3] {
    [Op::Conv3d(window), Op::Conv3dInputGrad(window), Op::Conv3dFilterGrad(window)]
}

pub(super) fn rows() -> Vec<Row> {
    let same = |strides| Window2d { strides, dilations: [1, 1], padding: Padding::Same };
    let told = Window2d { strides: [1, 2], dilations: [2, 1], padding: Padding::Explicit([[2, 1], [0, 3]]) };
    let deep = Window3d { strides: [1, 2, 1], dilations: [1, 1, 1], padding: Padding::Same };
    let valid = Window3d { strides: [1, 1, 2], dilations: [2, 1, 1], padding: Padding::Valid };
    let of_told = || vec![along(3, 2, [1, 2], [2, 1]), along(4, 3, [2, 1], [0, 3])];
    let of_same = || vec![along(3, 2, [1, 1], [0, 1]), along(4, 3, [1, 1], [1, 1])];
    let of_deep = || vec![along(3, 2, [1, 1], [0, 1]), along(2, 3, [2, 1], [0, 1]), along(2, 1, [1, 1], [0, 0])];
    let of_valid = || vec![along(3, 2, [1, 2], [0, 0]), along(2, 1, [1, 1], [0, 0]), along(3, 2, [2, 1], [0, 0])];
    let mut rows = Vec::new();
    for (axes, inputs, channels, ops) in [
        (of_told(), 2, Channels::Groups(1, 2), conv2d(told)),
        (of_same(), 4, Channels::Groups(2, 4), conv2d(same([1, 1]))),
        (of_same(), 2, Channels::Each(1), depthwise(same([1, 1]))),
        (of_told(), 2, Channels::Each(2), depthwise(told)),
        (of_deep(), 2, Channels::Groups(1, 2), conv3d(deep)),
        (of_valid(), 2, Channels::Groups(2, 2), conv3d(valid)),
    ] {
        rows.extend(Convolution { axes, inputs, channels, ops }.rows());
    }
    rows.extend(pools());
    rows
}

/// The largest of windows with cells of padding, which are passed over.
fn pools() -> Vec<Row> {
    let window = Window2d { strides: [2, 1], dilations: [1, 1], padding: Padding::Explicit([[1, 0], [1, 1]]) };
    let size = [2, 2];
    let x = [1, 3, 3, 2];
    let (down, across) = (along(3, 2, [2, 1], [1, 0]), along(3, 2, [1, 1], [1, 1]));
    let y = [1, down.count(), across.count(), 2];
    // Where each window's largest element is.
    let places = move |x: &Numbers| {
        let mut found = Vec::new();
        for (o, p) in (0..y[1]).flat_map(|o| (0..y[2]).map(move |p| (o, p))) {
            for c in 0..2 {
                let of = |along: Along, o: usize| along.meetings().into_iter().filter(move |m| m[0] == o).map(|m| m[2]);
                let cells = of(down, o).flat_map(|i| of(across, p).map(move |j| [0, i, j, c]));
                let best = cells.reduce(|a, b| if x[a] < x[b] { b } else { a }).unwrap();
                found.push(([0, o, p, c], best));
            }
        }
        found
    };
    let largest = move |v: &[Numbers]| {
        let mut result = Numbers::zeros(IxDyn(&y));
        places(&v[0]).into_iter().for_each(|(window, cell)| result[window] = v[0][cell]);
        result
    };
    let of_largest = move |v: &[Numbers]| {
        let mut sum = Numbers::zeros(IxDyn(&x));
        places(&v[0]).into_iter().for_each(|(window, cell)| sum[cell] += v[2][window]);
        sum
    };
    let pooled = made(y, largest);
    vec![
        row(Op::Pool2d { op: PoolOp::Max, size, window }, [signed(x)], largest).also(&INTEGERS),
        row(Op::MaxPoolGrad { size, window }, [signed(x).held(), pooled, signed(y)], of_largest),
    ]
}
