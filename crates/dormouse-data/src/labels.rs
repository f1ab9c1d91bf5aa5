//! Class labels: from indices to one-hot rows, for the losses that take distributions.

use dormouse_value::Element;
use ndarray::{Array2, ArrayBase, Data, Ix1};

use crate::Error;
use crate::error::Kind;

/// Rows with a 1 at the class and 0 elsewhere: `[n] → [n, classes]`, from labels of any integer dtype.
///
/// ```
/// use ndarray::array;
/// let rows = dormouse_data::one_hot(&array![1_i64, 0], 3)?;
/// assert_eq!(rows, array![[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]]);
/// # Ok::<(), dormouse_data::Error>(())
/// ```
///
/// # Errors
/// When a label is not in `0..classes`.
pub fn one_hot<S>(labels: &ArrayBase<S, Ix1>, classes: usize) -> Result<Array2<f32>, Error>
where
    S: Data<Elem: Element + TryInto<usize>>,
{
    let rows = labels.len();
    let bytes = rows.checked_mul(classes).and_then(|n| n.checked_mul(size_of::<f32>()));
    // An array's bounds hold for its non-zero extents alone.
    if bytes.is_none_or(|n| isize::try_from(n).is_err()) || isize::try_from(classes).is_err() {
        return Err(Kind::Classes { rows, classes }.into());
    }
    // Checked first, so that a damaged label costs no memory.
    let class_of = |(row, &label): (usize, &S::Elem)| match label.try_into() {
        Ok(class) if class < classes => Ok(class),
        Ok(_) | Err(_) => Err(Kind::Label { label: label.to_string(), row, classes }),
    };
    let indices: Vec<usize> = labels.iter().enumerate().map(class_of).collect::<Result<_, _>>()?;
    let mut one_hot = Array2::zeros((rows, classes));
    for (row, class) in indices.into_iter().enumerate() {
        one_hot[[row, class]] = 1.0;
    }
    Ok(one_hot)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use ndarray::{Array1, array};

    use super::*;

    #[test]
    fn labels_outside_the_classes_are_named() {
        let error = one_hot(&array![0_u8, 3], 3).unwrap_err();
        assert_eq!(error.to_string(), "one_hot: label 3 at row 1 is not in 0..3");
        let error = one_hot(&array![-1_i32], 3).unwrap_err();
        assert_eq!(error.to_string(), "one_hot: label -1 at row 0 is not in 0..3");
    }

    #[test]
    fn no_size_panics() {
        assert_eq!(one_hot(&Array1::<i64>::zeros(0), 10).unwrap().dim(), (0, 10));
        assert!(one_hot(&Array1::<i64>::zeros(0), usize::MAX).is_err());
        assert!(one_hot(&array![0_i64, 0], usize::MAX).is_err());
        assert!(one_hot(&array![0_i64], 0).is_err());
    }
}
