// grid_sample (formulas: cpp/ops/grid.cpp): a thread works out the corners of one point and uses
// them for all its channels, whose planes neighbouring threads read near each other.
//
// The gradient of the input adds up what many points send to one element: the corners are sorted by
// the element they lie on (stably, so that the order is the points'), and a thread adds up one
// element of one channel. Cost: 2^nd gathered elements a point and channel; the gradient of the
// input also sorts N 2^nd P numbers.
#include "ops/grid_args.h"

#include "launch.h"
#include "number.h"
#include "sort.h"
#include "table.h"

namespace lamina::cuda {
namespace {

constexpr int kCorners = 8;

// The corners of a point: corner k takes side (k >> d & 1) of dimension d.
template <class T>
struct Corners {
  const GridCall& a;
  int count;
  GridTaps<T> t[3];
  __device__ Corners(const GridCall& a, const T* point) : a(a), count(a.nearest ? 1 : 1 << a.nd) {
    for (int d = 0; d < a.nd; ++d) t[d] = grid_taps(point[d], a.size[d], a);
  }
  __device__ int64_t place(int k) const {
    int64_t at = 0;
    for (int d = a.nd - 1; d >= 0; --d) at = at * a.size[d] + t[d].index[k >> d & 1];
    return at;
  }
  __device__ T weight(int k) const {
    T w = 1;
    for (int d = a.nd - 1; d >= 0; --d) w *= t[d].weight[k >> d & 1];
    return w;
  }
  __device__ T slope(int k, int by) const {  // of the weight, by coordinate `by`
    T s = 1;
    for (int d = 0; d < a.nd; ++d) s *= d == by ? t[d].slope[k >> d & 1] : t[d].weight[k >> d & 1];
    return s;
  }
};

template <class T>
__global__ void sample_kernel(const GridCall a, const T* x, const T* grid, T* y) {
  LAMINA_GRID_STRIDE(e, a.N * a.P) {
    const int64_t n = e / a.P, p = e % a.P;
    const Corners<T> corners(a, grid + e * a.nd);
    int64_t place[kCorners];
    T weight[kCorners];
    for (int k = 0; k < corners.count; ++k)
      place[k] = corners.place(k), weight[k] = corners.weight(k);
    for (int64_t c = 0; c < a.C; ++c) {
      const T* const plane = x + (n * a.C + c) * a.plane();
      T sum = 0;
      for (int k = 0; k < corners.count; ++k) sum += weight[k] * plane[place[k]];
      y[(n * a.C + c) * a.P + p] = sum;
    }
  }
}

template <class T>
__global__ void grid_kernel(const GridCall a, const T* g, const T* x, const T* grid, T* to) {
  LAMINA_GRID_STRIDE(e, a.N * a.P) {
    const int64_t n = e / a.P, p = e % a.P;
    const Corners<T> corners(a, grid + e * a.nd);
    for (int d = 0; d < a.nd; ++d) {
      int64_t place[kCorners];
      T slope[kCorners], sum = 0;
      for (int k = 0; k < corners.count; ++k)
        place[k] = corners.place(k), slope[k] = corners.slope(k, d);
      for (int64_t c = 0; c < a.C; ++c) {
        const T* const plane = x + (n * a.C + c) * a.plane();
        T inner = 0;
        for (int k = 0; k < corners.count; ++k) inner += slope[k] * plane[place[k]];
        sum += inner * g[(n * a.C + c) * a.P + p];
      }
      to[e * a.nd + d] = sum;
    }
  }
}

// Corner k of point e of all samples, at e * count + k: where it lies among the N planes.
template <class T>
__global__ void places_kernel(const GridCall a, const T* grid, int32_t* keys, T* weights) {
  LAMINA_GRID_STRIDE(e, a.N * a.P) {
    const Corners<T> corners(a, grid + e * a.nd);
    for (int k = 0; k < corners.count; ++k) {
      keys[e * corners.count + k] = int32_t(e / a.P * a.plane() + corners.place(k));
      weights[e * corners.count + k] = corners.weight(k);
    }
  }
}
// Thread (element of the N planes, channel): the run of the sorted corners that lies there.
template <class T>
__global__ void collect_kernel(const GridCall a, const T* g, const int32_t* keys,
                               const int32_t* order, const T* weights, int64_t corners, int count,
                               T* gx) {
  LAMINA_GRID_STRIDE(e, a.N * a.C * a.plane()) {
    const int64_t place = e % a.plane(), c = e / a.plane() % a.C, n = e / a.plane() / a.C;
    const int64_t key = n * a.plane() + place;
    int64_t low = 0, high = corners;  // the first corner that lies there
    while (low < high) {
      const int64_t mid = (low + high) / 2;
      keys[mid] < key ? low = mid + 1 : high = mid;
    }
    const T* const from = g + (n * a.C + c) * a.P;
    T sum = 0;
    for (; low < corners && keys[low] == key; ++low) {
      const int32_t corner = order[low];
      sum += weights[corner] * from[corner / count - n * a.P];
    }
    gx[e] = sum;
  }
}

template <class T>
const T* in(const DeviceCall& c, int i) {
  return static_cast<const T*>(c.in[i].data);
}
template <class T>
void sample_of(const DeviceCall& c, const GridCall& a) {
  launch(c, sample_kernel<T>, dim3(blocks_for(a.N * a.P)), dim3(kBlock), 0, a, in<T>(c, 0),
         in<T>(c, 1), static_cast<T*>(c.out[0].data));
}
template <class T>
void grid_of(const DeviceCall& c, const GridCall& a) {
  launch(c, grid_kernel<T>, dim3(blocks_for(a.N * a.P)), dim3(kBlock), 0, a, in<T>(c, 0),
         in<T>(c, 1), in<T>(c, 2), static_cast<T*>(c.out[0].data));
}
template <class T>
void input_of(const DeviceCall& c, const GridCall& a) {
  const int count = a.nearest ? 1 : 1 << a.nd;
  const int64_t corners = a.N * a.P * count;
  if (corners > INT32_MAX || a.N * a.plane() > INT32_MAX)
    fail(kNotImplemented, "%s: more than 2^31 corners or elements are not supported on CUDA",
         c.name);
  const Scratch weights(c.device, size_t(corners) * sizeof(T)),
      sorted(c.device, size_t(corners) * 8);
  int32_t *const keys = sorted.as<int32_t>(), *const order = keys + corners;
  if (corners)
    launch(c, places_kernel<T>, dim3(blocks_for(a.N * a.P)), dim3(kBlock), 0, a, in<T>(c, 1), keys,
           weights.as<T>());
  sort_keys(c, keys, order, corners, a.N * a.plane());
  launch(c, collect_kernel<T>, dim3(blocks_for(a.N * a.C * a.plane())), dim3(kBlock), 0, a,
         in<T>(c, 0), static_cast<const int32_t*>(keys), static_cast<const int32_t*>(order),
         static_cast<const T*>(weights.as<T>()), corners, count, static_cast<T*>(c.out[0].data));
}

template <void (*f32)(const DeviceCall&, const GridCall&),
          void (*f64)(const DeviceCall&, const GridCall&)>
void run(const DeviceCall& c) {
  const auto& a = *static_cast<const GridCall*>(c.args);
  if (c.out[0].numel()) c.in[0].dtype == DType::float64 ? f64(c, a) : f32(c, a);
}

const Launches kLaunches{{"grid_sample", run<sample_of<float>, sample_of<double>>},
                         {"grid_sample_input_grad", run<input_of<float>, input_of<double>>},
                         {"grid_sample_grid_grad", run<grid_of<float>, grid_of<double>>}};

}  // namespace
}  // namespace lamina::cuda
