//! The methods of `tests/fixtures/functions.txt`, which `tests/oracle/functions.py` writes.

use dormouse::prelude::*;

use crate::case::Case;

/// The results of a case's method; `None` where it is not one of these.
pub(crate) fn build(case: &Case, x: &[Tensor]) -> Option<Vec<Tensor>> {
    let a = &case.attributes;
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
        _ => return None,
    };
    Some(vec![result])
}
