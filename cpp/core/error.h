// Typed errors. Text: `op: what is wrong, with the values; what to do`.
#pragma once
#include <sstream>
#include <stdexcept>
#include <string>

namespace lamina {

// Each kind becomes one Python exception (bindings: errors.cpp).
enum class ErrorKind { runtime, shape, dtype, value, index, type, device, memory, not_implemented };

class Error : public std::runtime_error {
 public:
  Error(ErrorKind kind, const std::string& text) : std::runtime_error(text), kind(kind) {}
  ErrorKind kind;
};

template <class... Parts>
[[noreturn]] void fail(ErrorKind kind, const Parts&... parts) {
  std::ostringstream text;
  (text << ... << parts);
  throw Error(kind, text.str());
}

template <class... Parts>
inline void check(bool ok, ErrorKind kind, const Parts&... parts) {
  if (__builtin_expect(!ok, 0)) fail(kind, parts...);
}

}  // namespace lamina
