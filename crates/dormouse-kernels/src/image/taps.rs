//! Along one axis of an image, the cells that each cell of a resized image is made of, and their weights, as TensorFlow
//! computes them: every step is rounded to the dtype of the images.

use dormouse_value::{Interpolation, Sampling};

/// Steps between cells that cubic weights are computed at.
const CUBIC_STEPS: f64 = 1024.0;

/// Cells and weights, place after place.
#[derive(Debug)]
pub(super) struct Taps<T> {
    /// Where each place's begin, and the end.
    starts: Vec<usize>,
    cells: Vec<usize>,
    weights: Vec<T>,
}

impl<T: Copy> Taps<T> {
    /// The cells of one place, and their weights.
    pub(super) fn of(&self, place: usize) -> (&[usize], &[T]) {
        let range = self.starts[place]..self.starts[place + 1];
        (&self.cells[range.clone()], &self.weights[range])
    }

    /// How many in all.
    pub(super) fn len(&self) -> usize {
        self.cells.len()
    }

    /// For each of `count` cells, the places that are made of it, in order.
    pub(super) fn turned(&self, count: usize) -> Taps<T> {
        let mut starts = vec![0; count + 1];
        for &cell in &self.cells {
            starts[cell + 1] += 1;
        }
        for i in 0..count {
            starts[i + 1] += starts[i];
        }
        let mut next = starts.clone();
        let mut cells = vec![0; self.cells.len()];
        let mut weights = self.weights.clone();
        for place in 0..self.starts.len() - 1 {
            let (own, of_own) = self.of(place);
            for (&cell, &weight) in own.iter().zip(of_own) {
                cells[next[cell]] = place;
                weights[next[cell]] = weight;
                next[cell] += 1;
            }
        }
        Taps { starts, cells, weights }
    }
}

/// An axis of `cells` cells resized to `places`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stretch {
    pub(super) interpolation: Interpolation,
    pub(super) sampling: Sampling,
    pub(super) cells: usize,
    pub(super) places: usize,
    /// Whether numbers have the digits of f32.
    pub(super) single: bool,
}

impl Stretch {
    /// A number as the dtype holds it: sums, products and quotients of such are rounded once, as f64 has digits to spare.
    fn round(&self, x: f64) -> f64 {
        if self.single { f64::from(x as f32) } else { x }
    }

    /// Cells a place.
    pub(super) fn scale(&self) -> f64 {
        let (cells, places) = (self.cells as f64, self.places as f64);
        if self.sampling == Sampling::AlignedCorners && self.places > 1 {
            self.round(self.round(cells - 1.0) / self.round(places - 1.0))
        } else {
            self.round(self.round(cells) / self.round(places))
        }
    }

    /// Where a place lies, in cells.
    fn source(&self, place: usize) -> f64 {
        let (place, scale) = (self.round(place as f64), self.scale());
        match (self.sampling, self.interpolation) {
            (Sampling::Corner | Sampling::AlignedCorners, _) => self.round(place * scale),
            (Sampling::HalfPixel, Interpolation::Nearest) => self.round(self.round(place + 0.5) * scale),
            (Sampling::HalfPixel, _) => self.round(self.round(self.round(place + 0.5) * scale) - 0.5),
        }
    }

    fn bound(&self, cell: i64) -> usize {
        usize::try_from(cell.min(self.cells as i64 - 1)).unwrap_or(0)
    }

    /// The cells of a place with their weights. Of bilinear interpolation they are the one before and the one after, the
    /// latter's weight being the distance.
    fn taps(&self, place: usize) -> Vec<(usize, f64)> {
        match self.interpolation {
            Interpolation::Nearest => {
                let source = self.source(place);
                let nearest = if self.sampling == Sampling::AlignedCorners { source.round() } else { source.floor() };
                vec![(self.bound(nearest as i64), 1.0)]
            }
            Interpolation::Bilinear => {
                let source = self.source(place);
                let distance = self.round(source - source.floor());
                let before = (self.bound(source.floor() as i64), self.round(1.0 - distance));
                vec![before, (self.bound(source.ceil() as i64), distance)]
            }
            Interpolation::Bicubic => self.cubic(place),
            Interpolation::Area => self.area(place),
        }
    }

    /// Four cells; with centers of pixels those outside weigh nothing, and the others more.
    fn cubic(&self, place: usize) -> Vec<(usize, f64)> {
        let source = self.source(place);
        let first = source.floor() as i64 - 1;
        let distance = self.round(source - source.floor());
        // Of f32 the weights are those of the nearest step, as a table has them.
        let step = distance * CUBIC_STEPS;
        let step = if self.single { self.round(step).round_ties_even() } else { step };
        let centers = self.sampling == Sampling::HalfPixel;
        let a = if centers { -0.5 } else { -0.75 };
        // Keys's cubic up to one cell away, and from there to two.
        let near = |step: f64| {
            let x = step / CUBIC_STEPS;
            self.round(((a + 2.0) * x - (a + 3.0)) * x * x + 1.0)
        };
        let far = |step: f64| {
            let x = step / CUBIC_STEPS + 1.0;
            self.round(((a * x - 5.0 * a) * x + 8.0 * a) * x - 4.0 * a)
        };
        let rest = CUBIC_STEPS - step;
        let mut taps: Vec<(usize, f64)> = [far(step), near(step), near(rest), far(rest)]
            .into_iter()
            .zip(first..)
            .map(|(weight, cell)| {
                let inside = self.bound(cell);
                (inside, if centers && inside as i64 != cell { 0.0 } else { weight })
            })
            .collect();
        if centers {
            let sum = taps.iter().fold(0.0, |sum, (_, weight)| self.round(sum + weight));
            if sum.abs() >= 1000.0 * f64::from(f32::MIN_POSITIVE) {
                let factor = self.round(1.0 / sum);
                taps.iter_mut().for_each(|(_, weight)| *weight = self.round(*weight * factor));
            }
        }
        taps
    }

    /// All cells from here to the next place, by how much of each lies between.
    fn area(&self, place: usize) -> Vec<(usize, f64)> {
        let scale = self.scale();
        let at = |place: usize| self.round(self.round(place as f64) * scale);
        let (begin, end) = (at(place), at(place + 1));
        let part = |cell: i64| {
            let cell = cell as f64;
            if cell < begin {
                if cell + 1.0 > end { scale } else { self.round(cell + 1.0 - begin) }
            } else if cell + 1.0 > end {
                self.round(end - cell)
            } else {
                1.0
            }
        };
        (begin.floor() as i64..end.ceil() as i64).map(|cell| (self.bound(cell), part(cell))).collect()
    }

    /// The cells of every place.
    pub(super) fn all<T: Copy>(&self, of: impl Fn(f64) -> T) -> Taps<T> {
        let (mut starts, mut cells, mut weights) = (vec![0], Vec::new(), Vec::new());
        for place in 0..self.places {
            for (cell, weight) in self.taps(place) {
                cells.push(cell);
                weights.push(of(weight));
            }
            starts.push(cells.len());
        }
        Taps { starts, cells, weights }
    }
}
