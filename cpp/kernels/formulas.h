// Every elementwise function, once: its value and its derivative, as templates.
//
// T is a vector or a number in the CPU loops, float on a GPU, and Tensor where a derivative is to
// be differentiated again, so formulas use only operators, select(mask, a, b), constant<T>(c) and
// named functions; the includer supplies those before including this file, in namespace
// lamina::LAMINA_ISA. Conventions at kinks are PyTorch's and stated where they occur.
// (No include guard: each reading of it has its own LAMINA_ISA.)
#ifndef LAMINA_FORMULA_TYPES
#define LAMINA_FORMULA_TYPES
#include "kernels/autocast.h"

namespace lamina {
struct Params {
  double a, b, c;
};
// floating: integers are converted to the default float; same: keeps the promoted dtype;
// boolean: the result is bool; integral: integers and bool only.
enum class Result { floating, same, boolean, integral };
// Whether the derivative is a formula, 0 everywhere, or does not exist.
enum class Gradient { formula, zero, none };
template <class... F>
struct List {
  static constexpr int size = sizeof...(F);
};
}  // namespace lamina
#endif

namespace lamina::LAMINA_ISA {

template <class T>
constexpr T c_(double v) {
  return constant<T>(v);
}

#define F_HEAD(NAME, N, RESULT, INTS, GRADIENT)    \
  static constexpr const char* name = NAME;        \
  static constexpr int inputs = N;                 \
  static constexpr Result result = Result::RESULT; \
  static constexpr bool on_ints = INTS;            \
  static constexpr Gradient gradient = Gradient::GRADIENT
// What it computes in under autocast, where that is not what it is given.
#define F_AUTOCAST(RULE) static constexpr Autocast autocast = RULE
#define F_VALUE1     \
  template <class T> \
  static constexpr T value([[maybe_unused]] T x, [[maybe_unused]] Params p)
#define F_GRAD1                                                                             \
  template <class T>                                                                        \
  static constexpr T grad([[maybe_unused]] T g, [[maybe_unused]] T x, [[maybe_unused]] T y, \
                          [[maybe_unused]] Params p)
#define F_VALUE2     \
  template <class T> \
  static constexpr T value([[maybe_unused]] T a, [[maybe_unused]] T b, [[maybe_unused]] Params p)
#define F_GRAD2(I)                                                                             \
  template <class T>                                                                           \
  static constexpr T grad##I([[maybe_unused]] T g, [[maybe_unused]] T a, [[maybe_unused]] T b, \
                             [[maybe_unused]] T y, [[maybe_unused]] Params p)
#define F_VALUE3                                                                             \
  template <class T>                                                                         \
  static constexpr T value([[maybe_unused]] T a, [[maybe_unused]] T b, [[maybe_unused]] T c, \
                           [[maybe_unused]] Params p)
#define F_GRAD3(I)                                                                             \
  template <class T>                                                                           \
  static constexpr T grad##I([[maybe_unused]] T g, [[maybe_unused]] T a, [[maybe_unused]] T b, \
                             [[maybe_unused]] T c, [[maybe_unused]] T y,                       \
                             [[maybe_unused]] Params p)

constexpr double kLn2 = 0.69314718055994530942, kLn10 = 2.30258509299404568402;
constexpr double kSqrtHalf = 0.70710678118654752440, kTwoOverSqrtPi = 1.12837916709551257390;
constexpr double kInvSqrt2Pi = 0.39894228040143267794, kSqrt2OverPi = 0.79788456080286535588;
constexpr double kSqrtPiOver2 = 0.88622692545275801365;
constexpr double kSeluAlpha = 1.6732632423543772848, kSeluScale = 1.0507009873554804934;

