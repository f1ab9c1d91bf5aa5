//! The bytes of one exemplar of everything that files store by index: a variant that moves, or that has no exemplar,
//! fails here. New variants get a new line at the end of their list; no line ever changes.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::fmt::{Debug, Write as _};

use dormouse_graph::{Fact, Member, NodeId, Output, Seeds, VariableId, Write};
use dormouse_value::{
    BinaryOp, CompareOp, CumulativeOp, DType, Dim, Distribution, DynamicOp, Interpolation, LogicalOp, Op, Padding,
    Part, PoolOp, Real, ReduceOp, Resize, Sampling, ScatterOp, SegmentOp, Shape, UnaryOp, Window2d, Window3d, shape,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use smallvec::smallvec;

use super::{Records, write};

fn hex<T: Serialize>(record: &T) -> String {
    let mut bytes = Vec::new();
    write(record, &mut bytes).unwrap();
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn check<T: Serialize + DeserializeOwned + Debug + PartialEq>(exemplars: Vec<(T, &str)>) {
    for (index, (exemplar, expected)) in exemplars.into_iter().enumerate() {
        assert_eq!(hex(&exemplar), expected, "{exemplar:?}");
        assert!(expected.starts_with(&hex(&(index as u32))), "{exemplar:?} is not in the order of the enum");
        let bytes: Vec<u8> =
            (0..expected.len()).step_by(2).map(|i| u8::from_str_radix(&expected[i..i + 2], 16).unwrap()).collect();
        let mut records = Records::new(&bytes);
        assert_eq!(records.next::<T>().unwrap(), exemplar);
        records.finish().unwrap();
    }
}

/// One exemplar for each variant. The match makes the list whole: a variant without a line does not compile.
macro_rules! exemplars {
    ($test:ident: $type:ident { $($variant:ident $(($($value:expr),+))? $({ $($fields:tt)+ })? = $hex:literal,)+ }) => {
        #[test]
        fn $test() {
            let _ = |variant: &$type| match variant { $($type::$variant { .. } => (),)+ };
            check(vec![$(($type::$variant $(($($value),+))? $({ $($fields)+ })?, $hex),)+]);
        }
    };
}

exemplars!(dtypes: DType {
    F32 = "00", F64 = "01", I32 = "02", I64 = "03", U8 = "04", Bool = "05", F16 = "06", Bf16 = "07", I8 = "08", I16 = "09",
    U16 = "0a", U32 = "0b", U64 = "0c",
});

exemplars!(unary: UnaryOp {
    Neg = "00", Abs = "01", Sign = "02", Square = "03", Sqrt = "04", Rsqrt = "05", Reciprocal = "06", Exp = "07",
    Expm1 = "08", Log = "09", Log1p = "0a", Sin = "0b", Cos = "0c", Tan = "0d", Tanh = "0e", Sigmoid = "0f",
    Softplus = "10", Relu = "11", Elu = "12", Floor = "13", Ceil = "14", Round = "15", LogicalNot = "16",
    Asin = "17", Acos = "18", Atan = "19", Sinh = "1a", Cosh = "1b", Asinh = "1c", Acosh = "1d",
    Atanh = "1e", Erf = "1f", Erfc = "20", Lgamma = "21", Digamma = "22", Softsign = "23", Relu6 = "24",
    Selu = "25", Invert = "26", Erfinv = "27", Ndtri = "28", Swish = "29", Gelu = "2a", BesselI0 = "2b",
    BesselI0e = "2c", BesselI1 = "2d", BesselI1e = "2e",
});

exemplars!(binary: BinaryOp {
    Add = "00", Sub = "01", Mul = "02", Div = "03", FloorDiv = "04", FloorMod = "05", Pow = "06", Maximum = "07",
    Minimum = "08", SquaredDifference = "09", ReluGrad = "0a",
    Atan2 = "0b", TruncateDiv = "0c", TruncateMod = "0d", BitwiseAnd = "0e", BitwiseOr = "0f", BitwiseXor = "10",
    LeftShift = "11", RightShift = "12", Zeta = "13", Polygamma = "14", Igamma = "15", Igammac = "16",
    IgammaGradA = "17", RandomGammaGrad = "18",
});

exemplars!(compare: CompareOp {
    Equal = "00", NotEqual = "01", Less = "02", LessEqual = "03", Greater = "04", GreaterEqual = "05",
});

exemplars!(logical: LogicalOp { And = "00", Or = "01", Xor = "02", });

exemplars!(reduce: ReduceOp { Sum = "00", Mean = "01", Prod = "02", Max = "03", Min = "04", Any = "05", All = "06", });

exemplars!(cumulative: CumulativeOp { Sum = "00", Prod = "01", LogSumExp = "02", });

exemplars!(segment: SegmentOp { Sum = "00", Prod = "01", Max = "02", Min = "03", });

exemplars!(padding: Padding { Same = "00", Valid = "01", Explicit([[1, 2], [3, 4]]) = "0201020304", });

exemplars!(pool: PoolOp { Max = "00", Average = "01", });

exemplars!(distributions: Distribution {
    Uniform = "00", Normal = "01", TruncatedNormal = "02", UniformInt { low: -1, high: 10 } = "030114",
    Gamma { samples: 3 } = "0403", Poisson { samples: 2 } = "0502", Categorical { samples: 1 } = "0601", Permutation = "07",
    DistortedBox {
        covered: Real(0.5), aspect_ratio: [Real(1.0), Real(2.0)], area: [Real(0.0), Real(1.0)], attempts: 9, whole_image: true
    } = "08000000000000e03f000000000000f03f00000000000000400000000000000000000000000000f03f0901",
});

exemplars!(scatters: ScatterOp {
    Update = "00", Add = "01", Sub = "02", Mul = "03", Div = "04", Max = "05", Min = "06",
});

exemplars!(parts: Part {
    Index(-1) = "0001", Range { begin: Some(1), end: None, step: -2 } = "0101020003", NewAxis = "02", Rest = "03",
});

exemplars!(writes: Write { Set = "00", Add = "01", Sub = "02", Scatter(ScatterOp::Add) = "0301", });

exemplars!(dims: Dim { Unknown = "00", Known(784) = "01fb1003", });

exemplars!(members: Member {
    Tensor(Output { node: NodeId(5), port: 1 }) = "000501", Variable(VariableId(2)) = "0102", Operation(NodeId(300)) = "02fb2c01",
});

const WINDOW: Window2d = Window2d { strides: [1, 2], dilations: [3, 4], padding: Padding::Valid };

const WINDOW_3D: Window3d = Window3d { strides: [1, 2, 3], dilations: [4, 5, 6], padding: Padding::Valid };
const RESIZE: Resize = Resize { interpolation: Interpolation::Bilinear, sampling: Sampling::HalfPixel, size: [3, 300] };

exemplars!(interpolations: Interpolation { Nearest = "00", Bilinear = "01", Bicubic = "02", Area = "03", });

exemplars!(samplings: Sampling { Corner = "00", AlignedCorners = "01", HalfPixel = "02", });

exemplars!(operations: Op {
    Identity = "00",
    StopGradient = "01",
    EnsureShape { shape: Box::new(shape![?, 3]) } = "020102000103",
    CheckNumerics { message: "loss".to_owned() } = "03046c6f7373",
    Unary(UnaryOp::Relu) = "0411",
    Binary(BinaryOp::ReluGrad) = "050a",
    Compare(CompareOp::Less) = "0602",
    Logical(LogicalOp::Xor) = "0702",
    Select = "08",
    Cast { to: DType::I64 } = "0903",
    AddN = "0a",
    Reduce { op: ReduceOp::Mean, axes: Some(smallvec![0, -1]), keep_dims: true } = "0b010102000101",
    ArgMax { axis: 1, output: DType::I64 } = "0c0203",
    ArgMin { axis: -1, output: DType::I32 } = "0d0102",
    Cumulative { op: CumulativeOp::Prod, axis: -2, exclusive: true, reverse: false } = "0e01030100",
    MatMul { transpose_a: false, transpose_b: true } = "0f0001",
    Reshape { dims: smallvec![-1, 784] } = "100201fb2006",
    ReshapeLike = "11",
    ExpandDims { axes: smallvec![0, -1] } = "12020001",
    Squeeze { axes: smallvec![2] } = "130104",
    Transpose { perm: smallvec![1, 0] } = "14020100",
    Concat { axis: 1 } = "1502",
    ConcatGrad { axis: -1, index: 2 } = "160102",
    Slice { begin: smallvec![0, 300], size: smallvec![-1, 2] } = "170200fb5802020104",
    SliceLike { begin: smallvec![1] } = "180102",
    SliceGrad { begin: smallvec![1, 2] } = "19020204",
    Pad { paddings: smallvec![[1, 2], [3, 4]], value: Real(-1.5) } = "1a0201020304000000000000f8bf",
    Tile { multiples: smallvec![2, 1] } = "1b020201",
    TileGrad { multiples: smallvec![2, 1] } = "1c020201",
    Gather { axis: 0 } = "1d00",
    GatherGrad { axis: 1 } = "1e02",
    OneHot { depth: 10, axis: -1, on: Real(1.0), off: Real(0.0), dtype: DType::F32 } = "1f0a01000000000000f03f000000000000000000",
    BroadcastTo { dims: smallvec![70_000, 1] } = "2002fc7011010001",
    BroadcastLike = "21",
    SumLike = "22",
    ShapeOf { output: DType::I32 } = "2302",
    SizeOf { output: DType::I64 } = "2403",
    Softmax { axis: -1 } = "2501",
    LogSoftmax { axis: -1 } = "2601",
    SoftmaxCrossEntropy = "27",
    SparseSoftmaxCrossEntropy = "28",
    L2Loss = "29",
    Conv2d(WINDOW) = "2a0102030401",
    Conv2dInputGrad(WINDOW) = "2b0102030401",
    Conv2dFilterGrad(WINDOW) = "2c0102030401",
    Pool2d { op: PoolOp::Average, size: [2, 3], window: WINDOW } = "2d0102030102030401",
    MaxPoolGrad { size: [2, 3], window: WINDOW } = "2e02030102030401",
    MaxPoolGradGrad { size: [2, 3], window: WINDOW } = "2f02030102030401",
    AveragePoolGrad { size: [2, 3], window: WINDOW } = "3002030102030401",
    StridedSlice { parts: smallvec![Part::Index(-1), Part::Rest] } = "3102000103",
    StridedSliceGrad { parts: smallvec![Part::NewAxis] } = "320102",
    Regroup { axis: -2, count: 2, dims: smallvec![-1] } = "3303020101",
    GatherNd { batch_dims: 1 } = "3401",
    ScatterNd { op: ScatterOp::Add, batch_dims: 2 } = "350102",
    Iota { axis: -1, dtype: DType::I32 } = "360102",
    Segment { op: SegmentOp::Max, segments: 300, sorted: true } = "3702fb2c0101",
    SegmentSpread { segments: 7 } = "3807",
    TopK { k: Some(5) } = "390105",
    Pick = "3a",
    PickGrad = "3b",
    SearchSorted { right: true, output: DType::I32 } = "3c0102",
    DepthwiseConv2d(WINDOW) = "3d0102030401",
    DepthwiseConv2dInputGrad(WINDOW) = "3e0102030401",
    DepthwiseConv2dFilterGrad(WINDOW) = "3f0102030401",
    Conv3d(WINDOW_3D) = "4001020304050601",
    Conv3dInputGrad(WINDOW_3D) = "4101020304050601",
    Conv3dFilterGrad(WINDOW_3D) = "4201020304050601",
    Cholesky = "43",
    TriangularSolve { lower: true, adjoint: false } = "440100",
    MatrixSolve { adjoint: true } = "4501",
    MatrixInverse { adjoint: true } = "4601",
    Determinant = "47",
    LogDeterminant = "48",
    ResizeImages(RESIZE) = "49010203fb2c01",
    ResizeImagesGrad(RESIZE) = "4a010203fb2c01",
    NonMaxSuppression { size: 3, overlap: Real(0.5), score: Real(1.0) } = "4b03000000000000e03f000000000000f03f",
    Qr { full: true } = "4c01",
    SelfAdjointEig = "4d",
    Svd { full: true } = "4e01",
    Betainc = "4f",
    Bitcast { to: DType::I64 } = "5003",
    MatrixExponential = "51",
});

exemplars!(dynamic: DynamicOp {
    NonZero = "00", Unique { output: DType::I64 } = "0103", Reshape = "02", BroadcastTo = "03", Tile = "04",
    TileGrad = "05", Slice = "06", SliceGrad = "07", Range = "08",
    Segment { op: SegmentOp::Max, sorted: true } = "090201", SegmentSpread = "0a",
});

#[test]
fn structs() {
    assert_eq!(hex(&Seeds { graph: 87_654_321, operation: -1 }), "fc62ff720a01");
    assert_eq!(hex(&Fact::new(DType::F32, Shape::unknown())), "0000");
    assert_eq!(hex(&Fact::new(DType::I64, shape![?, 784])), "0301020001fb1003");
    assert_eq!(hex(&Fact::new(DType::Bool, shape![])), "050100");
}
