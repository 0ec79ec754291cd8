// Intrusive reference counting: one word in the object, no control block.
#pragma once
#include <atomic>
#include <cstdint>
#include <utility>

namespace lamina {

class RefCounted {
 public:
  RefCounted() = default;
  RefCounted(const RefCounted&) = delete;
  RefCounted& operator=(const RefCounted&) = delete;
  void retain() const { refs_.fetch_add(1, std::memory_order_relaxed); }
  // The first reference to a new object, which nobody else knows: no locked instruction, which
  // costs as much as twenty others; most objects of an op have but one owner.
  void retain_first() const {
    if (refs_.load(std::memory_order_relaxed))
      retain();
    else
      refs_.store(1, std::memory_order_relaxed);
  }
  // Whether that was the last one. Who has the only one is alone: nobody can add another.
  bool release() const {
    return refs_.load(std::memory_order_acquire) == 1 ||
           refs_.fetch_sub(1, std::memory_order_acq_rel) == 1;
  }
  // Acquire: who finds itself the only holder sees what the others did before they let go.
  uint32_t refs() const { return refs_.load(std::memory_order_acquire); }

 private:
  mutable std::atomic<uint32_t> refs_{0};
};

template <class T>
class Ref {
 public:
  Ref() = default;
  Ref(std::nullptr_t) {}
  explicit Ref(T* p) : p_(p) {
    if (p_) p_->retain_first();
  }
  Ref(const Ref& o) : p_(o.p_) {
    if (p_) p_->retain();
  }
  Ref(Ref&& o) noexcept : p_(std::exchange(o.p_, nullptr)) {}
  Ref& operator=(Ref o) noexcept {
    std::swap(p_, o.p_);
    return *this;
  }
  ~Ref() {
    if (p_ && p_->release()) destroy(p_);
  }
  // A handle that is not counted; whoever makes it sees to it that it is forgotten, not destroyed.
  static Ref uncounted(T* p) {
    Ref r;
    r.p_ = p;
    return r;
  }
  void forget() { p_ = nullptr; }
  T* get() const { return p_; }
  T* operator->() const { return p_; }
  T& operator*() const { return *p_; }
  explicit operator bool() const { return p_ != nullptr; }
  bool operator==(const Ref& o) const { return p_ == o.p_; }
  bool operator!=(const Ref& o) const { return p_ != o.p_; }

 private:
  T* p_ = nullptr;
};

}  // namespace lamina
