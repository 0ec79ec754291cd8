// Convolution by im2col and a matrix product: small planes, several images at a time; 1x1 kernels,
// whose patches are x itself; and kernels as large as the padded image, where an image is one
// patch. A single block's product is itself split over the threads.
#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "core/ceil_div.h"
#include "core/storage.h"
#include "core/threads.h"
#include "ops/conv_launch.h"
#include "ops/gemm.h"

namespace lamina {
namespace {

constexpr int64_t kColumns = 128;  // of a product that is worth its packing

// Sizes of one image and group: w (M, K), patches (K, P), y (M, P). A block is `images` images of
// one group: patches (K, images P), y (M, images P). How it is cut changes no bits of y and dx.
template <class T>
struct Patches {
  explicit Patches(const ConvGeometry& a, int64_t shares)
      : a(a), C(a.C / a.groups), M(a.M / a.groups), K(C * a.KH * a.KW), P(a.OH * a.OW) {
    args.C = C, args.H = a.H, args.W = a.W, args.KH = a.KH, args.KW = a.KW;
    args.OH = a.OH, args.OW = a.OW, args.sh = a.sh, args.sw = a.sw;
    args.ph = a.ph, args.pw = a.pw, args.dh = a.dh, args.dw = a.dw;
    if (P < kColumns / 2) images = std::clamp<int64_t>((kColumns + P - 1) / P, 1, a.N / shares + 1);
    blocks = (a.N + images - 1) / images;
    args.stride = images * P;
  }
  bool in_place() const { return a.pointwise() && images == 1; }
  size_t bytes() const { return in_place() ? 0 : size_t(K * images * P) * sizeof(T); }
  size_t y_bytes() const { return images == 1 ? 0 : size_t(M * images * P) * sizeof(T); }
  int64_t first(int64_t block) const { return block * images; }
  int64_t count(int64_t block) const { return std::min(images, a.N - first(block)); }
  const T* columns(const T* x, int64_t block, int64_t g, T* scratch) const {
    const T* const from = x + (first(block) * a.groups + g) * C * a.H * a.W;
    if (in_place()) return from;
    const double ns = double(a.KH * a.KW * a.OH) * double(count(block)) * (5 + 0.1 * double(a.OW));
    parallel_rows(C, ns, [&](int64_t begin, int64_t end) {
      for (int64_t i = 0; i < count(block); ++i) {
        PatchArgs p = args;
        p.C = end - begin;
        p.x = const_cast<T*>(from + (i * a.groups * C + begin) * a.H * a.W);
        p.columns = scratch + i * P + begin * a.KH * a.KW * args.stride;
        cpu_kernels().conv.im2col[kConvType<T>](p);
      }
    });
    return scratch;
  }
  // A block of y as one matrix with rows args.stride apart, and back.
  const T* gather(const T* y, int64_t block, int64_t g, T* scratch) const {
    const T* const from = y + (first(block) * a.groups + g) * M * P;
    if (images == 1) return from;
    for (int64_t i = 0; i < count(block); ++i)
      for (int64_t m = 0; m < M; ++m)
        std::memcpy(scratch + m * args.stride + i * P, from + (i * a.groups * M + m) * P,
                    size_t(P) * sizeof(T));
    return scratch;
  }
  void scatter(const T* scratch, int64_t block, int64_t g, T* y) const {
    T* const to = y + (first(block) * a.groups + g) * M * P;
    for (int64_t i = 0; i < count(block); ++i)
      for (int64_t m = 0; m < M; ++m)
        std::memcpy(to + (i * a.groups * M + m) * P, scratch + m * args.stride + i * P,
                    size_t(P) * sizeof(T));
  }
  // scatter (or y in place), with an epilogue of this block and group.
  void finish(const T* from, int64_t block, int64_t g, T* y, const ConvEpilogue& e) const {
    T* const to = y + (first(block) * a.groups + g) * M * P;
    const double ns = double(count(block) * P) * 0.1 + 2;
    parallel_rows(M, ns, [&](int64_t begin, int64_t end) {
      for (int64_t i = 0; i < count(block); ++i) {
        const int64_t at = i * a.groups * M * P + begin * P;
        cpu_kernels().conv.finish[kConvType<T>]({from + begin * args.stride + i * P, args.stride,
                                                 to + at, P, end - begin, P, e.from<T>(begin, at)});
      }
    });
  }
  const ConvGeometry& a;
  const int64_t C, M, K, P;
  int64_t images = 1, blocks;
  PatchArgs args{};
};

// One image: y^T (P, M) = patches^T w^T with w^T in panels (gemm_panels), turned on its way to y.
template <class T>
void one_image(const ConvGeometry& a, const T* x, const T* panels, const ConvEpilogue& e, T* y) {
  const Patches<T> p(a, 2);  // cut for two threads, one image is a block
  const int64_t L = cpu_kernels().conv.lanes[kConvType<T>], blocks = ceil_div(p.M, L);
  Scratch scratch(p.bytes()), result(size_t(p.P * blocks * L) * sizeof(T));
  GemmArgs g{};
  g.M = p.P, g.N = p.M, g.K = p.K;
  g.a = p.columns(x, 0, 0, scratch.as<T>());
  g.a_row = 1, g.a_k = p.args.stride;
  g.b = panels;
  g.c = result.as<void>();
  g.c_row = blocks * L;
  gemm_panels(kConvType<T>, g);
  std::vector<int64_t> column;
  for (int64_t i = 0; i < p.P; ++i) column.push_back(i * g.c_row);
  parallel_rows(blocks, double(p.P * L) * 0.2, [&](int64_t begin, int64_t end) {
    ConvPixels v{};
    v.x = y;
    v.images = v.rows = 1;
    v.C = p.M;
    v.plane = v.W = p.P;
    v.pixels = result.as<T>() + begin * L;
    v.block = L;
    v.column = column.data();
    cpu_kernels().conv_lanes.scatter[kConvType<T>](v, begin, end, e);
  });
}

}  // namespace

template <class T>
int64_t PatchConv<T>::prepared(const ConvGeometry& a) {
  // OpenBLAS adds in another order.
  const bool few = a.N == 1 && a.groups == 1 && !a.whole_image() && conv_few_outputs(a);
  return few && gemm_panel_columns(kConvType<T>, a.OH * a.OW) && blas_in_use() == std::string("own")
             ? a.M * a.C * a.KH * a.KW
             : 0;
}
template <class T>
void PatchConv<T>::prepare(const ConvGeometry& a, const T* w, T* to) {
  const int64_t K = a.C * a.KH * a.KW, width = gemm_panel_columns(kConvType<T>, a.OH * a.OW);
  parallel_rows(ceil_div(a.M, width), double(K * width), [&](int64_t begin, int64_t end) {
    for (int64_t m = begin * width; m < std::min(end * width, a.M); m += width) {
      const int64_t n = std::min(width, a.M - m);
      for (int64_t k0 = 0; k0 < K; k0 += 16)  // a cache line of each row
        for (int64_t j = 0; j < n; ++j)
          for (int64_t k = k0; k < std::min(k0 + 16, K); ++k)
            to[m * K + k * n + j] = w[(m + j) * K + k];
    }
  });
}

template <class T>
void PatchConv<T>::forward(const ConvGeometry& a, const T* x, const ConvWeights<T>& w,
                           const ConvEpilogue& e, T* y) {
  if (a.whole_image()) {
    const int64_t K = a.C * a.H * a.W;
    Epilogue epilogue;  // all there is: planes of one element have no norm and no summand here
    epilogue.column_bias = e.bias;
    epilogue.relu = e.relu;
    return gemm<T>(false, true, a.N, a.M, K, x, K, w.given, K, y, a.M, false, &epilogue);
  }
  if (w.prepared) return one_image(a, x, w.prepared, e, y);
  const Patches<T> p(a, num_threads());
  const int64_t tasks = p.blocks * a.groups;
  const bool more = e.mean || e.summand;  // than a product's epilogue does
  parallel_rows(
      tasks, a.nanoseconds(kConvType<T>) / double(tasks), [&](int64_t begin, int64_t end) {
        Scratch scratch(p.bytes()), result(p.y_bytes());
        for (int64_t task = begin; task < end; ++task) {
          const int64_t block = task / a.groups, g = task % a.groups;
          const T* const columns = p.columns(x, block, g, scratch.as<T>());
          T* const to = p.images == 1 ? y + task * p.M * p.P : result.as<T>();
          Epilogue epilogue;
          const ConvEpilogue here = e.from<T>(g * p.M, (p.first(block) * a.groups + g) * p.M * p.P);
          epilogue.row_bias = here.bias;
          epilogue.relu = here.relu && !more;
          gemm<T>(false, false, p.M, p.count(block) * p.P, p.K, w.given + g * p.M * p.K, p.K,
                  columns, p.args.stride, to, p.args.stride, false, &epilogue);
          if (more)
            p.finish(to, block, g, y, here.rest());
          else if (p.images > 1)
            p.scatter(to, block, g, y);
        }
      });
}

template <class T>
void PatchConv<T>::input_grad(const ConvGeometry& a, const T* dy, const T* w, T* dx) {
  if (a.whole_image()) {
    const int64_t K = a.C * a.H * a.W;
    return gemm<T>(false, false, a.N, K, a.M, dy, a.M, w, K, dx, K);
  }
  const Patches<T> p(a, num_threads());
  const int64_t tasks = p.blocks * a.groups, plane = p.C * a.H * a.W;
  parallel_rows(tasks, a.nanoseconds(kConvType<T>) / double(tasks), [&](int64_t b, int64_t e) {
    Scratch scratch(p.bytes()), gathered(p.y_bytes());
    for (int64_t task = b; task < e; ++task) {
      const int64_t block = task / a.groups, g = task % a.groups;
      T* const to = dx + (p.first(block) * a.groups + g) * plane;
      T* const columns = p.in_place() ? to : scratch.as<T>();
      gemm<T>(true, false, p.K, p.count(block) * p.P, p.M, w + g * p.M * p.K, p.K,
              p.gather(dy, block, g, gathered.as<T>()), p.args.stride, columns, p.args.stride);
      if (p.in_place()) continue;
      for (int64_t i = 0; i < p.count(block); ++i) {
        PatchArgs args = p.args;
        args.x = to + i * a.groups * plane;
        args.columns = columns + i * p.P;
        std::memset(args.x, 0, size_t(plane) * sizeof(T));
        cpu_kernels().conv.col2im[kConvType<T>](args);
      }
    }
  });
}

template <class T>
void PatchConv<T>::weight_grad(const ConvGeometry& a, const T* x, const T* dy, T* dw) {
  if (a.whole_image()) {
    const int64_t K = a.C * a.H * a.W;
    return gemm<T>(true, false, a.M, K, a.N, dy, a.M, x, K, dw, K);
  }
  const Patches<T> p(a, 2);
  const int64_t elements = a.M * p.K;
  const double ns = a.nanoseconds(kConvType<T>);
  const int64_t chunks = conv_chunks(p.blocks, elements, ns);
  Scratch sums(size_t(elements * (chunks - 1)) * sizeof(T));
  T* const rest = sums.as<T>();
  parallel_rows(chunks, ns / double(chunks), [&](int64_t b, int64_t e) {
    Scratch scratch(p.bytes()), gathered(p.y_bytes());
    for (int64_t chunk = b; chunk < e; ++chunk) {
      T* const sum = chunk ? rest + (chunk - 1) * elements : dw;
      std::memset(sum, 0, size_t(elements) * sizeof(T));
      const int64_t first = p.blocks * chunk / chunks, last = p.blocks * (chunk + 1) / chunks;
      for (int64_t task = first * a.groups; task < last * a.groups; ++task) {
        const int64_t block = task / a.groups, g = task % a.groups;
        const T* const columns = p.columns(x, block, g, scratch.as<T>());
        gemm<T>(false, true, p.M, p.K, p.count(block) * p.P,
                p.gather(dy, block, g, gathered.as<T>()), p.args.stride, columns, p.args.stride,
                sum + g * p.M * p.K, p.K, true);
      }
    }
  });
  for (int64_t chunk = 0; chunk + 1 < chunks; ++chunk)
    parallel_rows(elements, 0.3, [&](int64_t begin, int64_t end) {
      const T* const from = rest + chunk * elements;
      for (int64_t i = begin; i < end; ++i) dw[i] += from[i];
    });
}

template struct PatchConv<float>;
template struct PatchConv<double>;

}  // namespace lamina
