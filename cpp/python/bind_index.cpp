// The functions of ops/index.h as Python builtins.
#include "ops/index.h"
#include "python/bind.h"

namespace lamina {
static const Methods methods{
    def<index>("index"),
    def<index_put>("index_put", kWidestOnCuda),
    def<index_put_>("index_put_"),
    def<index_select>("index_select"),
    def<index_add>("index_add"),
    def<index_copy>("index_copy", kWidestOnCPU),
    def<index_fill>("index_fill"),
    def<take>("take"),
    def<nonzero>("nonzero"),
    def<masked_fill>("masked_fill"),
    def<masked_fill_>("masked_fill_"),
    def<masked_select>("masked_select"),
    def<masked_scatter>("masked_scatter"),
    def<gather>("gather"),
    def<scatter>("scatter"),
    def<scatter_>("scatter_"),
    def<embedding>("embedding"),
    def<embedding_bag_sum>("embedding_bag_sum"),
};
}  // namespace lamina
