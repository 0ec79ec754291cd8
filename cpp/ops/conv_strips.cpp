// The lists of conv_strips.h.
#include "ops/conv_strips.h"

#include "core/ceil_div.h"

namespace lamina {
namespace {

constexpr int64_t kBlockElements = 128 * 1024;  // of a block's inputs: half of a 1 MB L2
constexpr int64_t kTogether = 14, kMost = 42;   // images at most; where weights are many
constexpr int64_t kSmallPlane = 400;            // outputs of a plane whose images go together

}  // namespace

ConvStrips::ConvStrips(ConvAxis r, ConvAxis c, int64_t N, int64_t C, int64_t M, int64_t KH,
                       int64_t KW, int64_t L, bool whole, int64_t shares, bool many_weights)
    : rows(std::move(r)), columns(std::move(c)), N(N), C(C), M(M), KW(KW), taps(KH * KW), L(L) {
  together = N >= 4 && columns.count(0) < 14 && columns.count(0) % 8 != 0 &&
             rows.out * columns.out <= kSmallPlane;
  by_panels = together && many_weights;
  if (by_panels)
    groups = ceil_div(N, std::clamp(kBlockElements / (C * rows.in * columns.in), kTogether, kMost));
  else
    groups = together ? std::min(N, ceil_div(ceil_div(N, kTogether), shares) * shares) : N;
  images = ceil_div(N, groups);
  groups = ceil_div(N, images);
  const int64_t out = rows.out;
  for (int64_t y = 0; y < out; ++y) {
    int64_t lo = rows.in, hi = 0;
    for (const ConvAxis::Tap& tap : rows.classes[size_t(y % rows.step)]) {
      const int64_t source = tap.first + rows.stride * (y / rows.step);
      if (source < 0 || source >= rows.in) continue;
      lo = std::min(lo, source), hi = std::max(hi, source + 1);
    }
    low.push_back(lo), high.push_back(hi);
  }
  // Inputs: columns of one residue modulo the stride together, so that a strip's are neighbours.
  const int64_t blocks = ceil_div(C, L), left = together ? 0 : columns.left;
  const int64_t width =
      together ? columns.in : left + columns.in + std::max(columns.right, int64_t(0));
  const int64_t residues = together ? 1 : columns.stride;
  phase = ceil_div(width, residues);
  u_row = residues * phase * images * L;
  for (int64_t w = 0; w < columns.in; ++w) u_column.push_back(place(w + left) * images * L);
  v_row = columns.out * images * L;
  for (int64_t w = 0; w < columns.out; ++w) v_column.push_back(w * images * L);
  const int64_t per_row =
      u_row * blocks * rows.stride / rows.step + (whole ? v_row * ceil_div(M, L) : 0);
  height = std::clamp<int64_t>(kBlockElements / std::max<int64_t>(per_row, 1),
                               std::min<int64_t>(4 * rows.step, out), out);
  if (rows.step == 1) {  // rows seen by the taps, whatever their number, are brought for each piece
    int64_t span = 0;
    for (const ConvAxis::Tap& tap : rows.classes[0]) span = std::max(span, tap.first + rows.left);
    height = std::min(std::max(height, span / rows.stride), out);
  }
  if (groups < shares) height = std::min(height, ceil_div(out, ceil_div(shares, groups)));
  if (together) height = out;
  pieces = ceil_div(out, height);
  height = ceil_div(out, pieces);
  pieces = ceil_div(out, height);
  u_rows = 0;
  for (int64_t piece = 0; piece < pieces; ++piece) {
    const auto [lo, hi] = sources(piece);
    u_rows = std::max(u_rows, hi - lo);
  }
  u_block = odd(u_rows * u_row), v_block = odd(height * v_row);
  make_strips(left);
}

std::pair<int64_t, int64_t> ConvStrips::sources(int64_t piece) const {
  int64_t lo = rows.in, hi = 0;
  for (int64_t y = piece * height; y < std::min(rows.out, (piece + 1) * height); ++y)
    lo = std::min(lo, low[size_t(y)]), hi = std::max(hi, high[size_t(y)]);
  return {lo < hi ? lo : 0, lo < hi ? hi : 0};
}

void ConvStrips::make_strips(int64_t left) {
  std::vector<size_t> begin;  // of each strip's taps
  const auto strip = [&](int64_t y, const std::vector<ConvAxis::Tap>& across, int64_t x, int64_t j,
                         int64_t count) {
    begin.push_back(tap_list.size());
    for (const ConvAxis::Tap& r : rows.classes[size_t(y % rows.step)]) {
      const int64_t h = r.first + rows.stride * (y / rows.step);
      if (h < 0 || h >= rows.in) continue;
      for (const ConvAxis::Tap& c : across) {
        const int64_t w = c.first + columns.stride * j;
        if (together && (w < 0 || w >= columns.in)) continue;
        tap_list.push_back({h * u_row + place(w + left) * images * L, (r.k * KW + c.k) * C});
      }
    }
    const int64_t c = y * v_row + x * images * L;
    if (together && follows(c, begin)) {
      tap_list.resize(begin.back());
      begin.pop_back();
      strips.back().rows += count;
      return;
    }
    strips.push_back({c, together ? L : columns.step * L, count, nullptr, 0});
  };
  for (int64_t y = 0; y < rows.out; ++y) {
    first_strip.push_back(int64_t(strips.size()));
    for (int64_t q = 0; q < columns.step; ++q) {
      const auto& across = columns.classes[size_t(q)];
      if (!together && columns.count(q)) strip(y, across, q, 0, columns.count(q));
      for (int64_t j = 0; together && j < columns.count(q); ++j)
        strip(y, across, q + columns.step * j, j, images);
    }
  }
  first_strip.push_back(int64_t(strips.size()));
  begin.push_back(tap_list.size());
  for (size_t i = 0; i < strips.size(); ++i) {
    strips[i].taps = tap_list.data() + begin[i];
    strips[i].n_taps = int64_t(begin[i + 1] - begin[i]);
  }
}

// Whether outputs at c, whose taps are the last of the list, go on where the last strip ends.
bool ConvStrips::follows(int64_t c, const std::vector<size_t>& begin) const {
  if (strips.empty() || c != strips.back().c + strips.back().rows * L) return false;
  const size_t now = begin.back(), before = begin[begin.size() - 2], taps = tap_list.size() - now;
  if (now - before != taps) return false;
  for (size_t i = 0; i < taps; ++i)
    if (tap_list[now + i].b != tap_list[before + i].b ||
        tap_list[now + i].a != tap_list[before + i].a + strips.back().rows * L)
      return false;
  return true;
}

ConvRuns::ConvRuns(const ConvStrips& p) : taps_(p.taps), height_(p.rows.out) {
  at_.assign(size_t(taps_ * (height_ + 1)), 0);
  const auto for_each = [&](auto&& f) {  // f(index of tap and row, strip, tap)
    for (int64_t y = 0; y < height_; ++y)
      for (int64_t i = p.first_strip[size_t(y)]; i < p.first_strip[size_t(y + 1)]; ++i) {
        const ConvStrip& s = p.strips[size_t(i)];
        for (int64_t j = 0; j < s.n_taps; ++j)
          f(size_t(s.taps[j].b / p.C * (height_ + 1) + y), s, s.taps[j]);
      }
  };
  for_each([&](size_t at, const ConvStrip&, const ConvTap&) { ++at_[at]; });
  int64_t total = 0;
  for (int64_t& at : at_) {
    const int64_t count = at;
    at = total;
    total += count;
  }
  list.resize(size_t(total));
  std::vector<int64_t> next = at_;
  for_each([&](size_t at, const ConvStrip& s, const ConvTap& tap) {
    list[size_t(next[at]++)] = {tap.a, s.c, s.rows};
  });
}
void ConvRuns::of_rows(int64_t row, int64_t rows, int64_t* bounds) const {
  for (int64_t tap = 0; tap < taps_; ++tap) {
    const int64_t* const at = at_.data() + tap * (height_ + 1) + row;
    bounds[2 * tap] = at[0], bounds[2 * tap + 1] = at[rows];
  }
}

}  // namespace lamina
