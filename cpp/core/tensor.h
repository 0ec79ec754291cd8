// Tensor: a handle on (storage, offset, shape, strides, dtype) plus what autograd needs.
//
// Handles are counted references; copying one is cheap and shares everything. Views share storage
// and its version counter. The tape is not a list somewhere: a tensor holds the Call that made it.
#pragma once
#include <memory>
#include <vector>

#include "core/dims.h"
#include "core/dtype.h"
#include "core/storage.h"

namespace lamina {

struct TensorImpl;
struct Call;
void destroy(TensorImpl* t);
void destroy(Call* c);
using CallRef = Ref<Call>;

class Tensor {
 public:
  Tensor() = default;
  explicit Tensor(TensorImpl* impl) : impl_(impl) {}
  // Shape and dtype only; storage comes later (apply) or from another tensor (a view).
  static Tensor meta(const Dims& shape, DType dtype, Device device = {});
  static Tensor view_of(const Tensor& base, const Dims& shape, const Dims& strides, int64_t offset);

  static Tensor uncounted(const Tensor& t) {
    Tensor u;
    u.impl_ = Ref<TensorImpl>::uncounted(t.get());
    return u;
  }
  void forget() { impl_.forget(); }

  bool defined() const { return bool(impl_); }
  TensorImpl* operator->() const { return impl_.get(); }
  TensorImpl& operator*() const { return *impl_; }
  TensorImpl* get() const { return impl_.get(); }
  bool same(const Tensor& o) const { return impl_ == o.impl_; }

  const Dims& shape() const;
  const Dims& strides() const;
  int dim() const;
  int64_t size(int d) const;  // negative counts from the end
  int64_t stride(int d) const;
  int64_t numel() const;
  DType dtype() const;
  Device device() const;
  bool is_contiguous() const;
  bool requires_grad() const;
  template <class T = void>
  T* data() const {
    return static_cast<T*>(raw());
  }

 private:
  void* raw() const;
  Ref<TensorImpl> impl_;
};

using Tensors = std::vector<Tensor>;
using TensorHook = std::function<Tensor(const Tensor& g)>;

// How a view under autograd hangs on its base (see tape/inplace.cpp).
struct ViewInfo {
  Tensor base;        // never itself a view
  uint32_t seen = 0;  // base's rebase count when this view's call was last right
};

struct TensorImpl : RefCounted {
  StorageRef storage;
  int64_t offset = 0;  // in elements
  Dims shape, strides;
  DType dtype = DType::float32;
  Device device;
  bool requires_grad = false;   // a leaf the user asked for; a made tensor has `call`
  bool wrapped_number = false;  // a Python scalar: takes part weakly in promotion
  bool unwatched = false;       // `.data` or a view of it: counts writes apart
  uint32_t index = 0;           // which output of `call`
  uint32_t rebased = 0;         // in-place writes through views of this tensor that were recorded
  CallRef call;
  Tensor grad;
  std::unique_ptr<ViewInfo> view;
  std::unique_ptr<std::vector<std::pair<int64_t, TensorHook>>> hooks;  // of a leaf
  std::shared_ptr<TensorImpl*> self;  // for those who must know when it is gone (retain_grad)
  void* py = nullptr;                 // the living Python object, if any (borrowed)

  ~TensorImpl() {
    if (self) *self = nullptr;
  }

  bool tracked() const { return requires_grad || bool(call); }
  uint32_t& version() const { return unwatched ? storage->data_version : storage->version; }
};

inline const Dims& Tensor::shape() const { return impl_->shape; }
inline const Dims& Tensor::strides() const { return impl_->strides; }
inline int Tensor::dim() const { return impl_->shape.n; }
inline int64_t Tensor::size(int d) const { return impl_->shape[d]; }
inline int64_t Tensor::stride(int d) const { return impl_->strides[d]; }
inline int64_t Tensor::numel() const { return impl_->shape.product(); }
inline DType Tensor::dtype() const { return impl_->dtype; }
inline Device Tensor::device() const { return impl_->device; }
inline bool Tensor::requires_grad() const { return impl_->tracked(); }
inline void* Tensor::raw() const {
  return static_cast<char*>(impl_->storage->data) + impl_->offset * item_size(impl_->dtype);
}

// Uninitialised memory for all elements of a tensor without any; throws for a shape beyond all
// memory.
void give_storage(const Tensor& t);
// Uninitialised dense tensor.
Tensor empty(const Dims& shape, DType dtype = DType::float32, Device device = {});
// The same memory without history: shares storage and version counter.
Tensor alias(const Tensor& t);
// "(2, 3) float32", for messages.
std::ostream& operator<<(std::ostream& out, const Tensor& t);

// Maps a possibly negative dimension into [0, n); n = 0 counts as one dimension, as in PyTorch.
int wrap_dim(const char* op, int64_t dim, int n);
// The shape both broadcast to; throws naming both.
Dims broadcast_shapes(const char* op, const Dims& a, const Dims& b);

}  // namespace lamina
