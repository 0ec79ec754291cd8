// A recurrent layer's gradient in differentiable ops (formulas: recurrent_cpu.h and
// recurrent_grad_cpu.h). The states are computed anew from the inputs, so that every dependence on
// them is recorded. Cost: about 40 small ops per step; the results are the fused op's.
#include "ops/recurrent_composed.h"

#include "ops/join.h"
#include "ops/ops.h"
#include "ops/recurrent_steps.h"

namespace lamina {
namespace {

Tensor apply_function(const char* name, const Tensor& x) {
  return elementwise(function_index(name), {x});
}
Tensor rows(const Tensor& t, int64_t begin, int64_t n) { return narrow(t, 0, begin, n); }
Tensor join(const Tensors& parts, int64_t dim) {
  return parts.size() == 1 ? parts[0] : cat(parts, dim);
}
Tensor through_sigmoid(const Tensor& g, const Tensor& s) { return g * s * (1.0 - s); }
Tensor through_tanh(const Tensor& g, const Tensor& t) { return g * (1.0 - t * t); }

class Composed {
 public:
  Composed(const RecurrentSizes& s, const Tensor* in)
      : s_(s),
        steps_(s, in[8].defined() ? in[8].data<int64_t>() : nullptr),
        x_(in[0]),
        w_ih_(in[1]),
        w_hh_(in[2]),
        w_hr_(in[5]),
        b_hh_(in[4]),
        h0_(in[6].defined() ? in[6] : zeros({s.B, s.P}, in[0].dtype())),
        c0_(in[7].defined() || s.cell != kLstm ? in[7] : zeros({s.B, s.H}, in[0].dtype())),
        at_(size_t(s.T)) {
    const Tensor projected =
        linear(x_, w_ih_, in[3].defined() ? std::optional(in[3]) : std::nullopt);
    for (int64_t i = 0; i < s.T; ++i) {
      const int64_t t = s.reverse ? s.T - 1 - i : i;
      forward(t, rows(projected, steps_.offset(t), steps_.size(t)));
    }
  }

  Tensors gradients(const Tensor& gy, const Tensor& ghn, const Tensor& gcn) {
    Tensor gh = ghn.defined() ? ghn : zeros({s_.B, s_.P}, x_.dtype()), dh;
    Tensor gc = gcn.defined() || s_.cell != kLstm ? gcn : zeros({s_.B, s_.H}, x_.dtype()), dc;
    Tensors gh0, gc0;  // of sequences in the order they begin, last first
    for (int64_t i = 0; i < s_.T; ++i) {
      const int64_t t = s_.reverse ? i : s_.T - 1 - i, n = steps_.size(t);
      // Sequences whose last step this is take their gradient from the last states.
      const int64_t later = s_.reverse ? (t > 0 ? n : 0) : t + 1 < s_.T ? steps_.size(t + 1) : 0;
      dh = entering(dh, gh, later, n);
      if (s_.cell == kLstm) dc = entering(dc, gc, later, n);
      if (gy.defined()) dh = dh + rows(gy, steps_.offset(t), n);
      backward(at_[size_t(t)], dh, dc);
      const int64_t from = steps_.before(t), stay = from < 0 ? 0 : std::min(n, steps_.size(from));
      if (stay == n) continue;
      gh0.insert(gh0.begin(), rows(dh, stay, n - stay));
      if (s_.cell == kLstm) gc0.insert(gc0.begin(), rows(dc, stay, n - stay));
    }
    const auto over_time = [&](Tensor Step::* what) {
      Tensors all;
      for (const Step& step : at_) all.push_back(step.*what);
      return join(all, 0);
    };
    const Tensor gx = over_time(&Step::g_input), gs = over_time(&Step::g_state);
    const Tensor h = over_time(&Step::h);
    Tensors g(8);
    g[0] = mm(gx, w_ih_);
    g[1] = mm(transpose(gx, 0, 1), x_);
    g[2] = mm(transpose(gs, 0, 1), h);
    if (s_.cell == kGruBefore)
      g[2] = cat({rows(g[2], 0, 2 * s_.H),
                  mm(transpose(narrow(gs, 1, 2 * s_.H, s_.H), 0, 1), over_time(&Step::reset))},
                 0);
    if (b_hh_.defined()) g[3] = sum(gx, Dims{0}), g[4] = sum(gs, Dims{0});
    if (s_.project)
      g[5] = mm(transpose(over_time(&Step::g_result), 0, 1), over_time(&Step::hidden));
    g[6] = join(gh0, 0);
    if (s_.cell == kLstm) g[7] = join(gc0, 0);
    return g;
  }

 private:
  struct Step {
    Tensor h, c;                             // entering
    Tensor y, cell, hidden;                  // leaving; hidden: before the projection
    Tensor k[4], tanh_cell, reset, product;  // gates; tanh c'; r h; W_n h + b
    Tensor g_input, g_state, g_result;
  };

