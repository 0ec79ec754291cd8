// Arguments and table entries of the update kernels (included by kernels.h inside namespace
// lamina).
#pragma once

// One optimizer step of one parameter p with gradient g. The meaning of s and k is the kernel's
// (ops/update_cpu.h, ops/update_more_cpu.h); all arrays are dense with n elements of the same type.
struct UpdateArgs {
  void* p;
  const void* g;
  void* s[3];
  double k[9];
};
// The same for a device, one struct for a launch: the kernel is that of the op's name and `flags`.
// Where the group's numbers lie on the device, k and flags are formed there (ops/update_numbers.h).
struct DeviceUpdate {
  UpdateArgs args;
  int64_t n;
  int flags;
  DType dtype;         // of p, g and s; those of half precision are updated in float32
  float* counters[3];  // null: there is none
  double* started;     // the parameter's mark
};
struct DeviceUpdates {
  const DeviceUpdate* list;
  int count;
  const double* numbers;  // of the device, or null
  bool has[3], nesterov;
};
using UpdateFn = void (*)(const UpdateArgs& a, int64_t begin, int64_t end);

// Bits of the index of each kernel table below.
enum SgdFlags { kSgdDecay = 1, kSgdMomentum = 2, kSgdNesterov = 4, kSgdFirst = 8, kSgdKinds = 16 };
enum AdamFlags { kAdamDecay = 1, kAdamMax = 2, kAdamKinds = 4 };
enum RmspropFlags { kRmsDecay = 1, kRmsMomentum = 2, kRmsCentered = 4, kRmsKinds = 8 };
enum AdagradFlags { kAdagradDecay = 1, kAdagradKinds = 2 };
enum AdadeltaFlags { kAdadeltaDecay = 1, kAdadeltaKinds = 2 };
enum AdamaxFlags { kAdamaxDecay = 1, kAdamaxKinds = 2 };
enum NadamFlags { kNadamDecay = 1, kNadamKinds = 2 };
enum RadamFlags { kRadamDecay = 1, kRadamPlain = 2, kRadamKinds = 4 };
enum RpropFlags { kRpropKinds = 1 };
enum AsgdFlags { kAsgdDecay = 1, kAsgdCopy = 2, kAsgdKinds = 4 };
enum LionFlags { kLionKinds = 1 };

struct UpdateKernels {  // [kF32 or kF64][flags]
  UpdateFn sgd[2][kSgdKinds] = {};
  UpdateFn adam[2][kAdamKinds] = {};
  UpdateFn rmsprop[2][kRmsKinds] = {};
  UpdateFn adagrad[2][kAdagradKinds] = {};
  UpdateFn adadelta[2][kAdadeltaKinds] = {};
  UpdateFn adamax[2][kAdamaxKinds] = {};
  UpdateFn nadam[2][kNadamKinds] = {};
  UpdateFn radam[2][kRadamKinds] = {};
  UpdateFn rprop[2][kRpropKinds] = {};
  UpdateFn asgd[2][kAsgdKinds] = {};
  UpdateFn lion[2][kLionKinds] = {};
};
