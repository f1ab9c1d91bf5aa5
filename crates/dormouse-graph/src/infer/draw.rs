//! Inference of draws: what a distribution gives. Apart from the operations' rules, as draws are not operations.

use dormouse_value::{DType, Dim, Distribution, Shape};

use super::of_rank;
use super::reduction::index_dtype;
use crate::node::Fact;

/// What a draw gives; `told` is its dtype, and its shape where no operand says it.
///
/// # Errors
/// When the distribution does not take such operands, or does not draw this dtype.
pub fn drawn(distribution: Distribution, operands: &[Fact], told: &Fact) -> Result<Fact, String> {
    let of = |shape: Shape| Ok(Fact { dtype: told.dtype, shape });
    let draws = |suits: bool, what: &str| {
        if suits { Ok(()) } else { Err(format!("draws {what}, not {}", told.dtype)) }
    };
    let floats = |what: &str, fact: &Fact| {
        if fact.dtype.is_float() { Ok(()) } else { Err(format!("{what} are floats, not {}", fact.dtype)) }
    };
    let repeated = |samples: u32, shape: &Shape| match shape.dims() {
        None => Shape::unknown(),
        Some(dims) => [Dim::from(samples as usize)].into_iter().chain(dims.iter().copied()).collect(),
    };
    match (distribution, operands) {
        (Distribution::Uniform | Distribution::Normal | Distribution::TruncatedNormal, _) => {
            draws(told.dtype.is_float(), "floats")?;
            of(filled(operands, told)?)
        }
        (Distribution::UniformInt { low, high }, _) => {
            draws(index_dtype(told.dtype).is_ok(), "i32 or i64")?;
            let last = high.checked_sub(1).filter(|last| *last >= low);
            let last = last.ok_or_else(|| format!("there is no whole number from {low} on before {high}"))?;
            let holds = told.dtype == DType::I64 || i32::try_from(low).is_ok() && i32::try_from(last).is_ok();
            if !holds {
                return Err(format!("{} does not hold numbers from {low} to {last}", told.dtype));
            }
            of(filled(operands, told)?)
        }
        (Distribution::Gamma { samples }, [shapes]) => {
            floats("shapes", shapes)?;
            draws(told.dtype == shapes.dtype, "the dtype of its shapes")?;
            of(repeated(samples, &shapes.shape))
        }
        (Distribution::Poisson { samples }, [rates]) => {
            floats("rates", rates)?;
            let numbers = matches!(told.dtype, DType::F16 | DType::F32 | DType::F64 | DType::I32 | DType::I64);
            draws(numbers, "f16, f32, f64, i32 or i64")?;
            of(repeated(samples, &rates.shape))
        }
        (Distribution::Categorical { samples }, [logits]) => {
            floats("logits", logits)?;
            draws(index_dtype(told.dtype).is_ok(), "i32 or i64")?;
            let dims = of_rank("logits", &logits.shape, 2)?;
            if dims[1] == Dim::Known(0) {
                return Err(format!("logits {} have no classes", logits.shape));
            }
            of([dims[0], Dim::from(samples as usize)].into_iter().collect())
        }
        (Distribution::Permutation, [x]) => {
            draws(told.dtype == DType::I64, "i64")?;
            match x.shape.dims() {
                None => of([Dim::Unknown].into_iter().collect()),
                Some([first, ..]) => of([*first].into_iter().collect()),
                Some([]) => Err("a scalar has no first axis".to_owned()),
            }
        }
        (Distribution::DistortedBox { attempts, aspect_ratio, area, covered, .. }, [size, boxes]) => {
            draws(told.dtype == DType::I32, "i32")?;
            index_dtype(size.dtype).map_err(|_| format!("the image's size is i32 or i64, not {}", size.dtype))?;
            if of_rank("the image's size", &size.shape, 1)?[0].unify(Dim::Known(3)).is_none() {
                return Err(format!("the image's size is height, width and channels, not {}", size.shape));
            }
            let boxes_of_four = boxes.shape.rank() != Some(0) && boxes.shape.dim(-1).unify(Dim::Known(4)).is_some();
            if boxes.dtype != DType::F32 || !boxes_of_four {
                return Err(format!("boxes are [.., 4] of f32, not {} of {}", boxes.shape, boxes.dtype));
            }
            let parts = area.iter().all(|a| a.0 > 0.0 && a.0 <= 1.0) && covered.0 >= 0.0;
            let ratios = aspect_ratio.iter().all(|r| r.0 > 0.0 && r.0.is_finite());
            if attempts == 0 || !parts || !ratios {
                return Err("areas are parts of 1, ratios and attempts above 0".to_owned());
            }
            of([Dim::Known(4)].into_iter().collect())
        }
        (
            Distribution::Gamma { .. }
            | Distribution::Poisson { .. }
            | Distribution::Categorical { .. }
            | Distribution::Permutation
            | Distribution::DistortedBox { .. },
            _,
        ) => Err(format!("{} operands do not suit it", operands.len())),
    }
}

/// The shape of the one operand, or the one told, which must be known.
fn filled(operands: &[Fact], told: &Fact) -> Result<Shape, String> {
    match operands {
        [] if told.shape.to_dims().is_some() => Ok(told.shape.clone()),
        [like] => Ok(like.shape.clone()),
        _ => Err("its shape is not known".to_owned()),
    }
}
