//! Names: TensorFlow's rule of making them unique, the name that each operation's nodes get, and what mistakes call it.

use std::collections::hash_map::Entry;
use std::hash::{Hash, Hasher};

use dormouse_value::{
    BinaryOp, CompareOp, CumulativeOp, DynamicOp, Interpolation, LogicalOp, Op, PoolOp, ReduceOp, ScatterOp, SegmentOp,
    UnaryOp,
};
use rustc_hash::{FxHashMap, FxHasher};

/// The names in use, ignoring case, each with the number of times it was asked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Names {
    /// All names in lower case, one behind the other.
    text: String,
    /// By the hash of a name, so that a table that grows does not have to read all names again.
    by_hash: FxHashMap<u64, Used>,
    /// Those whose hash is another name's.
    others: FxHashMap<Box<str>, u32>,
    /// The name that is looked for.
    key: String,
}

/// A name in use.
#[derive(Clone, Copy, Debug)]
struct Used {
    /// Where in the text it begins.
    start: usize,
    length: u32,
    count: u32,
}

impl Names {
    /// `wanted` itself where nobody has it, else `wanted_1`, `wanted_2`, …
    pub(crate) fn unique(&mut self, wanted: &str) -> String {
        match self.number(wanted) {
            None => wanted.to_owned(),
            Some(number) => format!("{wanted}_{number}"),
        }
    }

    /// Takes a name, with a number behind it where it is in use: the first that is free.
    pub(crate) fn number(&mut self, wanted: &str) -> Option<u32> {
        let mut key = self.lowered(wanted);
        let number = self.add(&key).map(|count| {
            *count += 1;
            *count - 1
        });
        let number = number.map(|mut number| {
            let length = key.len();
            loop {
                key.truncate(length);
                key.extend(["_", &number.to_string()]);
                if self.add(&key).is_none() {
                    break number;
                }
                number += 1;
            }
        });
        self.key = key;
        number
    }

    /// A name in lower case, in memory that is given back for the next.
    fn lowered(&mut self, name: &str) -> String {
        let mut key = std::mem::take(&mut self.key);
        key.clear();
        if name.is_ascii() {
            key.push_str(name);
            key.make_ascii_lowercase();
        } else {
            key.push_str(&name.to_lowercase());
        }
        key
    }

    fn is(text: &str, used: Used, key: &str) -> bool {
        text.get(used.start..used.start + used.length as usize) == Some(key)
    }

    /// Takes a name, asked for once; of one in use, how often that was.
    fn add(&mut self, key: &str) -> Option<&mut u32> {
        match (self.by_hash.entry(hash(key)), u32::try_from(key.len())) {
            (Entry::Vacant(free), Ok(length)) if !self.others.contains_key(key) => {
                free.insert(Used { start: self.text.len(), length, count: 1 });
                self.text.push_str(key);
                None
            }
            (Entry::Occupied(used), _) if Self::is(&self.text, *used.get(), key) => Some(&mut used.into_mut().count),
            (Entry::Vacant(_) | Entry::Occupied(_), _) => match self.others.entry(key.into()) {
                Entry::Vacant(free) => {
                    free.insert(1);
                    None
                }
                Entry::Occupied(used) => Some(used.into_mut()),
            },
        }
    }

    fn count(&mut self, key: &str) -> Option<&mut u32> {
        match self.by_hash.get_mut(&hash(key)) {
            Some(used) if Self::is(&self.text, *used, key) => Some(&mut used.count),
            Some(_) | None => self.others.get_mut(key),
        }
    }

    /// Marks a name as used, as a loaded node's is.
    pub(crate) fn claim(&mut self, name: &str) {
        let key = self.lowered(name);
        if let Some(count) = self.add(&key) {
            *count += 1;
        }
        self.key = key;
    }

    /// Gives back the name that [`Names::unique`] made last, for `wanted`.
    pub(crate) fn give_back(&mut self, name: &str) {
        let key = self.lowered(name);
        if self.count(&key) == Some(&mut 1) {
            match self.by_hash.entry(hash(&key)) {
                Entry::Occupied(own) if Self::is(&self.text, *own.get(), &key) => {
                    let Used { start, length, .. } = own.remove();
                    if start + length as usize == self.text.len() {
                        self.text.truncate(start);
                    }
                }
                Entry::Occupied(_) | Entry::Vacant(_) => _ = self.others.remove(key.as_str()),
            }
        }
        if let Some((base, number)) = key.rsplit_once('_')
            && let Ok(number) = number.parse::<u32>()
            && let Some(count) = self.count(base)
            && *count == number + 1
        {
            *count = number;
        }
        self.key = key;
    }
}