  // The first n rows: `known` ones from `first`, the others from the same rows of `rest`.
  static Tensor entering(const Tensor& first, const Tensor& rest, int64_t known, int64_t n) {
    if (known >= n) return rows(first, 0, n);
    return known ? cat({first, rows(rest, known, n - known)}, 0) : rows(rest, 0, n);
  }
  Tensor part(const Tensor& t, int64_t i) const { return narrow(t, 1, i * s_.H, s_.H); }
  Tensor times_state(const Tensor& h, int64_t gate, int64_t gates) const {
    const Tensor w = rows(w_hh_, gate * s_.H, gates * s_.H);
    if (!b_hh_.defined()) return linear(h, w, std::nullopt);
    return linear(h, w, rows(b_hh_, gate * s_.H, gates * s_.H));
  }

  void forward(int64_t t, const Tensor& a) {
    const int64_t n = steps_.size(t), from = steps_.before(t);
    Step& p = at_[size_t(t)];
    const Step* const before = from < 0 ? nullptr : &at_[size_t(from)];
    const int64_t known = before ? steps_.size(from) : 0;
    p.h = entering(before ? before->y : Tensor(), h0_, known, n);
    if (s_.cell == kLstm) {
      p.c = entering(before ? before->cell : Tensor(), c0_, known, n);
      const Tensor v = a + times_state(p.h, 0, 4);
      for (int i = 0; i < 4; ++i) p.k[i] = apply_function(i == 2 ? "tanh" : "sigmoid", part(v, i));
      p.cell = p.k[1] * p.c + p.k[0] * p.k[2];
      p.tanh_cell = apply_function("tanh", p.cell);
      p.hidden = p.k[3] * p.tanh_cell;
      p.y = s_.project ? linear(p.hidden, w_hr_, std::nullopt) : p.hidden;
      return;
    }
    if (s_.cell < kLstm) {
      p.y = apply_function(s_.cell == kRnnTanh ? "tanh" : "relu", a + times_state(p.h, 0, 1));
      return;
    }
    const Tensor u = times_state(p.h, 0, s_.cell == kGru ? 3 : 2);
    for (int i = 0; i < 2; ++i) p.k[i] = apply_function("sigmoid", part(a, i) + part(u, i));
    if (s_.cell == kGru) {
      p.product = part(u, 2);
      p.k[2] = apply_function("tanh", part(a, 2) + p.k[0] * p.product);
    } else {
      p.reset = p.k[0] * p.h;
      p.k[2] = apply_function("tanh", part(a, 2) + times_state(p.reset, 2, 1));
    }
    p.y = p.k[2] + p.k[1] * (p.h - p.k[2]);
  }

  // dh, dc: d loss / d (y, cell) of the step, and after it of (h, c).
  void backward(Step& p, Tensor& dh, Tensor& dc) const {
    const Tensor *const k = p.k, w = w_hh_;
    if (s_.cell < kLstm) {
      p.g_input = p.g_state =
          s_.cell == kRnnTanh ? through_tanh(dh, p.y)
                              : where(elementwise(function_index("gt"), {p.y, scalar_tensor(0.0)}),
                                      dh, zeros_like(dh));
      dh = mm(p.g_state, w);
      return;
    }
    if (s_.cell == kLstm) {
      if (s_.project) p.g_result = dh, dh = mm(dh, w_hr_);
      const Tensor g = dc + through_tanh(dh * k[3], p.tanh_cell);
      p.g_input = p.g_state =
          cat({through_sigmoid(g * k[2], k[0]), through_sigmoid(g * p.c, k[1]),
               through_tanh(g * k[0], k[2]), through_sigmoid(dh * p.tanh_cell, k[3])},
              1);
      dc = g * k[1];
      dh = mm(p.g_state, w);
      return;
    }
    const Tensor dn = through_tanh(dh * (1.0 - k[1]), k[2]);
    const Tensor dz = through_sigmoid(dh * (p.h - k[2]), k[1]);
    if (s_.cell == kGru) {
      const Tensor dr = through_sigmoid(dn * p.product, k[0]);
      p.g_input = cat({dr, dz, dn}, 1);
      p.g_state = cat({dr, dz, dn * k[0]}, 1);
      dh = dh * k[1] + mm(p.g_state, w);
      return;
    }
    const Tensor reset = mm(dn, rows(w, 2 * s_.H, s_.H));
    const Tensor dr = through_sigmoid(reset * p.h, k[0]);
    p.g_input = p.g_state = cat({dr, dz, dn}, 1);
    dh = dh * k[1] + reset * k[0] + mm(cat({dr, dz}, 1), rows(w, 0, 2 * s_.H));
  }

  const RecurrentSizes& s_;
  RecurrentSteps steps_;
  Tensor x_, w_ih_, w_hh_, w_hr_, b_hh_, h0_, c0_;
  std::vector<Step> at_;
};

}  // namespace

Tensors recurrent_composed_grad(const RecurrentSizes& s, const Tensor* in, const Tensor& gy,
                                const Tensor& ghn, const Tensor& gcn) {
  return Composed(s, in).gradients(gy, ghn, gcn);
}

}  // namespace lamina
