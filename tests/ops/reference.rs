//! Naive loops in f64 that define what operations give.

use ndarray::{ArrayD, IxDyn};

use crate::row::Numbers;

/// An array from its elements' indices.
pub(crate) fn from(dims: &[usize], f: impl Fn(&[usize]) -> f64) -> Numbers {
    ArrayD::from_shape_fn(IxDyn(dims), |index| f(ndarray::Dimension::slice(&index)))
}

/// 1 where it holds.
pub(crate) fn truth(holds: bool) -> f64 {
    f64::from(u8::from(holds))
}

/// The only operand, by element.
pub(crate) fn map(f: impl Fn(f64) -> f64 + 'static) -> impl Fn(&[Numbers]) -> Numbers {
    move |x| x[0].mapv(&f)
}

/// Two operands by element, broadcast.
pub(crate) fn zip(f: impl Fn(f64, f64) -> f64 + 'static) -> impl Fn(&[Numbers]) -> Numbers {
    move |x| {
        let dims = broadcast(x[0].shape(), x[1].shape());
        from(&dims, |i| f(at(&x[0], i), at(&x[1], i)))
    }
}

/// The extents of two shapes broadcast together.
pub(crate) fn broadcast(a: &[usize], b: &[usize]) -> Vec<usize> {
    let rank = a.len().max(b.len());
    let extent = |dims: &[usize], i: usize| (i + dims.len()).checked_sub(rank).map_or(1, |i| dims[i]);
    (0..rank).map(|i| if extent(a, i) == 1 { extent(b, i) } else { extent(a, i) }).collect()
}

/// The element that stands at an index of a shape that x is broadcast to.
pub(crate) fn at(x: &Numbers, index: &[usize]) -> f64 {
    let own = &index[index.len() - x.ndim()..];
    let own: Vec<usize> = own.iter().zip(x.shape()).map(|(i, n)| if *n == 1 { 0 } else { *i }).collect();
    x[IxDyn(&own)]
}

/// The only operand, with all elements along `axes` folded in their order; reduced axes go.
pub(crate) fn fold(axes: &'static [usize], f: impl Fn(&[f64]) -> f64 + 'static) -> impl Fn(&[Numbers]) -> Numbers {
    move |x| {
        let x = &x[0];
        let dims: Vec<usize> = (0..x.ndim()).filter(|a| !axes.contains(a)).map(|a| x.shape()[a]).collect();
        from(&dims, |kept| {
            let same = |index: &[usize]| {
                let own: Vec<usize> = (0..x.ndim()).filter(|a| !axes.contains(a)).map(|a| index[a]).collect();
                own == kept
            };
            let all: Vec<f64> =
                x.indexed_iter().filter(|(i, _)| same(ndarray::Dimension::slice(i))).map(|e| *e.1).collect();
            f(&all)
        })
    }
}

/// An index with `value` at `axis`.
fn with(index: &[usize], axis: usize, value: usize) -> Vec<usize> {
    let mut index = index.to_vec();
    index[axis] = value;
    index
}

/// The elements along an axis through an index.
pub(crate) fn line(x: &Numbers, index: &[usize], axis: usize) -> Vec<f64> {
    (0..x.shape()[axis]).map(|i| x[IxDyn(&with(index, axis, i))]).collect()
}

/// exp(x) / Σ exp(x) along an axis.
pub(crate) fn softmax(x: &Numbers, axis: usize) -> Numbers {
    from(x.shape(), |i| x[IxDyn(i)].exp() / line(x, i, axis).iter().map(|x| x.exp()).sum::<f64>())
}

/// A window over the two inner axes of `[n, h, w, c]`.
#[derive(Clone, Copy)]
pub(crate) struct Windows {
    pub(crate) size: [usize; 2],
    pub(crate) strides: [usize; 2],
    pub(crate) dilations: [usize; 2],
    pub(crate) same: bool,
}