fn hash(key: &str) -> u64 {
    let mut hasher = FxHasher::default();
    key.hash(&mut hasher);
    hasher.finish()
}

/// Whether TensorFlow takes the name for a node: a letter, digit, dot or underscore first, then also `-`, `/`, `>`, `\`.
pub(crate) fn is_valid(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_alphanumeric() || b == b'.' || b == b'_')
        && bytes.all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-' | b'/' | b'>' | b'\\'))
}

/// The name that a node of this operation gets, as TensorFlow's Python functions give it.
pub(crate) fn of_op(op: &Op) -> &'static str {
    match op {
        Op::Identity => "Identity",
        Op::StopGradient => "StopGradient",
        Op::EnsureShape { .. } => "EnsureShape",
        Op::CheckNumerics { .. } => "CheckNumerics",
        Op::Unary(op) => match op {
            UnaryOp::Neg => "Neg",
            UnaryOp::Abs => "Abs",
            UnaryOp::Sign => "Sign",
            UnaryOp::Square => "Square",
            UnaryOp::Sqrt => "Sqrt",
            UnaryOp::Rsqrt => "Rsqrt",
            UnaryOp::Reciprocal => "Reciprocal",
            UnaryOp::Exp => "Exp",
            UnaryOp::Expm1 => "Expm1",
            UnaryOp::Log => "Log",
            UnaryOp::Log1p => "Log1p",
            UnaryOp::Sin => "Sin",
            UnaryOp::Cos => "Cos",
            UnaryOp::Tan => "Tan",
            UnaryOp::Tanh => "Tanh",
            UnaryOp::Sigmoid => "Sigmoid",
            UnaryOp::Softplus => "Softplus",
            UnaryOp::Relu => "Relu",
            UnaryOp::Elu => "Elu",
            UnaryOp::Floor => "Floor",
            UnaryOp::Ceil => "Ceil",
            UnaryOp::Round => "Round",
            UnaryOp::LogicalNot => "LogicalNot",
            UnaryOp::Asin => "Asin",
            UnaryOp::Acos => "Acos",
            UnaryOp::Atan => "Atan",
            UnaryOp::Sinh => "Sinh",
            UnaryOp::Cosh => "Cosh",
            UnaryOp::Asinh => "Asinh",
            UnaryOp::Acosh => "Acosh",
            UnaryOp::Atanh => "Atanh",
            UnaryOp::Erf => "Erf",
            UnaryOp::Erfc => "Erfc",
            UnaryOp::Lgamma => "Lgamma",
            UnaryOp::Digamma => "Digamma",
            UnaryOp::Softsign => "Softsign",
            UnaryOp::Relu6 => "Relu6",
            UnaryOp::Selu => "Selu",
            UnaryOp::Erfinv => "Erfinv",
            UnaryOp::Ndtri => "Ndtri",
            UnaryOp::Swish => "swish",
            UnaryOp::Gelu => "Gelu",
            UnaryOp::BesselI0 => "BesselI0",
            UnaryOp::BesselI0e => "BesselI0e",
            UnaryOp::BesselI1 => "BesselI1",
            UnaryOp::BesselI1e => "BesselI1e",
            UnaryOp::Invert => "Invert",
        },
        Op::Binary(op) => match op {
            BinaryOp::Add => "add",
            BinaryOp::Sub => "sub",
            BinaryOp::Mul => "mul",
            BinaryOp::Div => "truediv",
            BinaryOp::FloorDiv => "floordiv",
            BinaryOp::FloorMod => "FloorMod",
            BinaryOp::Pow => "pow",
            BinaryOp::Maximum => "Maximum",
            BinaryOp::Minimum => "Minimum",
            BinaryOp::SquaredDifference => "SquaredDifference",
            BinaryOp::ReluGrad => "ReluGrad",
            BinaryOp::Atan2 => "Atan2",
            BinaryOp::TruncateDiv => "TruncateDiv",
            BinaryOp::TruncateMod => "TruncateMod",
            BinaryOp::BitwiseAnd => "BitwiseAnd",
            BinaryOp::BitwiseOr => "BitwiseOr",
            BinaryOp::BitwiseXor => "BitwiseXor",
            BinaryOp::LeftShift => "LeftShift",
            BinaryOp::RightShift => "RightShift",
            BinaryOp::Zeta => "Zeta",
            BinaryOp::Polygamma => "Polygamma",
            BinaryOp::Igamma => "Igamma",
            BinaryOp::Igammac => "Igammac",
            BinaryOp::IgammaGradA => "IgammaGradA",
            BinaryOp::RandomGammaGrad => "RandomGammaGrad",
        },
        Op::Compare(op) => match op {
            CompareOp::Equal => "Equal",
            CompareOp::NotEqual => "NotEqual",
            CompareOp::Less => "Less",
            CompareOp::LessEqual => "LessEqual",
            CompareOp::Greater => "Greater",
            CompareOp::GreaterEqual => "GreaterEqual",
        },
        Op::Logical(op) => match op {
            LogicalOp::And => "LogicalAnd",
            LogicalOp::Or => "LogicalOr",
            LogicalOp::Xor => "LogicalXor",
        },
        Op::Select => "Select",
        Op::Cast { .. } => "Cast",
        Op::AddN => "AddN",
        Op::Reduce { op, .. } => match op {
            ReduceOp::Sum => "Sum",
            ReduceOp::Mean => "Mean",
            ReduceOp::Prod => "Prod",
            ReduceOp::Max => "Max",
            ReduceOp::Min => "Min",
            ReduceOp::Any => "Any",
            ReduceOp::All => "All",
        },
        Op::ArgMax { .. } => "ArgMax",
        Op::ArgMin { .. } => "ArgMin",
        Op::Cumulative { op: CumulativeOp::Sum, .. } => "Cumsum",
        Op::Cumulative { op: CumulativeOp::Prod, .. } => "Cumprod",
        Op::Cumulative { op: CumulativeOp::LogSumExp, .. } => "CumulativeLogsumexp",
        Op::MatMul { .. } => "MatMul",
        Op::Reshape { .. } | Op::ReshapeLike | Op::Regroup { .. } => "Reshape",
        Op::ExpandDims { .. } => "ExpandDims",
        Op::Squeeze { .. } => "Squeeze",
        Op::Transpose { .. } => "transpose",
        Op::Concat { .. } => "concat",
        Op::ConcatGrad { .. } => "ConcatGrad",
        Op::Slice { .. } | Op::SliceLike { .. } => "Slice",
        Op::SliceGrad { .. } => "SliceGrad",
        Op::Pad { .. } => "Pad",
        Op::Tile { .. } => "Tile",
        Op::TileGrad { .. } => "TileGrad",
        Op::Gather { .. } => "GatherV2",
        Op::GatherGrad { .. } => "GatherGrad",
        Op::OneHot { .. } => "one_hot",
        Op::BroadcastTo { .. } | Op::BroadcastLike => "BroadcastTo",
        Op::SumLike => "SumLike",
        Op::ShapeOf { .. } => "Shape",
        Op::SizeOf { .. } => "Size",
        Op::Softmax { .. } => "Softmax",
        Op::LogSoftmax { .. } => "LogSoftmax",
        Op::SoftmaxCrossEntropy => "softmax_cross_entropy_with_logits",
        Op::SparseSoftmaxCrossEntropy => "SparseSoftmaxCrossEntropyWithLogits",
        Op::L2Loss => "L2Loss",
        Op::Conv2d(_) => "Conv2D",
        Op::Conv2dInputGrad(_) => "Conv2DBackpropInput",
        Op::Conv2dFilterGrad(_) => "Conv2DBackpropFilter",
        Op::Pool2d { op: PoolOp::Max, .. } => "MaxPool",
        Op::Pool2d { op: PoolOp::Average, .. } => "AvgPool",
        Op::MaxPoolGrad { .. } => "MaxPoolGrad",
        Op::MaxPoolGradGrad { .. } => "MaxPoolGradGrad",
        Op::AveragePoolGrad { .. } => "AvgPoolGrad",
        Op::StridedSlice { .. } => "strided_slice",
        Op::StridedSliceGrad { .. } => "StridedSliceGrad",
        Op::GatherNd { .. } => "GatherNd",
        Op::ScatterNd { op: ScatterOp::Update, .. } => "TensorScatterUpdate",
        Op::ScatterNd { op: ScatterOp::Add, .. } => "TensorScatterAdd",
        Op::ScatterNd { op: ScatterOp::Sub, .. } => "TensorScatterSub",
        Op::ScatterNd { op: ScatterOp::Mul, .. } => "TensorScatterMul",
        Op::ScatterNd { op: ScatterOp::Div, .. } => "TensorScatterDiv",
        Op::ScatterNd { op: ScatterOp::Max, .. } => "TensorScatterMax",
        Op::ScatterNd { op: ScatterOp::Min, .. } => "TensorScatterMin",
        Op::Iota { .. } => "range",
        Op::Segment { op, sorted: false, .. } => match op {
            SegmentOp::Sum => "UnsortedSegmentSum",
            SegmentOp::Prod => "UnsortedSegmentProd",
            SegmentOp::Max => "UnsortedSegmentMax",
            SegmentOp::Min => "UnsortedSegmentMin",
        },
        Op::Segment { op, sorted: true, .. } => match op {
            SegmentOp::Sum => "SegmentSum",
            SegmentOp::Prod => "SegmentProd",
            SegmentOp::Max => "SegmentMax",
            SegmentOp::Min => "SegmentMin",
        },
        Op::SegmentSpread { .. } => "SegmentSpread",
        Op::TopK { .. } => "TopKV2",
        Op::Pick => "Pick",
        Op::PickGrad => "PickGrad",
        Op::SearchSorted { right: false, .. } => "LowerBound",
        Op::SearchSorted { right: true, .. } => "UpperBound",
        Op::DepthwiseConv2d(_) => "DepthwiseConv2dNative",
        Op::DepthwiseConv2dInputGrad(_) => "DepthwiseConv2dNativeBackpropInput",
        Op::DepthwiseConv2dFilterGrad(_) => "DepthwiseConv2dNativeBackpropFilter",
        Op::Conv3d(_) => "Conv3D",
        Op::Conv3dInputGrad(_) => "Conv3DBackpropInputV2",
        Op::Conv3dFilterGrad(_) => "Conv3DBackpropFilterV2",
        Op::Cholesky => "Cholesky",
        Op::TriangularSolve { .. } => "MatrixTriangularSolve",
        Op::MatrixSolve { .. } => "MatrixSolve",
        Op::MatrixInverse { .. } => "MatrixInverse",
        Op::Determinant => "MatrixDeterminant",
        Op::LogDeterminant => "LogMatrixDeterminant",
        Op::ResizeImages(resize) => match resize.interpolation {
            Interpolation::Nearest => "ResizeNearestNeighbor",
            Interpolation::Bilinear => "ResizeBilinear",
            Interpolation::Bicubic => "ResizeBicubic",
            Interpolation::Area => "ResizeArea",
        },
        Op::ResizeImagesGrad(resize) => match resize.interpolation {
            Interpolation::Nearest => "ResizeNearestNeighborGrad",
            Interpolation::Bilinear => "ResizeBilinearGrad",
            Interpolation::Bicubic => "ResizeBicubicGrad",
            Interpolation::Area => "ResizeAreaGrad",
        },
        Op::NonMaxSuppression { .. } => "NonMaxSuppressionV4",
        Op::Qr { .. } => "Qr",
        Op::SelfAdjointEig => "SelfAdjointEigV2",
        Op::Svd { .. } => "Svd",
        Op::Betainc => "Betainc",
        Op::Bitcast { .. } => "Bitcast",
        Op::MatrixExponential => "matrix_exponential",
    }
}

