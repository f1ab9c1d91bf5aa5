//! Images changed at random, by the numbers that TensorFlow draws from the same seeds.

use super::Images;
use super::color::{Colors, is_image};
use super::unfit;
use crate::build::array::Array;
use crate::build::elementwise::Elementwise;
use crate::build::random::Uniform;
use crate::build::reduction::Reduction;
use crate::tensor::{Symbol, Tensor};

/// Methods of images that change them at random, all of a run alike but for flips, which are each image's own.
pub trait RandomImages: Symbol {
    /// [`Colors::adjust_brightness`] by a number in `[−max_delta, max_delta)`.
    #[track_caller]
    fn random_brightness(self, max_delta: f64, seed: Option<i64>) -> Tensor {
        let x = self.tensor();
        between(x, "random_brightness", [-max_delta, max_delta], max_delta >= 0.0, seed, |x, n| x.adjust_brightness(n))
    }

    /// [`Colors::adjust_contrast`] by a number in `[lower, upper)`.
    #[track_caller]
    fn random_contrast(self, lower: f64, upper: f64, seed: Option<i64>) -> Tensor {
        let fits = 0.0 <= lower && lower < upper;
        between(self.tensor(), "random_contrast", [lower, upper], fits, seed, |x, n| x.adjust_contrast(n))
    }

    /// [`Colors::adjust_hue`] by a number in `[−max_delta, max_delta)`, at most half a turn.
    #[track_caller]
    fn random_hue(self, max_delta: f64, seed: Option<i64>) -> Tensor {
        let fits = (0.0..=0.5).contains(&max_delta);
        between(self.tensor(), "random_hue", [-max_delta, max_delta], fits, seed, |x, n| x.adjust_hue(n))
    }

    /// [`Colors::adjust_saturation`] by a number in `[lower, upper)`.
    #[track_caller]
    fn random_saturation(self, lower: f64, upper: f64, seed: Option<i64>) -> Tensor {
        let fits = 0.0 <= lower && lower < upper;
        between(self.tensor(), "random_saturation", [lower, upper], fits, seed, |x, n| x.adjust_saturation(n))
    }

    /// Each image from left to right, or not.
    #[track_caller]
    fn random_flip_left_right(self, seed: Option<i64>) -> Tensor {
        perhaps(self.tensor(), "random_flip_left_right", seed, |x| x.flip_left_right())
    }

    /// Each image upside down, or not.
    #[track_caller]
    fn random_flip_up_down(self, seed: Option<i64>) -> Tensor {
        perhaps(self.tensor(), "random_flip_up_down", seed, |x| x.flip_up_down())
    }
}

impl<S: Symbol> RandomImages for S {}

#[track_caller]
fn between(
    x: Tensor,
    name: &str,
    [low, high]: [f64; 2],
    fits: bool,
    seed: Option<i64>,
    change: impl FnOnce(Tensor, Tensor) -> Tensor,
) -> Tensor {
    if !fits {
        return x.poisoned_or(format!("{name}: there is nothing to draw from {low} to {high}"));
    }
    let graph = x.graph();
    graph.located(|| {
        let uniform = Uniform::new(low, high);
        change(x, graph.random(&[], seed.map_or(uniform, |seed| uniform.seed(seed))))
    })
}

#[track_caller]
fn perhaps(x: Tensor, name: &str, seed: Option<i64>, flip: impl FnOnce(Tensor) -> Tensor) -> Tensor {
    if !is_image(x) {
        return x.poisoned_or(unfit(x, name));
    }
    let graph = x.graph();
    graph.located(|| {
        graph.name_scope(name, || {
            let uniform = Uniform::default();
            let uniform = seed.map_or(uniform, |seed| uniform.seed(seed));
            if x.shape().rank() == Some(3) {
                return graph.random(&[], uniform).less(0.5).select(flip(x), x);
            }
            // One number an image; only the sum's shape matters.
            let drawn = graph.random_like(x.sum_over([1, 2, 3]), uniform);
            let flips = drawn.greater(0.5).expand_dims(-1).expand_dims(-1).expand_dims(-1);
            flips.select(flip(x), x)
        })
    })
}
