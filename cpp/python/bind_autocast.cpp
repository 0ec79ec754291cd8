// The mode of mixed precision of this thread (ops/autocast.h), for lamina.amp.
#include "ops/autocast.h"

#include "python/bind.h"

namespace lamina {

// device: 0 the CPU, 1 CUDA.
static bool autocast_enabled(int64_t device) { return autocast_mode().on[device != 0]; }
static DType autocast_dtype(int64_t device) { return autocast_mode().lower[device != 0]; }
static bool autocast_cache() { return autocast_mode().cache; }
static void set_autocast(int64_t device, bool on, DType lower, bool cache) {
  AutocastMode mode = autocast_mode();
  mode.on[device != 0] = on;
  mode.lower[device != 0] = lower;
  mode.cache = cache;
  set_autocast_mode(mode);
}
static bool autocast_anywhere() { return autocasting(); }

static const Methods methods{
    def<autocast_enabled>("autocast_enabled"),
    def<autocast_dtype>("autocast_dtype"),
    def<autocast_cache>("autocast_cache"),
    def<set_autocast>("set_autocast"),
    def<autocast_anywhere>("autocast_anywhere"),
    def<suspend_autocast>("autocast_suspend"),
    def<autocast_depth>("autocast_depth"),
    def<autocast_key>("autocast_key"),
    def<clear_autocast_cache>("clear_autocast_cache"),
};
}  // namespace lamina