// ---- algebra -----------------------------------------------------------------------------------
struct Abs {
  F_HEAD("abs", 1, same, true, formula);
  F_VALUE1 { return abs(x); }
  F_GRAD1 { return g * sign(x); }
};
struct Neg {
  F_HEAD("neg", 1, same, true, formula);
  F_VALUE1 { return -x; }
  F_GRAD1 { return -g; }
};
struct Sign {
  F_HEAD("sign", 1, same, true, zero);
  F_VALUE1 {
    return select(x > c_<T>(0), c_<T>(1), select(x < c_<T>(0), c_<T>(-1), c_<T>(0)));
  }  // NaN: 0
};
struct Sqrt {
  F_HEAD("sqrt", 1, floating, false, formula);
  F_VALUE1 { return sqrt(x); }
  F_GRAD1 { return g / (y + y); }
};
struct Rsqrt {
  F_HEAD("rsqrt", 1, floating, false, formula);
  F_AUTOCAST(kFloat32OnCuda);
  F_VALUE1 { return c_<T>(1) / sqrt(x); }
  F_GRAD1 { return g * (c_<T>(-0.5) * y * y * y); }
};
struct Reciprocal {
  F_HEAD("reciprocal", 1, floating, false, formula);
  F_AUTOCAST(kFloat32OnCuda);
  F_VALUE1 { return c_<T>(1) / x; }
  F_GRAD1 { return -g * y * y; }
};
struct Square {
  F_HEAD("square", 1, same, true, formula);
  F_AUTOCAST(kFloat32OnCuda);
  F_VALUE1 { return x * x; }
  F_GRAD1 { return g * (x + x); }
};
struct PowScalar {  // x^a, a fixed: exact for 2, 3, 1/2, -1, ...; derivative a x^(a-1), 0 for a = 0
  F_HEAD("pow_scalar", 1, same, true, formula);
  F_AUTOCAST(kFloat32OnCuda);
  F_VALUE1 {
    if (p.a == 2) return x * x;
    if (p.a == 1) return x;
    if (p.a == 0) return c_<T>(1);
    if (p.a == 3) return x * x * x;
    if (p.a == 0.5) return sqrt(x);
    if (p.a == -1) return c_<T>(1) / x;
    return pow(x, c_<T>(p.a));
  }
  F_GRAD1 {
    if (p.a == 0) return g * c_<T>(0);
    return g * (c_<T>(p.a) * value<T>(x, Params{p.a - 1, 0, 0}));
  }
};
// ---- exponentials ------------------------------------------------------------------------------
struct Exp {
  F_HEAD("exp", 1, floating, false, formula);
  F_AUTOCAST(kFloat32OnCuda);
  F_VALUE1 { return exp(x); }
  F_GRAD1 { return g * y; }
};
struct Exp2 {
  F_HEAD("exp2", 1, floating, false, formula);
  F_VALUE1 { return exp2(x); }
  F_GRAD1 { return g * (y * c_<T>(kLn2)); }
};
struct Expm1 {
  F_HEAD("expm1", 1, floating, false, formula);
  F_AUTOCAST(kFloat32OnCuda);
  F_VALUE1 { return expm1(x); }
  F_GRAD1 { return g * (y + c_<T>(1)); }
};
struct Log {
  F_HEAD("log", 1, floating, false, formula);
  F_AUTOCAST(kFloat32OnCuda);
  F_VALUE1 { return log(x); }
  F_GRAD1 { return g / x; }
};
struct Log2 {
  F_HEAD("log2", 1, floating, false, formula);
  F_AUTOCAST(kFloat32OnCuda);
  F_VALUE1 { return log2(x); }
  F_GRAD1 { return g / (x * c_<T>(kLn2)); }
};
struct Log10 {
  F_HEAD("log10", 1, floating, false, formula);
  F_AUTOCAST(kFloat32OnCuda);
  F_VALUE1 { return log10(x); }
  F_GRAD1 { return g / (x * c_<T>(kLn10)); }
};
struct Log1p {
  F_HEAD("log1p", 1, floating, false, formula);
  F_AUTOCAST(kFloat32OnCuda);
  F_VALUE1 { return log1p(x); }
  F_GRAD1 { return g / (x + c_<T>(1)); }
};
// ---- trigonometry ------------------------------------------------------------------------------
struct Sin {
  F_HEAD("sin", 1, floating, false, formula);
  F_VALUE1 { return sin(x); }
  F_GRAD1 { return g * cos(x); }
};
struct Cos {
  F_HEAD("cos", 1, floating, false, formula);
  F_VALUE1 { return cos(x); }
  F_GRAD1 { return -g * sin(x); }
};
struct Tan {
  F_HEAD("tan", 1, floating, false, formula);
  F_AUTOCAST(kFloat32OnCuda);
  F_VALUE1 { return tan(x); }
  F_GRAD1 { return g * (y * y + c_<T>(1)); }
};
struct Asin {
  F_HEAD("asin", 1, floating, false, formula);
  F_AUTOCAST(kFloat32OnCuda);
  F_VALUE1 { return asin(x); }
  F_GRAD1 { return g / sqrt(c_<T>(1) - x * x); }
};
struct Acos {
  F_HEAD("acos", 1, floating, false, formula);
  F_AUTOCAST(kFloat32OnCuda);
  F_VALUE1 { return acos(x); }
  F_GRAD1 { return -g / sqrt(c_<T>(1) - x * x); }
};
struct Atan {
  F_HEAD("atan", 1, floating, false, formula);
  F_VALUE1 { return atan(x); }
  F_GRAD1 { return g / (x * x + c_<T>(1)); }
};
struct Sinh {
  F_HEAD("sinh", 1, floating, false, formula);
  F_AUTOCAST(kFloat32OnCuda);
  F_VALUE1 { return sinh(x); }
  F_GRAD1 { return g * cosh(x); }
};
struct Cosh {
  F_HEAD("cosh", 1, floating, false, formula);
  F_AUTOCAST(kFloat32OnCuda);
  F_VALUE1 { return cosh(x); }
  F_GRAD1 { return g * sinh(x); }
};
struct Tanh {
  F_HEAD("tanh", 1, floating, false, formula);
  F_VALUE1 { return tanh(x); }
  F_GRAD1 { return g * (c_<T>(1) - y * y); }
};
struct Asinh {
  F_HEAD("asinh", 1, floating, false, formula);
  F_VALUE1 { return asinh(x); }
  F_GRAD1 { return g / sqrt(x * x + c_<T>(1)); }
};
struct Acosh {
  F_HEAD("acosh", 1, floating, false, formula);
  F_VALUE1 { return acosh(x); }
  F_GRAD1 { return g / sqrt(x * x - c_<T>(1)); }
};
struct Atanh {
  F_HEAD("atanh", 1, floating, false, formula);
  F_VALUE1 { return atanh(x); }
  F_GRAD1 { return g / (c_<T>(1) - x * x); }
};
struct Erf {
  F_HEAD("erf", 1, floating, false, formula);
  F_VALUE1 { return erf(x); }
  F_GRAD1 { return g * (c_<T>(kTwoOverSqrtPi) * exp(-(x * x))); }
};
struct Erfc {
  F_HEAD("erfc", 1, floating, false, formula);
  F_VALUE1 { return erfc(x); }
  F_GRAD1 { return -g * (c_<T>(kTwoOverSqrtPi) * exp(-(x * x))); }
};
struct Erfinv {
  F_HEAD("erfinv", 1, floating, false, formula);
  F_AUTOCAST(kFloat32OnCuda);
  F_VALUE1 { return erfinv(x); }
  F_GRAD1 { return g * (c_<T>(kSqrtPiOver2) * exp(y * y)); }
};
struct Lgamma {
  F_HEAD("lgamma", 1, floating, false, formula);
  F_VALUE1 { return lgamma(x); }
  F_GRAD1 { return g * digamma(x); }
};
struct Digamma {
  F_HEAD("digamma", 1, floating, false, formula);
  F_VALUE1 { return digamma(x); }
  F_GRAD1 { return g * polygamma(x, 1); }
};
struct Polygamma {  // the a-th derivative of digamma, a >= 1
  F_HEAD("polygamma", 1, floating, false, formula);
  F_VALUE1 { return polygamma(x, p.a); }
  F_GRAD1 { return g * polygamma(x, p.a + 1); }
};
// ---- activations -------------------------------------------------------------------------------
struct Sigmoid {
  F_HEAD("sigmoid", 1, floating, false, formula);
  F_VALUE1 { return sigmoid(x); }
  F_GRAD1 { return g * (y * (c_<T>(1) - y)); }
};
struct LogSigmoid {  // min(x, 0) - log1p(e^-|x|)
  F_HEAD("log_sigmoid", 1, floating, false, formula);
  F_VALUE1 { return min(x, c_<T>(0)) - log1p(exp(-abs(x))); }
  F_GRAD1 { return g * sigmoid(-x); }
};
struct Relu {  // max(x, 0), NaN passes; y'(0) = 0
  F_HEAD("relu", 1, same, true, formula);
  F_VALUE1 { return max(c_<T>(0), x); }
  F_GRAD1 { return select(y > c_<T>(0), g, c_<T>(0)); }
};
struct Relu6 {
  F_HEAD("relu6", 1, same, true, formula);
  F_VALUE1 { return min(c_<T>(6), max(c_<T>(0), x)); }
  F_GRAD1 { return select((x > c_<T>(0)) & (x < c_<T>(6)), g, c_<T>(0)); }
};
struct LeakyRelu {
  F_HEAD("leaky_relu", 1, floating, false, formula);
  F_VALUE1 { return select(x > c_<T>(0), x, x * c_<T>(p.a)); }
  F_GRAD1 { return select(x > c_<T>(0), g, g * c_<T>(p.a)); }
};
struct Elu {  // scale x for x > 0, scale a expm1(c x) below  (p = a, scale, c)
  F_HEAD("elu", 1, floating, false, formula);
  F_VALUE1 {
    return select(x > c_<T>(0), x * c_<T>(p.b), expm1(x * c_<T>(p.c)) * c_<T>(p.a * p.b));
  }
  F_GRAD1 {
    return select(x > c_<T>(0), g * c_<T>(p.b), g * (exp(x * c_<T>(p.c)) * c_<T>(p.a * p.b * p.c)));
  }
};
struct Celu {
  F_HEAD("celu", 1, floating, false, formula);
  F_VALUE1 { return select(x > c_<T>(0), x, expm1(x * c_<T>(1 / p.a)) * c_<T>(p.a)); }
  F_GRAD1 { return select(x > c_<T>(0), g, g * exp(x * c_<T>(1 / p.a))); }
};
struct Selu {
  F_HEAD("selu", 1, floating, false, formula);
  F_VALUE1 {
    return select(x > c_<T>(0), x * c_<T>(kSeluScale), expm1(x) * c_<T>(kSeluAlpha * kSeluScale));
  }
  F_GRAD1 {
    return select(x > c_<T>(0), g * c_<T>(kSeluScale),
                  g * (exp(x) * c_<T>(kSeluAlpha * kSeluScale)));
  }
};
struct Gelu {  // x Phi(x), Phi(x) = erfc(-x / sqrt 2) / 2; slope Phi(x) + x phi(x)
  F_HEAD("gelu", 1, floating, false, formula);
  F_VALUE1 { return gelu(x); }
  F_GRAD1 { return g * gelu_slope(x); }
};
struct GeluTanh {  // x (1 + tanh u) / 2, u = sqrt(2/pi) (x + 0.044715 x^3)
  F_HEAD("gelu_tanh", 1, floating, false, formula);
  F_VALUE1 {
    return x * (c_<T>(0.5) *
                (c_<T>(1) + tanh(c_<T>(kSqrt2OverPi) * (x + c_<T>(0.044715) * (x * x * x)))));
  }
  F_GRAD1 {
    T t = tanh(c_<T>(kSqrt2OverPi) * (x + c_<T>(0.044715) * (x * x * x)));
    T du = c_<T>(kSqrt2OverPi) * (c_<T>(1) + c_<T>(3 * 0.044715) * (x * x));
    return g * (c_<T>(0.5) * (c_<T>(1) + t) + x * (c_<T>(0.5) * ((c_<T>(1) - t * t) * du)));
  }
};
struct Silu {
  F_HEAD("silu", 1, floating, false, formula);
  F_VALUE1 { return x * sigmoid(x); }
  F_GRAD1 {
    T s = sigmoid(x);
    return g * (s * (c_<T>(1) + x * (c_<T>(1) - s)));
  }
};
struct Softplus {  // log1p(e^(a x)) / a, x where a x > b
  F_HEAD("softplus", 1, floating, false, formula);
  F_AUTOCAST(kFloat32OnCuda);
  F_VALUE1 {
    T z = x * c_<T>(p.a);
    return select(z > c_<T>(p.b), x, (max(z, c_<T>(0)) + log1p(exp(-abs(z)))) * c_<T>(1 / p.a));
  }
  F_GRAD1 {
    T z = x * c_<T>(p.a);
    return select(z > c_<T>(p.b), g, g * sigmoid(z));
  }
};
struct Mish {  // x tanh(log1p(e^x))
  F_HEAD("mish", 1, floating, false, formula);
  F_VALUE1 { return x * tanh(max(x, c_<T>(0)) + log1p(exp(-abs(x)))); }
  F_GRAD1 {
    T t = tanh(max(x, c_<T>(0)) + log1p(exp(-abs(x))));
    return g * (t + x * ((c_<T>(1) - t * t) * sigmoid(x)));
  }
};
struct Hardtanh {
  F_HEAD("hardtanh", 1, same, true, formula);
  F_VALUE1 { return min(c_<T>(p.b), max(c_<T>(p.a), x)); }
  F_GRAD1 { return select((x > c_<T>(p.a)) & (x < c_<T>(p.b)), g, c_<T>(0)); }
};
struct Clamp {  // a or b NaN: no bound; gradient 1 on [a, b]
  F_HEAD("clamp", 1, same, true, formula);
  F_VALUE1 {
    T y = x;
    if (p.a == p.a) y = max(c_<T>(p.a), y);
    if (p.b == p.b) y = min(c_<T>(p.b), y);
    return y;
  }
  F_GRAD1 {
    T gx = g;
    if (p.a == p.a) gx = select(x >= c_<T>(p.a), gx, c_<T>(0));
    if (p.b == p.b) gx = select(x <= c_<T>(p.b), gx, c_<T>(0));
    return gx;
  }
};
struct Hardsigmoid {
  F_HEAD("hardsigmoid", 1, floating, false, formula);
  F_VALUE1 { return min(c_<T>(1), max(c_<T>(0), (x + c_<T>(3)) / c_<T>(6))); }
  F_GRAD1 { return select((x > c_<T>(-3)) & (x < c_<T>(3)), g / c_<T>(6), c_<T>(0)); }
};
struct Hardswish {
  F_HEAD("hardswish", 1, floating, false, formula);
  F_VALUE1 { return x * min(c_<T>(6), max(c_<T>(0), x + c_<T>(3))) / c_<T>(6); }
  F_GRAD1 {
    return select(x < c_<T>(-3), c_<T>(0),
                  select(x <= c_<T>(3), g * (x / c_<T>(3) + c_<T>(0.5)), g));
  }
};
struct Softsign {
  F_HEAD("softsign", 1, floating, false, formula);
  F_VALUE1 { return x / (c_<T>(1) + abs(x)); }
  F_GRAD1 {
    T d = c_<T>(1) + abs(x);
    return g / (d * d);
  }
};
struct Tanhshrink {
  F_HEAD("tanhshrink", 1, floating, false, formula);
  F_VALUE1 { return x - tanh(x); }
  F_GRAD1 {
    T t = tanh(x);
    return g * (t * t);
  }
};
struct Softshrink {
  F_HEAD("softshrink", 1, floating, false, formula);
  F_VALUE1 {
    return select(x > c_<T>(p.a), x - c_<T>(p.a),
                  select(x < c_<T>(-p.a), x + c_<T>(p.a), x * c_<T>(0)));
  }
  F_GRAD1 { return select((x > c_<T>(p.a)) | (x < c_<T>(-p.a)), g, c_<T>(0)); }
};
struct Hardshrink {
  F_HEAD("hardshrink", 1, floating, false, formula);
  F_VALUE1 { return select((x >= c_<T>(-p.a)) & (x <= c_<T>(p.a)), c_<T>(0), x); }
  F_GRAD1 { return select((x >= c_<T>(-p.a)) & (x <= c_<T>(p.a)), c_<T>(0), g); }
};
struct Threshold {
  F_HEAD("threshold", 1, same, true, formula);
  F_VALUE1 { return select(x <= c_<T>(p.a), c_<T>(p.b), x); }
  F_GRAD1 { return select(x <= c_<T>(p.a), c_<T>(0), g); }
};
// ---- rounding, tests ---------------------------------------------------------------------------
struct Floor {
  F_HEAD("floor", 1, same, true, zero);
  F_VALUE1 { return floor(x); }
};
struct Ceil {
  F_HEAD("ceil", 1, same, true, zero);
  F_VALUE1 { return ceil(x); }
};
struct Trunc {
  F_HEAD("trunc", 1, same, true, zero);
  F_VALUE1 { return trunc(x); }
};
struct Round {
  F_HEAD("round", 1, same, true, zero);
  F_VALUE1 { return round(x); }
};
struct Frac {
  F_HEAD("frac", 1, floating, false, formula);
  F_VALUE1 { return x - trunc(x); }
  F_GRAD1 { return g; }
};
struct IsNan {
  F_HEAD("isnan", 1, boolean, true, none);
  F_VALUE1 { return select(x != x, c_<T>(1), c_<T>(0)); }
};
struct IsInf {
  F_HEAD("isinf", 1, boolean, true, none);
  F_VALUE1 { return select((x - x) != (x - x), select(x == x, c_<T>(1), c_<T>(0)), c_<T>(0)); }
};
struct IsFinite {
  F_HEAD("isfinite", 1, boolean, true, none);
  F_VALUE1 { return select((x - x) == (x - x), c_<T>(1), c_<T>(0)); }
};
struct IsPosInf {
  F_HEAD("isposinf", 1, boolean, true, none);
  F_VALUE1 {
    return select((x - x) != (x - x), select(x > c_<T>(0), c_<T>(1), c_<T>(0)), c_<T>(0));
  }
};
struct IsNegInf {
  F_HEAD("isneginf", 1, boolean, true, none);
  F_VALUE1 {
    return select((x - x) != (x - x), select(x < c_<T>(0), c_<T>(1), c_<T>(0)), c_<T>(0));
  }
};
struct Signbit {
  F_HEAD("signbit", 1, boolean, true, none);
  F_VALUE1 { return signbit(x); }
};
struct LogicalNot {
  F_HEAD("logical_not", 1, boolean, true, none);
  F_VALUE1 { return select(x == c_<T>(0), c_<T>(1), c_<T>(0)); }
};
struct BitwiseNot {
  F_HEAD("bitwise_not", 1, integral, true, none);
  F_VALUE1 { return bitwise_not(x); }
};
struct NanToNum {  // NaN -> a, +inf -> b, -inf -> c
  F_HEAD("nan_to_num", 1, floating, false, formula);
  F_VALUE1 {
    return select(x != x, c_<T>(p.a),
                  select((x - x) != (x - x), select(x > c_<T>(0), c_<T>(p.b), c_<T>(p.c)), x));
  }
  F_GRAD1 { return select((x - x) == (x - x), g, c_<T>(0)); }
};
// ---- two inputs --------------------------------------------------------------------------------
struct Add {
  F_HEAD("add", 2, same, true, formula);
  F_VALUE2 { return p.a == 1 ? a + b : a + b * c_<T>(p.a); }
  F_GRAD2(0) { return g; }
  F_GRAD2(1) { return g * c_<T>(p.a); }
};
struct Sub {
  F_HEAD("sub", 2, same, true, formula);
  F_VALUE2 { return p.a == 1 ? a - b : a - b * c_<T>(p.a); }
  F_GRAD2(0) { return g; }
  F_GRAD2(1) { return g * c_<T>(-p.a); }
};
struct Mul {
  F_HEAD("mul", 2, same, true, formula);
  F_VALUE2 { return a * b; }
  F_GRAD2(0) { return g * b; }
  F_GRAD2(1) { return g * a; }
};
struct Div {
  F_HEAD("div", 2, floating, false, formula);
  F_VALUE2 { return a / b; }
  F_GRAD2(0) { return g / b; }
  F_GRAD2(1) { return -g * ((a / b) / b); }
};
struct Pow {  // d/da = b a^(b-1), 0 where b = 0; d/db = a^b log a, 0 where a = 0 and b >= 0
  F_HEAD("pow", 2, same, true, formula);
  F_AUTOCAST(kFloat32OnCuda);
  F_VALUE2 { return pow(a, b); }
  F_GRAD2(0) { return select(b == c_<T>(0), c_<T>(0), g * (b * pow(a, b - c_<T>(1)))); }
  F_GRAD2(1) { return select((a == c_<T>(0)) & (b >= c_<T>(0)), c_<T>(0), g * (y * log(a))); }
};
struct Maximum {
  F_HEAD("maximum", 2, same, true, formula);
  F_VALUE2 { return select(a != a, a, max(a, b)); }
  F_GRAD2(0) { return select(a == b, g * c_<T>(0.5), select(a < b, c_<T>(0), g)); }
  F_GRAD2(1) { return select(a == b, g * c_<T>(0.5), select(a > b, c_<T>(0), g)); }
};
struct Minimum {
  F_HEAD("minimum", 2, same, true, formula);
  F_VALUE2 { return select(a != a, a, min(a, b)); }
  F_GRAD2(0) { return select(a == b, g * c_<T>(0.5), select(a > b, c_<T>(0), g)); }
  F_GRAD2(1) { return select(a == b, g * c_<T>(0.5), select(a < b, c_<T>(0), g)); }
};
struct Fmax {
  F_HEAD("fmax", 2, same, true, formula);
  F_VALUE2 { return select(b != b, a, select(a != a, b, max(a, b))); }
  F_GRAD2(0) { return select((a >= b) | (b != b), g, c_<T>(0)); }
  F_GRAD2(1) { return select((a >= b) | (b != b), c_<T>(0), g); }
};
struct Fmin {
  F_HEAD("fmin", 2, same, true, formula);
  F_VALUE2 { return select(b != b, a, select(a != a, b, min(a, b))); }
  F_GRAD2(0) { return select((a <= b) | (b != b), g, c_<T>(0)); }
  F_GRAD2(1) { return select((a <= b) | (b != b), c_<T>(0), g); }
};
struct Remainder {
  F_HEAD("remainder", 2, same, true, formula);
  F_VALUE2 { return remainder(a, b); }
  F_GRAD2(0) { return g; }
  F_GRAD2(1) { return -g * floor(a / b); }
};
struct Fmod {
  F_HEAD("fmod", 2, same, true, formula);
  F_VALUE2 { return fmod(a, b); }
  F_GRAD2(0) { return g; }
  F_GRAD2(1) { return -g * trunc(a / b); }
};
struct FloorDivide {
  F_HEAD("floor_divide", 2, same, true, none);
  F_VALUE2 { return floor_divide(a, b); }
};
struct Atan2 {
  F_HEAD("atan2", 2, floating, false, formula);
  F_VALUE2 { return atan2(a, b); }
  F_GRAD2(0) {  // at the origin 0, as in PyTorch
    const auto d = a * a + b * b;
    return select(d == c_<T>(0), c_<T>(0), g * (b / d));
  }
  F_GRAD2(1) {
    const auto d = a * a + b * b;
    return select(d == c_<T>(0), c_<T>(0), -g * (a / d));
  }
};
struct Hypot {
  F_HEAD("hypot", 2, floating, false, formula);
  F_VALUE2 { return hypot(a, b); }
  F_GRAD2(0) { return g * (a / y); }
  F_GRAD2(1) { return g * (b / y); }
};
struct Copysign {
  F_HEAD("copysign", 2, floating, false, formula);
  F_VALUE2 { return copysign(a, b); }
  F_GRAD2(0) { return select(a == c_<T>(0), c_<T>(0), g * (y / a)); }
  F_GRAD2(1) { return g * c_<T>(0); }
};
struct LogAddExp {
  F_HEAD("logaddexp", 2, floating, false, formula);
  F_VALUE2 { return select(a == b, a + c_<T>(kLn2), max(a, b) + log1p(exp(-abs(a - b)))); }
  F_GRAD2(0) { return g * exp(a - y); }
  F_GRAD2(1) { return g * exp(b - y); }
};
struct Xlogy {
  F_HEAD("xlogy", 2, floating, false, formula);
  F_VALUE2 { return select((a == c_<T>(0)) & (b == b), c_<T>(0), a * log(b)); }
  F_GRAD2(0) { return select((a == c_<T>(0)) & (b <= c_<T>(0)), c_<T>(0), g * log(b)); }
  F_GRAD2(1) { return g * (a / b); }
};
#define F_COMPARE(S, NAME, OP)                              \
  struct S {                                                \
    F_HEAD(NAME, 2, boolean, true, none);                   \
    F_VALUE2 { return select(a OP b, c_<T>(1), c_<T>(0)); } \
  }
