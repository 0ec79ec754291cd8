// The functions of ops/reduce.h as Python builtins.
#include "ops/reduce.h"
#include "python/bind.h"

namespace lamina {
static Tensor sum_all(const Tensor& x) { return sum(x, {}, false); }
static Tensor mean_all(const Tensor& x) { return mean(x, {}, false, {}); }
static const Methods methods{
    def<sum_all>("sum_all", kFloat32OnCuda),
    def<mean_all>("mean_all"),
    def<static_cast<Tensor (*)(const Tensor&, const Dims&, bool, std::optional<DType>)>(sum)>(
        "sum", kFloat32OnCuda),
    def<mean>("mean"),
    def<prod>("prod", kFloat32),
    def<sum_to>("sum_to"),
    def<amax>("amax"),
    def<amin>("amin"),
    def<max_dim>("max_dim"),
    def<min_dim>("min_dim"),
    def<argmax>("argmax"),
    def<argmin>("argmin"),
    def<any>("any"),
    def<all>("all"),
    def<var>("var"),
    def<std_dev>("std"),
    def<vector_norm>("norm", kFloat32OnCuda),
    def<logsumexp>("logsumexp", kFloat32OnCuda),
};
}  // namespace lamina
