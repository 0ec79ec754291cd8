// What a function computes in while a region of mixed precision (ops/autocast.h) is active.
#pragma once
#include <cstdint>

namespace lamina {

// given: the types it is given. lower: the region's half type. float32; and of inputs of several
// types the widest.
enum class Cast : uint8_t { given, lower, float32, widest };

// By device: PyTorch's rules for the CPU and for CUDA differ.
struct Autocast {
  Cast cpu = Cast::given, cuda = Cast::given;
};
constexpr Autocast kGiven{}, kLower{Cast::lower, Cast::lower},
    kFloat32{Cast::float32, Cast::float32}, kFloat32OnCPU{Cast::float32, Cast::given},
    kFloat32OnCuda{Cast::given, Cast::float32}, kLowerOnCuda{Cast::given, Cast::lower},
    kWidestOnCPU{Cast::widest, Cast::given}, kWidestOnCuda{Cast::given, Cast::widest};

}  // namespace lamina