F_COMPARE(Eq, "eq", ==);
F_COMPARE(Ne, "ne", !=);
F_COMPARE(Lt, "lt", <);
F_COMPARE(Le, "le", <=);
F_COMPARE(Gt, "gt", >);
F_COMPARE(Ge, "ge", >=);
#undef F_COMPARE
struct LogicalAnd {
  F_HEAD("logical_and", 2, boolean, true, none);
  F_VALUE2 { return select(a != c_<T>(0), select(b != c_<T>(0), c_<T>(1), c_<T>(0)), c_<T>(0)); }
};
struct LogicalOr {
  F_HEAD("logical_or", 2, boolean, true, none);
  F_VALUE2 { return select(a != c_<T>(0), c_<T>(1), select(b != c_<T>(0), c_<T>(1), c_<T>(0))); }
};
struct LogicalXor {
  F_HEAD("logical_xor", 2, boolean, true, none);
  F_VALUE2 {
    return select(a != c_<T>(0), select(b != c_<T>(0), c_<T>(0), c_<T>(1)),
                  select(b != c_<T>(0), c_<T>(1), c_<T>(0)));
  }
};
struct BitwiseAnd {
  F_HEAD("bitwise_and", 2, integral, true, none);
  F_VALUE2 { return bitwise_and(a, b); }
};
struct BitwiseOr {
  F_HEAD("bitwise_or", 2, integral, true, none);
  F_VALUE2 { return bitwise_or(a, b); }
};
struct BitwiseXor {
  F_HEAD("bitwise_xor", 2, integral, true, none);
  F_VALUE2 { return bitwise_xor(a, b); }
};
struct LeftShift {
  F_HEAD("bitwise_left_shift", 2, integral, true, none);
  F_VALUE2 { return shift_left(a, b); }
};
struct RightShift {
  F_HEAD("bitwise_right_shift", 2, integral, true, none);
  F_VALUE2 { return shift_right(a, b); }
};
struct Prelu {  // b: the slope below 0
  F_HEAD("prelu", 2, floating, false, formula);
  F_VALUE2 { return select(a > c_<T>(0), a, a * b); }
  F_GRAD2(0) { return select(a > c_<T>(0), g, g * b); }
  F_GRAD2(1) { return select(a > c_<T>(0), c_<T>(0), g * a); }
};
// ---- losses per element: a is the prediction, b the target --------------------------------------
struct Mse {
  F_HEAD("mse", 2, floating, false, formula);
  F_AUTOCAST(kFloat32);
  F_VALUE2 {
    T d = a - b;
    return d * d;
  }
  F_GRAD2(0) {
    T d = a - b;
    return g * (d + d);
  }
  F_GRAD2(1) {
    T d = b - a;
    return g * (d + d);
  }
};
struct L1 {
  F_HEAD("l1", 2, floating, false, formula);
  F_AUTOCAST(kFloat32);
  F_VALUE2 { return abs(a - b); }
  F_GRAD2(0) { return g * sign(a - b); }
  F_GRAD2(1) { return g * sign(b - a); }
};
struct Huber {  // d^2 / 2 for |d| <= delta, delta (|d| - delta / 2) beyond
  F_HEAD("huber", 2, floating, false, formula);
  F_AUTOCAST(kFloat32);
  F_VALUE2 {
    T d = abs(a - b);
    return select(d <= c_<T>(p.a), d * d * c_<T>(0.5), c_<T>(p.a) * (d - c_<T>(0.5 * p.a)));
  }
  F_GRAD2(0) {
    T d = a - b;
    return g * min(c_<T>(p.a), max(c_<T>(-p.a), d));
  }
  F_GRAD2(1) {
    T d = b - a;
    return g * min(c_<T>(p.a), max(c_<T>(-p.a), d));
  }
};
struct SmoothL1 {  // d^2 / (2 beta) for |d| < beta, |d| - beta / 2 beyond; beta = 0: |d|
  F_HEAD("smooth_l1", 2, floating, false, formula);
  F_AUTOCAST(kFloat32);
  F_VALUE2 {
    T d = abs(a - b);
    if (p.a == 0) return d;
    return select(d < c_<T>(p.a), d * d * c_<T>(0.5 / p.a), d - c_<T>(0.5 * p.a));
  }
  F_GRAD2(0) {
    T d = a - b;
    if (p.a == 0) return g * sign(d);
    return g * min(c_<T>(1), max(c_<T>(-1), d * c_<T>(1 / p.a)));
  }
  F_GRAD2(1) {
    T d = b - a;
    if (p.a == 0) return g * sign(d);
    return g * min(c_<T>(1), max(c_<T>(-1), d * c_<T>(1 / p.a)));
  }
};
struct Bce {  // -(b log a + (1 - b) log(1 - a)), logarithms not below -100
  F_HEAD("bce", 2, floating, false, formula);
  F_AUTOCAST(kFloat32);
  F_VALUE2 { return (b - c_<T>(1)) * max(log1p(-a), c_<T>(-100)) - b * max(log(a), c_<T>(-100)); }
  F_GRAD2(0) { return g * ((a - b) / max((c_<T>(1) - a) * a, c_<T>(1e-12))); }
  F_GRAD2(1) { return g * (max(log1p(-a), c_<T>(-100)) - max(log(a), c_<T>(-100))); }
};
struct BceWithLogits {  // max(a, 0) - a b + log1p(e^-|a|)
  F_HEAD("bce_with_logits", 2, floating, false, formula);
  F_AUTOCAST(kFloat32);
  F_VALUE2 { return max(a, c_<T>(0)) - a * b + log1p(exp(-abs(a))); }
  F_GRAD2(0) { return g * (sigmoid(a) - b); }
  F_GRAD2(1) { return -g * a; }
};
struct KlDiv {  // b (log b - a), 0 where b = 0
  F_HEAD("kl_div", 2, floating, false, formula);
  F_AUTOCAST(kFloat32);
  F_VALUE2 { return select(b > c_<T>(0), b * log(b), c_<T>(0) * b) - b * a; }
  F_GRAD2(0) { return -g * b; }
  F_GRAD2(1) { return select(b > c_<T>(0), g * (log(b) + c_<T>(1) - a), c_<T>(0)); }
};
struct KlDivLog {
  F_HEAD("kl_div_log_target", 2, floating, false, formula);
  F_AUTOCAST(kFloat32);
  F_VALUE2 { return exp(b) * (b - a); }
  F_GRAD2(0) { return -g * exp(b); }
  F_GRAD2(1) { return g * (exp(b) * (b - a + c_<T>(1))); }
};
struct SoftMargin {
  F_HEAD("soft_margin", 2, floating, false, formula);
  F_AUTOCAST(kFloat32);
  F_VALUE2 {
    T z = -(a * b);
    return max(z, c_<T>(0)) + log1p(exp(-abs(z)));
  }
  F_GRAD2(0) { return -g * (b * sigmoid(-(a * b))); }
  F_GRAD2(1) { return -g * (a * sigmoid(-(a * b))); }
};
struct PoissonNll {  // a = log rate: e^a - b a
  F_HEAD("poisson_nll", 2, floating, false, formula);
  F_AUTOCAST(kFloat32);
  F_VALUE2 { return exp(a) - b * a; }
  F_GRAD2(0) { return g * (exp(a) - b); }
  F_GRAD2(1) { return -g * a; }
};
struct HingeEmbedding {  // b = 1: a; b = -1: max(0, margin - a)
  F_HEAD("hinge_embedding", 2, floating, false, formula);
  F_AUTOCAST(kFloat32);
  F_VALUE2 { return select(b > c_<T>(0), a, max(c_<T>(0), c_<T>(p.a) - a)); }
  F_GRAD2(0) { return select(b > c_<T>(0), g, select(a < c_<T>(p.a), -g, c_<T>(0))); }
  F_GRAD2(1) { return g * c_<T>(0); }
};
// ---- three inputs ------------------------------------------------------------------------------
struct Where {  // b where a is nonzero, else c
  F_HEAD("where", 3, same, true, formula);
  F_VALUE3 { return select(a != c_<T>(0), b, c); }
  F_GRAD3(0) { return g * c_<T>(0); }
  F_GRAD3(1) { return select(a != c_<T>(0), g, c_<T>(0)); }
  F_GRAD3(2) { return select(a != c_<T>(0), c_<T>(0), g); }
};
struct Lerp {
  F_HEAD("lerp", 3, floating, false, formula);
  F_VALUE3 { return select(abs(c) < c_<T>(0.5), a + c * (b - a), b - (b - a) * (c_<T>(1) - c)); }
  F_GRAD3(0) { return g * (c_<T>(1) - c); }
  F_GRAD3(1) { return g * c; }
  F_GRAD3(2) { return g * (b - a); }
};
struct Addcmul {
  F_HEAD("addcmul", 3, same, true, formula);
  F_VALUE3 { return a + c_<T>(p.a) * b * c; }
  F_GRAD3(0) { return g; }
  F_GRAD3(1) { return g * (c * c_<T>(p.a)); }
  F_GRAD3(2) { return g * (b * c_<T>(p.a)); }
};
struct Addcdiv {
  F_HEAD("addcdiv", 3, floating, false, formula);
  F_VALUE3 { return a + c_<T>(p.a) * (b / c); }
  F_GRAD3(0) { return g; }
  F_GRAD3(1) { return g * c_<T>(p.a) / c; }
  F_GRAD3(2) { return -g * (c_<T>(p.a) * (b / c) / c); }
};

