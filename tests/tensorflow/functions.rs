//! The methods of `tests/fixtures/functions.txt`, which `tests/oracle/functions.py` writes.

use dormouse::prelude::*;
use dormouse::train::{clip_by_average_norm, clip_by_global_norm_with, clip_by_norm, clip_by_norm_over, global_norm};

use crate::case::{Attributes, Case};
use crate::methods::axes;

/// Methods that need to know extents when they are called.
pub(crate) const EXTENTS_ASKED: &[&str] = &["triangular_solve_broadcast", "lstsq", "qr", "qr_r", "pinv", "matrix_rank"];

/// The results of a case's method; `None` where it is not one of these.
pub(crate) fn build(case: &Case, x: &[Tensor]) -> Option<Vec<Tensor>> {
    let a = &case.attributes;
    let n = || a.number("n");
    let result = match case.method {
        "asin" => x[0].asin(),
        "acos" => x[0].acos(),
        "atan" => x[0].atan(),
        "sinh" => x[0].sinh(),
        "cosh" => x[0].cosh(),
        "asinh" => x[0].asinh(),
        "acosh" => x[0].acosh(),
        "atanh" => x[0].atanh(),
        "erf" => x[0].erf(),
        "erfc" => x[0].erfc(),
        "lgamma" => x[0].lgamma(),
        "digamma" => x[0].digamma(),
        "erfinv" => x[0].erfinv(),
        "ndtri" => x[0].ndtri(),
        "bessel_i0" => x[0].bessel_i0(),
        "bessel_i0e" => x[0].bessel_i0e(),
        "bessel_i1" => x[0].bessel_i1(),
        "bessel_i1e" => x[0].bessel_i1e(),
        "igamma" => x[0].igamma(x[1]),
        "igammac" => x[0].igammac(x[1]),
        "random_gamma_grad" => x[0].random_gamma_grad(x[1]),
        "sqrt_where_positive" => x[0].greater(0.0).select(x[0].sqrt(), x[0].zeros_like()),
        "rsqrt_where_positive" => x[0].greater(0.0).select(x[0].rsqrt(), x[0].zeros_like()),
        "reciprocal_where_positive" => x[0].greater(0.0).select(x[0].reciprocal(), x[0].zeros_like()),
        "round" => x[0].round(),
        "random_gamma" => match x {
            [a] => a.random_gamma(&[a_of(case, "samples")], Some(a_of(case, "seed") as i64)),
            [a, b, ..] => a.random_gamma_of_rate(*b, &[a_of(case, "samples")], Some(a_of(case, "seed") as i64)),
            [] => return None,
        },
        "betainc" => x[0].betainc(x[1], x[2]),
        "betainc_of" => x[0].graph().constant(a.number::<f64>("a")).betainc(a.number::<f64>("b"), x[0]),
        "bitcast" => x[0].bitcast(a.dtype("to")),
        "matrix_exponential" => x[0].matrix_exponential(),
        "softsign" => x[0].softsign(),
        "relu6" => x[0].relu6(),
        "selu" => x[0].selu(),
        "invert" => x[0].invert(),
        "log_sigmoid" => x[0].log_sigmoid(),
        "leaky_relu" => x[0].leaky_relu(a.number("slope")),
        "gelu" => x[0].gelu(),
        "gelu_approximate" => x[0].gelu_approximate(),
        "swish" => x[0].swish(),
        "reciprocal_no_nan" => x[0].reciprocal_no_nan(),
        "crelu" => x[0].crelu(),
        "saturate_cast" => x[0].saturate_cast(a.dtype("to")),
        "is_nan" => x[0].is_nan(),
        "is_inf" => x[0].is_inf(),
        "is_finite" => x[0].is_finite(),

        "atan2" => x[0].atan2(x[1]),
        "truncate_div" => x[0].truncate_div(x[1]),
        "truncate_mod" => x[0].truncate_mod(x[1]),
        "bitwise_and" => x[0] & x[1],
        "bitwise_or" => x[0] | x[1],
        "bitwise_xor" => x[0] ^ x[1],
        "left_shift" => x[0].left_shift(x[1]),
        "right_shift" => x[0].right_shift(x[1]),
        "zeta" => x[0].zeta(x[1]),
        "zeta_of" => (x[0].ones_like() * a.number::<f64>("s")).zeta(x[0]),
        "polygamma" => x[0].polygamma(x[1]),
        "polygamma_of" => (x[0].ones_like() * a.number::<f64>("order")).polygamma(x[0]),
        "xlogy" => x[0].xlogy(x[1]),
        "xdivy" => x[0].xdivy(x[1]),
        "xlog1py" => x[0].xlog1py(x[1]),
        "div_no_nan" => x[0].div_no_nan(x[1]),
        "multiply_no_nan" => x[0].multiply_no_nan(x[1]),
        "approximate_equal" => x[0].approximate_equal(x[1], a.number("tolerance")),
        "polyval" => x[0].polyval(&x[1..]),
        "lbeta" => x[0].lbeta(),

        "unsorted_segment_sum" => x[0].unsorted_segment_sum(x[1], n()),
        "unsorted_segment_prod" => x[0].unsorted_segment_prod(x[1], n()),
        "unsorted_segment_max" => x[0].unsorted_segment_max(x[1], n()),
        "unsorted_segment_min" => x[0].unsorted_segment_min(x[1], n()),
        "unsorted_segment_mean" => x[0].unsorted_segment_mean(x[1], n()),
        "unsorted_segment_sqrt_n" => x[0].unsorted_segment_sqrt_n(x[1], n()),
        "segment_sum" => x[0].segment_sum(x[1], n()),
        "segment_prod" => x[0].segment_prod(x[1], n()),
        "segment_max" => x[0].segment_max(x[1], n()),
        "segment_min" => x[0].segment_min(x[1], n()),
        "segment_mean" => x[0].segment_mean(x[1], n()),
        "bincount" => x[0].bincount(a.number("length")),
        "bincount_weighted" => x[0].bincount_weighted(x[1], a.number("length")),
        "histogram_fixed_width" => x[0].histogram_fixed_width(a.number("low"), a.number("high"), a.number("bins")),
        "confusion_matrix" => x[0].confusion_matrix(x[1], a.number("classes")),
        "confusion_matrix_weighted" => x[0].confusion_matrix_weighted(x[1], x[2], a.number("classes")),

        "top_k" => {
            let (values, indices) = x[0].top_k(a.number("k"));
            return Some(vec![values, indices]);
        }
        "sort" => x[0].sort(a.number("axis"), direction(a)),
        "argsort" => x[0].argsort(a.number("axis"), direction(a)),
        "nth_element" => x[0].nth_element(n(), direction(a)),
        "in_top_k" => x[0].in_top_k(x[1], a.number("k")),
        "searchsorted" => {
            let side = if a.text("side") == Some("right") { Side::Right } else { Side::Left };
            x[0].searchsorted(x[1], side)
        }
        "argmax_as" => x[0].argmax_as(a.number("axis"), a.dtype("output")),
        "argmin_as" => x[0].argmin_as(a.number("axis"), a.dtype("output")),

        "logsumexp" => axes(a).map_or_else(|| x[0].logsumexp(), |axes| x[0].logsumexp_over(axes)),
        "variance" => axes(a).map_or_else(|| x[0].variance(), |axes| x[0].variance_over(axes)),
        "std" => axes(a).map_or_else(|| x[0].std(), |axes| x[0].std_over(axes)),
        "count_nonzero" => axes(a).map_or_else(|| x[0].count_nonzero(), |axes| x[0].count_nonzero_over(axes)),
        "zero_fraction" => x[0].zero_fraction(),
        "norm" => axes(a).map_or_else(|| x[0].norm_with(norm(a)), |axes| x[0].norm_over(norm(a), axes)),
        "matrix_norm" => x[0].matrix_norm(norm(a), a.number("rows"), a.number("columns")),
        "mean_of_moments" => x[0].moments(axes(a)?).0,
        "variance_of_moments" => x[0].moments(axes(a)?).1,
        "weighted_moments" => {
            let (mean, variance) = x[0].weighted_moments(axes(a)?, x[1]);
            return Some(vec![mean, variance]);
        }
        "normalized" | "normalized_shifted" => {
            let shift = x.get(1).copied();
            let (counts, sums, squares) = x[0].sufficient_statistics(0, shift);
            let (mean, variance) = normalize_moments(counts, sums, squares, shift);
            return Some(vec![mean, variance]);
        }
        "cumulative_logsumexp" => {
            let running = Running { exclusive: a.flag("exclusive"), reverse: a.flag("reverse") };
            x[0].cumulative_logsumexp(a.number("axis"), running)
        }
        "cross" => x[0].cross(x[1]),

        "cholesky" => x[0].cholesky(),
        "cholesky_solve" => x[0].cholesky_solve(x[1]),
        "triangular_solve" => {
            x[0].triangular_solve(x[1], Triangle { lower: a.flag("lower"), adjoint: a.flag("adjoint") })
        }
        "triangular_solve_broadcast" => x[0].triangular_solve(x[1], Triangle::default()),
        "matrix_solve" => x[0].matrix_solve(x[1]),
        "matrix_solve_adjoint" => x[0].matrix_solve_adjoint(x[1]),
        "matrix_inverse" => x[0].matrix_inverse(),
        "determinant" => x[0].determinant(),
        "slogdet" => {
            let (sign, log) = x[0].slogdet();
            return Some(vec![sign, log]);
        }
        "log_of_slogdet" => x[0].slogdet().1,
        "logdet" => x[0].logdet(),
        "qr" => {
            let (q, r) = x[0].qr();
            return Some(vec![q, r]);
        }
        "qr_full" => {
            let (q, r) = x[0].qr_full();
            return Some(vec![q, r]);
        }
        "qr_r" => x[0].qr().1,
        "singular_values" => x[0].singular_values(),
        "svd_full_values" => x[0].svd_full().0,
        "polar" => {
            let (_, u, v) = x[0].svd();
            u.matmul_with(v, MatMul { transpose_a: false, transpose_b: true })
        }
        "self_adjoint_eigvals" => x[0].self_adjoint_eigvals(),
        "eig_of" => {
            let (e, v) = x[0].self_adjoint_eig();
            (v * e.sin().expand_dims(-2)).matmul_with(v, MatMul { transpose_a: false, transpose_b: true })
        }
        "pinv" => x[0].pinv(),
        "matrix_rank" => x[0].matrix_rank(),
        "lstsq" => x[0].lstsq(x[1], a.number("l2")),

        "clip_by_norm" => match a.text("axes") {
            Some(_) => clip_by_norm_over(x[0], a.number("limit"), a.list::<i32>("axes")),
            None => clip_by_norm(x[0], a.number("limit")),
        },
        "clip_by_average_norm" => clip_by_average_norm(x[0], a.number("limit")),
        "clip_by_global_norm" => {
            return Some(match a.text("norm") {
                Some(_) => {
                    clip_by_global_norm_with(x, a.number("limit"), x[0].graph().constant(a.number::<f32>("norm")))
                }
                None => clip_by_global_norm(x, a.number("limit")).0,
            });
        }
        "global_norm" => global_norm(x)?,
        _ => return None,
    };
    Some(vec![result])
}

fn a_of(case: &Case, key: &str) -> usize {
    case.attributes.number(key)
}

fn direction(a: &Attributes) -> Direction {
    if a.flag("down") { Direction::Descending } else { Direction::Ascending }
}

fn norm(a: &Attributes) -> Norm {
    match a.text("kind") {
        Some("euclidean") => Norm::Euclidean,
        Some("one") => Norm::One,
        Some("infinity") => Norm::Infinity,
        _ => Norm::Power(a.number("kind")),
    }
}
