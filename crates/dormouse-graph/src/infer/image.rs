//! Inference of images' operations.

use dormouse_value::{DType, Dim, Interpolation, Resize, Sampling, Shape};
use smallvec::smallvec;

use super::elementwise::floats;
use super::{Facts, of_rank, one, same_dtype, unified};
use crate::node::Fact;

pub(super) fn resize(resize: Resize, x: &Fact) -> Facts {
    if resize.interpolation != Interpolation::Nearest {
        floats(x)?;
    }
    if x.dtype == DType::Bool {
        return Err("takes images of numbers, not bool".to_owned());
    }
    one(Fact { dtype: x.dtype, shape: resized(resize, &x.shape)? })
}

/// The shape of resized images.
fn resized(resize: Resize, x: &Shape) -> Result<Shape, String> {
    let dims = of_rank("images", x, 4)?;
    let size = resize.size.map(|n| n as usize);
    if size.contains(&0) || dims[1..3].contains(&Dim::Known(0)) {
        return Err(format!("images {x} of size {size:?} have no cells"));
    }
    if resize.interpolation == Interpolation::Area && resize.sampling == Sampling::HalfPixel {
        return Err("areas lie corner by corner".to_owned());
    }
    Ok([dims[0], Dim::from(size[0]), Dim::from(size[1]), dims[3]].into_iter().collect())
}

pub(super) fn resize_grad(resize: Resize, dy: &Fact, like: &Fact) -> Facts {
    floats(dy)?;
    same_dtype(dy, like)?;
    unified("the gradient does not fit resized images", &resized(resize, &like.shape)?, &dy.shape)?;
    let dims = of_rank("images", &like.shape, 4)?;
    one(Fact { dtype: like.dtype, shape: dims.into_iter().collect() })
}

pub(super) fn suppress(size: u32, boxes: &Fact, scores: &Fact) -> Facts {
    floats(boxes)?;
    if boxes.dtype == DType::Bf16 {
        return Err("takes f16, f32 or f64, not bf16; cast them first".to_owned());
    }
    same_dtype(boxes, scores)?;
    let dims = of_rank("boxes", &boxes.shape, 2)?;
    let count = of_rank("scores", &scores.shape, 1)?[0];
    if dims[1].unify(Dim::Known(4)).is_none() || dims[0].unify(count).is_none() {
        return Err(format!("takes boxes [n, 4] and scores [n], not {} and {}", boxes.shape, scores.shape));
    }
    let of = |shape: Shape| Fact { dtype: DType::I32, shape };
    Ok(smallvec![of(Shape::known(&[size as usize])), of(Shape::scalar())])
}