#undef F_HEAD
#undef F_AUTOCAST
#undef F_VALUE1
#undef F_GRAD1
#undef F_VALUE2
#undef F_GRAD2
#undef F_VALUE3
#undef F_GRAD3

using AllElementwise =
    List<Add, Sub, Mul, Div, Neg, Where, Abs, Sign, Sqrt, Rsqrt, Reciprocal, Square, PowScalar, Exp,
         Exp2, Expm1, Log, Log2, Log10, Log1p, Sin, Cos, Tan, Asin, Acos, Atan, Sinh, Cosh, Tanh,
         Asinh, Acosh, Atanh, Erf, Erfc, Erfinv, Lgamma, Digamma, Polygamma, Sigmoid, LogSigmoid,
         Relu, Relu6, LeakyRelu, Elu, Celu, Selu, Gelu, GeluTanh, Silu, Softplus, Mish, Hardtanh,
         Clamp, Hardsigmoid, Hardswish, Softsign, Tanhshrink, Softshrink, Hardshrink, Threshold,
         Floor, Ceil, Trunc, Round, Frac, IsNan, IsInf, IsFinite, IsPosInf, IsNegInf, Signbit,
         LogicalNot, BitwiseNot, NanToNum, Pow, Maximum, Minimum, Fmax, Fmin, Remainder, Fmod,
         FloorDivide, Atan2, Hypot, Copysign, Prelu, LogAddExp, Xlogy, Eq, Ne, Lt, Le, Gt, Ge,
         LogicalAnd, LogicalOr, LogicalXor, BitwiseAnd, BitwiseOr, BitwiseXor, LeftShift,
         RightShift, Mse, L1, Huber, SmoothL1, Bce, BceWithLogits, KlDiv, KlDivLog, SoftMargin,
         PoissonNll, HingeEmbedding, Lerp, Addcmul, Addcdiv>;
constexpr int kAdd = 0, kSub = 1, kMul = 2, kDiv = 3, kNeg = 4, kWhere = 5;

}  // namespace lamina::LAMINA_ISA
