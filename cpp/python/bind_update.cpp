// The functions of ops/update.h as Python builtins.
#include "ops/loss_scale.h"
#include "ops/update.h"
#include "python/bind.h"

namespace lamina {
static const Methods methods{
    def<set_numbers>("set_numbers"),     def<sgd_step>("sgd_step"),
    def<adam_step>("adam_step"),         def<rmsprop_step>("rmsprop_step"),
    def<adagrad_step>("adagrad_step"),   def<clear_grads>("clear_grads"),
    def<adadelta_step>("adadelta_step"), def<adamax_step>("adamax_step"),
    def<nadam_step>("nadam_step"),       def<radam_step>("radam_step"),
    def<rprop_step>("rprop_step"),       def<asgd_step>("asgd_step"),
    def<lion_step>("lion_step"),         def<step_unless>("step_unless"),
    def<unscale_>("unscale_"),           def<update_scale_>("update_scale_"),
};
}  // namespace lamina
