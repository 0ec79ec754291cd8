#include "ops/update.h"
#include "python/bind.h"

namespace lamina {
static const Methods methods{
    def<set_numbers>("set_numbers"),   def<sgd_step>("sgd_step"),
    def<adam_step>("adam_step"),       def<rmsprop_step>("rmsprop_step"),
    def<adagrad_step>("adagrad_step"), def<clear_grads>("clear_grads"),
};
}  // namespace lamina
