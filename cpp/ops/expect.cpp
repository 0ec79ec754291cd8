// An error unless all of a boolean tensor holds: what looks at values only to refuse bad ones. A
// replayed step looks again, which it could not if Python read the answer.
#include "ops/expect.h"

#include <mutex>
#include <unordered_set>

#include "ops/expect_args.h"
#include "ops/ops.h"

namespace lamina {
namespace {

void infer(Call& c) {
  check(c.in[0].dtype() == DType::boolean, ErrorKind::dtype,
        "expect: expected a boolean tensor, got ", c.in[0]);
}
void launch(Call& c) {
  const auto& a = c.args<ExpectArgs>();
  const auto* ok = c.in[0].data<uint8_t>();
  const int64_t n = c.in[0].numel();
  int64_t i = 0;
  while (i < n && ok[i]) ++i;
  check(i == n, ErrorKind(a.kind), a.message);
}
const Op kExpect{
    .name = "expect", .infer = infer, .launch = launch, .differentiable = false, .checks = true};

}  // namespace

void expect(const Tensor& ok, const std::string& message, const std::string& error) {
  static std::mutex lock;
  static std::unordered_set<std::string> messages;
  ExpectArgs args{nullptr, nullptr,
                  int64_t(error == "index"     ? ErrorKind::index
                          : error == "runtime" ? ErrorKind::runtime
                                               : ErrorKind::value)};
  {
    std::lock_guard<std::mutex> guard(lock);
    args.message = messages.insert(message).first->c_str();
    std::string format;
    for (const char c : message) format += c == '%' ? std::string("%%") : std::string(1, c);
    args.format = messages.insert(format).first->c_str();
  }
  run(make_call(kExpect, std::initializer_list<Tensor>{contiguous(ok)}, args));
}

}  // namespace lamina