impl Windows {
    /// How many windows there are along both axes of so many cells.
    pub(crate) fn count(&self, cells: [usize; 2]) -> [usize; 2] {
        std::array::from_fn(|a| {
            let span = (self.size[a] - 1) * self.dilations[a] + 1;
            if self.same { cells[a].div_ceil(self.strides[a]) } else { (cells[a] - span) / self.strides[a] + 1 }
        })
    }

    /// The cells inside of window (r, c), each with its place in the window, row by row.
    pub(crate) fn cells(&self, cells: [usize; 2], window: [usize; 2]) -> Vec<([usize; 2], [usize; 2])> {
        let along = |a: usize| -> Vec<(usize, usize)> {
            let span = (self.size[a] - 1) * self.dilations[a] + 1;
            let covered = (self.count(cells)[a] - 1) * self.strides[a] + span;
            let before = if self.same { covered.saturating_sub(cells[a]) / 2 } else { 0 };
            let cell = |tap: usize| (window[a] * self.strides[a] + tap * self.dilations[a]).checked_sub(before);
            (0..self.size[a]).filter_map(|tap| cell(tap).filter(|c| *c < cells[a]).map(|c| (c, tap))).collect()
        };
        let columns = along(1);
        along(0)
            .into_iter()
            .flat_map(|(r, i)| columns.iter().map(move |&(c, j)| ([r, c], [i, j])).collect::<Vec<_>>())
            .collect()
    }

    /// Calls `f` with each window's index `[n, r, c, k]` and its cells' indices and places.
    pub(crate) fn each(&self, dims: &[usize], mut f: impl FnMut([usize; 4], &[([usize; 4], [usize; 2])])) {
        let cells = [dims[1], dims[2]];
        let [rows, columns] = self.count(cells);
        for (n, k) in (0..dims[0]).flat_map(|n| (0..dims[3]).map(move |k| (n, k))) {
            for (r, c) in (0..rows).flat_map(|r| (0..columns).map(move |c| (r, c))) {
                let inside: Vec<_> =
                    self.cells(cells, [r, c]).into_iter().map(|([i, j], tap)| ([n, i, j, k], tap)).collect();
                f([n, r, c, k], &inside);
            }
        }
    }

    /// The extents of what is made of each window of `[n, h, w, _]`, in so many channels.
    pub(crate) fn result(&self, dims: &[usize], channels: usize) -> [usize; 4] {
        let [rows, columns] = self.count([dims[1], dims[2]]);
        [dims[0], rows, columns, channels]
    }

    /// Calls `f` with the indices into x, filter and y of every product of a convolution.
    pub(crate) fn products(&self, x: &[usize], outputs: usize, mut f: impl FnMut([usize; 4], [usize; 4], [usize; 4])) {
        self.each(x, |[n, r, c, k], cells| {
            for (cell, [i, j]) in cells {
                for o in 0..outputs {
                    f(*cell, [*i, *j, k, o], [n, r, c, o]);
                }
            }
        });
    }

    /// What is made of each window's elements.
    pub(crate) fn pool(&self, x: &Numbers, f: impl Fn(&[f64]) -> f64) -> Numbers {
        let mut y = Numbers::zeros(IxDyn(&self.result(x.shape(), x.shape()[3])));
        self.each(x.shape(), |window, cells| {
            let elements: Vec<f64> = cells.iter().map(|(cell, _)| x[*cell]).collect();
            y[window] = f(&elements);
        });
        y
    }

    /// Where each window's largest element is: the windows' indices and the cells'.
    pub(crate) fn largest(&self, x: &Numbers) -> Vec<([usize; 4], [usize; 4])> {
        let mut found = Vec::new();
        self.each(x.shape(), |window, cells| {
            let best = cells.iter().map(|(cell, _)| *cell).reduce(|a, b| if x[a] < x[b] { b } else { a });
            found.extend(best.map(|cell| (window, cell)));
        });
        found
    }
}