/// The name of the method or function that makes this operation: what mistakes call it.
pub(crate) fn called(op: &Op) -> &'static str {
    match op {
        Op::Identity => "identity",
        Op::StopGradient => "stop_gradient",
        Op::EnsureShape { .. } => "ensure_shape",
        Op::CheckNumerics { .. } => "check_numerics",
        Op::Unary(op) => match op {
            UnaryOp::Neg => "neg",
            UnaryOp::Abs => "abs",
            UnaryOp::Sign => "sign",
            UnaryOp::Square => "square",
            UnaryOp::Sqrt => "sqrt",
            UnaryOp::Rsqrt => "rsqrt",
            UnaryOp::Reciprocal => "reciprocal",
            UnaryOp::Exp => "exp",
            UnaryOp::Expm1 => "expm1",
            UnaryOp::Log => "log",
            UnaryOp::Log1p => "log1p",
            UnaryOp::Sin => "sin",
            UnaryOp::Cos => "cos",
            UnaryOp::Tan => "tan",
            UnaryOp::Tanh => "tanh",
            UnaryOp::Sigmoid => "sigmoid",
            UnaryOp::Softplus => "softplus",
            UnaryOp::Relu => "relu",
            UnaryOp::Elu => "elu",
            UnaryOp::Floor => "floor",
            UnaryOp::Ceil => "ceil",
            UnaryOp::Round => "round",
            UnaryOp::LogicalNot => "logical_not",
            UnaryOp::Asin => "asin",
            UnaryOp::Acos => "acos",
            UnaryOp::Atan => "atan",
            UnaryOp::Sinh => "sinh",
            UnaryOp::Cosh => "cosh",
            UnaryOp::Asinh => "asinh",
            UnaryOp::Acosh => "acosh",
            UnaryOp::Atanh => "atanh",
            UnaryOp::Erf => "erf",
            UnaryOp::Erfc => "erfc",
            UnaryOp::Lgamma => "lgamma",
            UnaryOp::Digamma => "digamma",
            UnaryOp::Softsign => "softsign",
            UnaryOp::Relu6 => "relu6",
            UnaryOp::Selu => "selu",
            UnaryOp::Erfinv => "erfinv",
            UnaryOp::Ndtri => "ndtri",
            UnaryOp::Swish => "swish",
            UnaryOp::Gelu => "gelu",
            UnaryOp::BesselI0 => "bessel_i0",
            UnaryOp::BesselI0e => "bessel_i0e",
            UnaryOp::BesselI1 => "bessel_i1",
            UnaryOp::BesselI1e => "bessel_i1e",
            UnaryOp::Invert => "invert",
        },
        Op::Binary(op) => match op {
            BinaryOp::Add => "add",
            BinaryOp::Sub => "sub",
            BinaryOp::Mul => "mul",
            BinaryOp::Div => "div",
            BinaryOp::FloorDiv => "floor_div",
            BinaryOp::FloorMod => "floor_mod",
            BinaryOp::Pow => "pow",
            BinaryOp::Maximum => "maximum",
            BinaryOp::Minimum => "minimum",
            BinaryOp::SquaredDifference => "squared_difference",
            BinaryOp::ReluGrad => "relu_grad",
            BinaryOp::Atan2 => "atan2",
            BinaryOp::TruncateDiv => "truncate_div",
            BinaryOp::TruncateMod => "truncate_mod",
            BinaryOp::BitwiseAnd => "bitwise_and",
            BinaryOp::BitwiseOr => "bitwise_or",
            BinaryOp::BitwiseXor => "bitwise_xor",
            BinaryOp::LeftShift => "left_shift",
            BinaryOp::RightShift => "right_shift",
            BinaryOp::Zeta => "zeta",
            BinaryOp::Polygamma => "polygamma",
            BinaryOp::Igamma => "igamma",
            BinaryOp::Igammac => "igammac",
            BinaryOp::IgammaGradA => "igamma_grad_a",
            BinaryOp::RandomGammaGrad => "random_gamma_grad",
        },
        Op::Compare(op) => match op {
            CompareOp::Equal => "equal",
            CompareOp::NotEqual => "not_equal",
            CompareOp::Less => "less",
            CompareOp::LessEqual => "less_equal",
            CompareOp::Greater => "greater",
            CompareOp::GreaterEqual => "greater_equal",
        },
        Op::Logical(op) => match op {
            LogicalOp::And => "logical_and",
            LogicalOp::Or => "logical_or",
            LogicalOp::Xor => "logical_xor",
        },
        Op::Select => "select",
        Op::Cast { .. } => "cast",
        Op::AddN => "add_n",
        Op::Reduce { op, .. } => match op {
            ReduceOp::Sum => "sum",
            ReduceOp::Mean => "mean",
            ReduceOp::Prod => "prod",
            ReduceOp::Max => "max",
            ReduceOp::Min => "min",
            ReduceOp::Any => "any",
            ReduceOp::All => "all",
        },
        Op::ArgMax { .. } => "argmax",
        Op::ArgMin { .. } => "argmin",
        Op::Cumulative { op: CumulativeOp::Sum, .. } => "cumsum",
        Op::Cumulative { op: CumulativeOp::Prod, .. } => "cumprod",
        Op::Cumulative { op: CumulativeOp::LogSumExp, .. } => "cumulative_logsumexp",
        Op::MatMul { .. } => "matmul",
        Op::Reshape { .. } | Op::Regroup { .. } => "reshape",
        Op::ReshapeLike => "reshape_like",
        Op::ExpandDims { .. } => "expand_dims",
        Op::Squeeze { .. } => "squeeze",
        Op::Transpose { .. } => "transpose",
        Op::Concat { .. } => "concat",
        Op::ConcatGrad { .. } => "concat_grad",
        Op::Slice { .. } => "slice",
        Op::SliceLike { .. } => "slice_like",
        Op::SliceGrad { .. } => "slice_grad",
        Op::Pad { .. } => "pad",
        Op::Tile { .. } => "tile",
        Op::TileGrad { .. } => "tile_grad",
        Op::Gather { .. } => "gather",
        Op::GatherGrad { .. } => "gather_grad",
        Op::OneHot { .. } => "one_hot",
        Op::BroadcastTo { .. } => "broadcast_to",
        Op::BroadcastLike => "broadcast_like",
        Op::SumLike => "sum_like",
        Op::ShapeOf { .. } => "shape_of",
        Op::SizeOf { .. } => "size_of",
        Op::Softmax { .. } => "softmax",
        Op::LogSoftmax { .. } => "log_softmax",
        Op::SoftmaxCrossEntropy => "softmax_cross_entropy",
        Op::SparseSoftmaxCrossEntropy => "sparse_softmax_cross_entropy",
        Op::L2Loss => "l2_loss",
        Op::Conv2d(_) => "conv2d",
        Op::Conv2dInputGrad(_) => "conv2d_input_grad",
        Op::Conv2dFilterGrad(_) => "conv2d_filter_grad",
        Op::Pool2d { op: PoolOp::Max, .. } => "max_pool",
        Op::Pool2d { op: PoolOp::Average, .. } => "avg_pool",
        Op::MaxPoolGrad { .. } => "max_pool_grad",
        Op::MaxPoolGradGrad { .. } => "max_pool_grad_grad",
        Op::AveragePoolGrad { .. } => "avg_pool_grad",
        Op::StridedSlice { .. } => "strided_slice",
        Op::StridedSliceGrad { .. } => "strided_slice_grad",
        Op::GatherNd { .. } => "gather_nd",
        Op::ScatterNd { op: ScatterOp::Update, .. } => "scatter_nd_update",
        Op::ScatterNd { op: ScatterOp::Add, .. } => "scatter_nd_add",
        Op::ScatterNd { op: ScatterOp::Sub, .. } => "scatter_nd_sub",
        Op::ScatterNd { op: ScatterOp::Mul, .. } => "scatter_nd_mul",
        Op::ScatterNd { op: ScatterOp::Div, .. } => "scatter_nd_div",
        Op::ScatterNd { op: ScatterOp::Max, .. } => "scatter_nd_max",
        Op::ScatterNd { op: ScatterOp::Min, .. } => "scatter_nd_min",
        Op::Iota { .. } => "iota",
        Op::Segment { op, sorted: false, .. } => match op {
            SegmentOp::Sum => "unsorted_segment_sum",
            SegmentOp::Prod => "unsorted_segment_prod",
            SegmentOp::Max => "unsorted_segment_max",
            SegmentOp::Min => "unsorted_segment_min",
        },
        Op::Segment { op, sorted: true, .. } => match op {
            SegmentOp::Sum => "segment_sum",
            SegmentOp::Prod => "segment_prod",
            SegmentOp::Max => "segment_max",
            SegmentOp::Min => "segment_min",
        },
        Op::SegmentSpread { .. } => "segment_spread",
        Op::TopK { .. } => "top_k",
        Op::Pick => "pick",
        Op::PickGrad => "pick_grad",
        Op::SearchSorted { .. } => "searchsorted",
        Op::DepthwiseConv2d(_) => "depthwise_conv2d",
        Op::DepthwiseConv2dInputGrad(_) => "depthwise_conv2d_input_grad",
        Op::DepthwiseConv2dFilterGrad(_) => "depthwise_conv2d_filter_grad",
        Op::Conv3d(_) => "conv3d",
        Op::Conv3dInputGrad(_) => "conv3d_input_grad",
        Op::Conv3dFilterGrad(_) => "conv3d_filter_grad",
        Op::Cholesky => "cholesky",
        Op::TriangularSolve { .. } => "triangular_solve",
        Op::MatrixSolve { .. } => "matrix_solve",
        Op::MatrixInverse { .. } => "matrix_inverse",
        Op::Determinant => "determinant",
        Op::LogDeterminant => "slogdet",
        Op::ResizeImages(_) => "resize_images",
        Op::ResizeImagesGrad(_) => "resize_images_grad",
        Op::NonMaxSuppression { .. } => "non_max_suppression",
        Op::Qr { .. } => "qr",
        Op::SelfAdjointEig => "self_adjoint_eig",
        Op::Svd { .. } => "svd",
        Op::Betainc => "betainc",
        Op::Bitcast { .. } => "bitcast",
        Op::MatrixExponential => "matrix_exponential",
    }
}

