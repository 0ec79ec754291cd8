// A short list of sizes or strides, held inline; and a vector that stays inline while it is short.
#pragma once
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <new>
#include <ostream>
#include <utility>
#include <vector>

#include "core/error.h"

namespace lamina {

constexpr int kMaxDims = 12;

struct Dims {
  int n = 0;
  int64_t v[kMaxDims];

  Dims() = default;
  Dims(const Dims& o) : n(o.n) { std::memcpy(v, o.v, sizeof(int64_t) * n); }
  Dims& operator=(const Dims& o) {
    n = o.n;
    std::memmove(v, o.v, sizeof(int64_t) * n);
    return *this;
  }
  Dims(std::initializer_list<int64_t> list) {
    for (int64_t x : list) push(x);
  }
  Dims(const std::vector<int64_t>& list) {
    for (int64_t x : list) push(x);
  }
  static Dims filled(int n, int64_t value) {
    Dims d;
    for (int i = 0; i < n; ++i) d.push(value);
    return d;
  }
  void push(int64_t x) {
    check(n < kMaxDims, ErrorKind::shape, "tensor: more than ", kMaxDims,
          " dimensions are not supported; merge some with reshape");
    v[n++] = x;
  }
  void insert(int at, int64_t x) {
    push(x);
    for (int i = n - 1; i > at; --i) v[i] = v[i - 1];
    v[at] = x;
  }
  void erase(int at) {
    for (int i = at; i + 1 < n; ++i) v[i] = v[i + 1];
    --n;
  }
  int64_t& operator[](int i) { return v[i < 0 ? i + n : i]; }
  int64_t operator[](int i) const { return v[i < 0 ? i + n : i]; }
  int64_t back() const { return v[n - 1]; }
  const int64_t* begin() const { return v; }
  const int64_t* end() const { return v + n; }
  bool operator==(const Dims& o) const {
    if (n != o.n) return false;
    for (int i = 0; i < n; ++i)
      if (v[i] != o.v[i]) return false;
    return true;
  }
  bool operator!=(const Dims& o) const { return !(*this == o); }
  int64_t product() const {
    int64_t p = 1;
    for (int i = 0; i < n; ++i) p *= v[i];
    return p;
  }
};

// Prints as Python does: (2, 3), (5,), ().
inline std::ostream& operator<<(std::ostream& out, const Dims& d) {
  out << '(';
  for (int i = 0; i < d.n; ++i) out << (i ? ", " : "") << d.v[i];
  return out << (d.n == 1 ? ",)" : ")");
}

// Row-major strides of a dense tensor (a size-0 or size-1 dimension counts as 1).
inline void contiguous_strides(const Dims& shape, Dims& s) {
  s.n = shape.n;
  int64_t step = 1;
  for (int i = shape.n - 1; i >= 0; --i) {
    s.v[i] = step;
    step *= shape.v[i] > 1 ? shape.v[i] : 1;
  }
}
inline Dims contiguous_strides(const Dims& shape) {
  Dims s;
  contiguous_strides(shape, s);
  return s;
}

// A vector whose first N elements live inside it.
template <class T, int N>
class SmallVec {
 public:
  SmallVec() = default;
  SmallVec(std::initializer_list<T> list) {
    for (const T& x : list) push_back(x);
  }
  SmallVec(const SmallVec& o) {
    for (const T& x : o) push_back(x);
  }
  SmallVec(SmallVec&& o) noexcept { take(o); }
  SmallVec& operator=(SmallVec o) noexcept {
    clear_all();
    take(o);
    return *this;
  }
  ~SmallVec() { clear_all(); }
  void push_back(T x) {
    if (size_ == capacity_) grow();
    new (data_ + size_++) T(std::move(x));
  }
  T& emplace_back() {  // T's default, which may leave fields unset
    if (size_ == capacity_) grow();
    return *new (data_ + size_++) T;
  }
  void resize(int n) {
    while (size_ > n) data_[--size_].~T();
    while (size_ < n) push_back(T());
  }
  void clear() { resize(0); }
  int size() const { return size_; }
  bool empty() const { return size_ == 0; }
  T& operator[](int i) { return data_[i]; }
  const T& operator[](int i) const { return data_[i]; }
  T* begin() { return data_; }
  T* end() { return data_ + size_; }
  const T* begin() const { return data_; }
  const T* end() const { return data_ + size_; }
  T& back() { return data_[size_ - 1]; }

 private:
  T* inline_data() { return reinterpret_cast<T*>(buffer_); }
  void take(SmallVec& o) {
    if (o.data_ == o.inline_data()) {
      for (T& x : o) push_back(std::move(x));
      o.clear();
    } else {
      data_ = std::exchange(o.data_, o.inline_data());
      size_ = std::exchange(o.size_, 0);
      capacity_ = std::exchange(o.capacity_, N);
    }
  }
  void clear_all() {
    clear();
    if (data_ != inline_data()) ::operator delete(data_);
    data_ = inline_data();
    capacity_ = N;
  }
  void grow() {
    const int capacity = capacity_ * 2;
    T* p = static_cast<T*>(::operator new(sizeof(T) * unsigned(capacity)));
    for (int i = 0; i < size_; ++i) {
      new (p + i) T(std::move(data_[i]));
      data_[i].~T();
    }
    if (data_ != inline_data()) ::operator delete(data_);
    data_ = p;
    capacity_ = capacity;
  }
  alignas(T) unsigned char buffer_[sizeof(T) * N];
  T* data_ = inline_data();
  int size_ = 0, capacity_ = N;
};

}  // namespace lamina