/// erf x by its series.
/// The x whose error function this is, by halving.
pub(crate) fn quantile(y: f64) -> f64 {
    let (mut low, mut high) = (-6.0, 6.0);
    for _ in 0..200 {
        let middle = f64::midpoint(low, high);
        if error_function(middle) < y {
            low = middle;
        } else {
            high = middle;
        }
    }
    f64::midpoint(low, high)
}

pub(crate) fn error_function(x: f64) -> f64 {
    let (mut term, mut sum) = (x, x);
    for k in 1..80 {
        let k = f64::from(k);
        term *= -x * x / k;
        sum += term / (2.0 * k + 1.0);
    }
    sum * std::f64::consts::FRAC_2_SQRT_PI
}

/// ln |Γ(x)| by Stirling's series, far out.
pub(crate) fn log_gamma(x: f64) -> f64 {
    let below: f64 = (0..40).map(|k| (x + f64::from(k)).abs().ln()).sum();
    let z = x + 40.0;
    let series = 1.0 / (12.0 * z) - 1.0 / (360.0 * z.powi(3)) + 1.0 / (1260.0 * z.powi(5));
    (z - 0.5) * z.ln() - z + 0.5 * (2.0 * std::f64::consts::PI).ln() + series - below
}

/// Σ (q + k)⁻ˢ, its far terms by an integral and corrections.
pub(crate) fn hurwitz(s: f64, q: f64) -> f64 {
    let near: f64 = (0..200).map(|k| (q + f64::from(k)).powf(-s)).sum();
    let z = q + 200.0;
    let far = z.powf(1.0 - s) / (s - 1.0) + 0.5 * z.powf(-s) + s * z.powf(-s - 1.0) / 12.0;
    near + far - s * (s + 1.0) * (s + 2.0) * z.powf(-s - 3.0) / 720.0
}

/// The modified Bessel function of the first kind.
pub(crate) fn bessel(order: u32, x: f64) -> f64 {
    let half = 0.5 * x;
    let first = (1..=order).fold(1.0, |term, k| term * half / f64::from(k));
    let next = |term: &f64, k: u32| term * half * half / f64::from(k * (k + order));
    let terms = (1..60).scan(first, |term, k| {
        *term = next(term, k);
        Some(*term)
    });
    first + terms.sum::<f64>()
}

/// P(a, x) and its derivative by a, by Σ xᵃ⁺ⁿ e⁻ˣ / Γ(a + n + 1).
pub(crate) fn incomplete_gamma(a: f64, x: f64) -> [f64; 2] {
    (0..120).fold([0.0, 0.0], |[p, slope], n| {
        let b = a + f64::from(n);
        let term = (b * x.ln() - x - log_gamma(b + 1.0)).exp();
        [p + term, slope + term * (x.ln() - polygamma(0, b + 1.0))]
    })
}

/// Iₓ(a, b), by powers of x.
pub(crate) fn incomplete_beta(a: f64, b: f64, x: f64) -> f64 {
    let beta = log_gamma(a) + log_gamma(b) - log_gamma(a + b);
    let first = (a * x.ln() + b * (1.0 - x).ln() - beta).exp() / a;
    let terms = (0..400).scan(first, |term, n| {
        let own = *term;
        *term *= (a + b + f64::from(n)) * x / (a + 1.0 + f64::from(n));
        Some(own)
    });
    terms.sum()
}

/// The n-th derivative of ψ.
pub(crate) fn polygamma(n: u32, x: f64) -> f64 {
    if n == 0 {
        let below: f64 = (0..200).map(|k| 1.0 / (x + f64::from(k))).sum();
        let z = x + 200.0;
        return z.ln() - 0.5 / z - 1.0 / (12.0 * z * z) + 1.0 / (120.0 * z.powi(4)) - below;
    }
    let factorial: f64 = (1..=n).map(f64::from).product();
    let sign = if n.is_multiple_of(2) { -1.0 } else { 1.0 };
    sign * factorial * hurwitz(f64::from(n) + 1.0, x)
}