/// The name that a node of this operation gets.
pub(crate) fn of_dynamic(op: &DynamicOp) -> &'static str {
    match op {
        DynamicOp::NonZero => "Where",
        DynamicOp::Unique { .. } => "UniqueWithCounts",
        DynamicOp::Reshape => "Reshape",
        DynamicOp::BroadcastTo => "BroadcastTo",
        DynamicOp::Tile => "Tile",
        DynamicOp::TileGrad => "TileGrad",
        DynamicOp::Slice => "Slice",
        DynamicOp::SliceGrad => "SliceGrad",
        DynamicOp::Range => "range",
        DynamicOp::Segment { op, sorted } => of_op(&Op::Segment { op: *op, segments: 0, sorted: *sorted }),
        DynamicOp::SegmentSpread => of_op(&Op::SegmentSpread { segments: 0 }),
    }
}

/// What mistakes call it.
pub(crate) fn called_dynamic(op: &DynamicOp) -> &'static str {
    match op {
        DynamicOp::NonZero => "nonzero",
        DynamicOp::Unique { .. } => "unique",
        DynamicOp::Reshape => "reshape_to",
        DynamicOp::BroadcastTo => "broadcast_to_shape",
        DynamicOp::Tile => "tile_by",
        DynamicOp::TileGrad => "tile_grad",
        DynamicOp::Slice => "slice_at",
        DynamicOp::SliceGrad => "slice_grad",
        DynamicOp::Range => "range_of",
        DynamicOp::Segment { op, sorted } => called(&Op::Segment { op: *op, segments: 0, sorted: *sorted }),
        DynamicOp::SegmentSpread => called(&Op::SegmentSpread { segments: 0 }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_ignoring_case() {
        let mut names = Names::default();
        assert_eq!(["add", "Add", "ADD", "add_1"].map(|n| names.unique(n)), ["add", "Add_1", "ADD_2", "add_1_1"]);
    }

    #[test]
    fn a_name_given_back_is_free_again() {
        let mut names = Names::default();
        names.unique("mul");
        let second = names.unique("mul");
        names.give_back(&second);
        assert_eq!(names.unique("mul"), "mul_1");
        let first = names.unique("w");
        names.give_back(&first);
        assert_eq!(names.unique("w"), "w");
    }

    #[test]
    fn names_of_one_hash_are_kept_apart() {
        let mut names = Names::default();
        names.unique("a");
        let a = names.by_hash[&hash("a")];
        names.by_hash.insert(hash("b"), a);
        assert_eq!(["b", "B", "b"].map(|n| names.unique(n)), ["b", "B_1", "b_2"]);
        names.give_back("b_2");
        assert_eq!(names.unique("b"), "b_2");
        names.by_hash.clear();
        assert_eq!(names.unique("b"), "b_3");
    }

    #[test]
    fn scope_names_that_files_could_not_hold_are_refused() {
        assert!(is_valid("layer1/w_1.x-y") && is_valid(".a") && is_valid("9"));
        assert!(!is_valid("") && !is_valid("a b") && !is_valid("/a") && !is_valid("a:0"));
    }
}
