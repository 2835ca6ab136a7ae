// Gaudi-GBLR: K components of rank p, each of which sees a window of the inputs and writes one of
// the outputs. lr_weight1 V [K, p, in], lr_weight2 U [K, out, p], widths and locations [2, K] (row
// 0 of inputs, row 1 of outputs) as parts of in and out:
//
//   h[t, c, u] = Σ_{i in window1(c)} V[c, u, i] · m1[c, i] · x[t, i]
//   y[t, o]    = Σ_{c: o in window2(c)} Σ_u U[c, o, u] · m2[c, o] · h[t, c, u] + bias[o]
//
// Windows and masks: window_mask.h. The option `gaussian` says whether masks are blurred by
// `sigma`; without it they are boxes. Only windows are kept and multiplied. Both steps are lists of
// places of 32: components that begin near each other share the hull of their windows; 32 outputs
// are sums over the components that meet them. Weights outside a window are zeros.
#include <algorithm>
#include <cmath>

#include "kernels/structures/structures.h"
#include "kernels/structures/window_mask.h"

namespace dyad::kernels {
namespace {

constexpr std::string_view kLeaves[] = {"widths", "locations", "lr_weight1", "lr_weight2"};

bool Matches(const Leaves& leaves) { return leaves.Has("widths") || leaves.Has("locations"); }

struct Tensors {
  const Leaf* widths = nullptr;
  const Leaf* locations = nullptr;
  const Leaf* v = nullptr;  // [K, p, in]
  const Leaf* u = nullptr;  // [K, out, p]
  const Leaf* sigma = nullptr;

  int64_t components() const { return v->shape[0]; }
  int64_t rank() const { return v->shape[1]; }
  int64_t in() const { return v->shape[2]; }
  int64_t out() const { return u->shape[1]; }
};

// One row of V, one column of U.
struct Unit {
  int64_t component = 0;
  int64_t row = 0;  // of its component
};

Fault TakeTensors(Leaves& leaves, LayerSize size, Tensors& tensors) {
  const std::string in = SizeText(size.in, "in"), out = SizeText(size.out, "out");
  const std::string of_v = SizesText({"components", "rank", in});
  tensors.v = leaves.Take("lr_weight1", LeafUse::kWeights);
  if (tensors.v == nullptr) return leaves.Missing("lr_weight1", of_v);
  if (tensors.v->rank() != 3 || tensors.v->elements() == 0 || !size.Fits(tensors.in(), size.out)) {
    return WrongShape(*tensors.v, of_v);
  }
  const std::string of_u =
      SizesText({std::to_string(tensors.components()), out, std::to_string(tensors.rank())});
  tensors.u = leaves.Take("lr_weight2", LeafUse::kWeights);
  if (tensors.u == nullptr) return leaves.Missing("lr_weight2", of_u);
  if (tensors.u->rank() != 3 || tensors.u->elements() == 0 ||
      tensors.u->shape[0] != tensors.components() || tensors.u->shape[2] != tensors.rank() ||
      !size.Fits(size.in, tensors.out())) {
    return WrongShape(*tensors.u, of_u);
  }
  const std::vector<int64_t> pairs = {2, tensors.components()};
  for (const auto& [name, leaf] :
       {std::pair{"widths", &tensors.widths}, {"locations", &tensors.locations}}) {
    *leaf = leaves.Take(name, LeafUse::kSizes);
    if (*leaf == nullptr) return leaves.Missing(name, ShapeText(pairs));
    if ((*leaf)->shape != pairs) return WrongShape(**leaf, ShapeText(pairs));
  }
  tensors.sigma = leaves.Take("sigma", LeafUse::kSizes);
  if (tensors.sigma != nullptr && tensors.sigma->elements() != 1) {
    return WrongShape(*tensors.sigma, "[]");
  }
  // Functions of in and out alone.
  for (const auto& [name, n] : {std::pair{"freq_in", tensors.in()}, {"freq_out", tensors.out()}}) {
    const Leaf* const leaf = leaves.Take(name, LeafUse::kFloats);
    const std::vector<int64_t> expected = {n / 2 + 1};
    if (leaf != nullptr && leaf->shape != expected) return WrongShape(*leaf, ShapeText(expected));
  }
  return {};
}

// widths and locations have data, and so has sigma.
Fault CheckValues(const Tensors& tensors, bool gaussian) {
  for (int64_t i = 0; i < 2 * tensors.components(); ++i) {
    const float width = static_cast<const float*>(tensors.widths->data)[i];
    const float location = static_cast<const float*>(tensors.locations->data)[i];
    if (!(width >= 0 && width <= 1)) {
      return tensors.widths->name + ": element " + std::to_string(i) + " is " +
             std::to_string(width) + "; expected [0, 1]";
    }
    if (!std::isfinite(location)) {
      return tensors.locations->name + ": element " + std::to_string(i) + " is not finite";
    }
  }
  if (!gaussian) return {};
  const float sigma = *static_cast<const float*>(tensors.sigma->data);
  if (sigma > 0 && std::isfinite(sigma)) return {};
  return tensors.sigma->name + " is " + std::to_string(sigma) + "; expected more than 0";
}

// Masks of one side of all components; the whole of it while sizes have no data.
std::vector<WindowMask> MasksOf(const Tensors& tensors, int64_t side, bool gaussian) {
  const int64_t n = side == 0 ? tensors.in() : tensors.out(), count = tensors.components();
  if (tensors.widths->data == nullptr) {
    return std::vector<WindowMask>(static_cast<size_t>(count),
                                   {0, std::vector<double>(static_cast<size_t>(n), 1.0)});
  }
  std::optional<double> sigma;
  if (gaussian) sigma = *static_cast<const float*>(tensors.sigma->data);
  const WindowMasks masks(n, sigma);
  std::vector<WindowMask> result;
  for (int64_t c = side * count; c < (side + 1) * count; ++c) {
    result.push_back(masks.At(static_cast<const float*>(tensors.widths->data)[c],
                              static_cast<const float*>(tensors.locations->data)[c]));
  }
  return result;
}

// The circular range from the first window's start to the last one's end. REQUIRES: sorted by
// start.
struct Hull {
  int64_t start = 0;
  int64_t width = 0;
};
Hull HullOf(std::span<const Unit> units, const std::vector<WindowMask>& masks, int64_t n) {
  Hull hull = {masks[static_cast<size_t>(units[0].component)].start, 0};
  for (const Unit& unit : units) {
    const WindowMask& mask = masks[static_cast<size_t>(unit.component)];
    hull.width = std::max(hull.width, (mask.start - hull.start + n) % n + mask.width());
  }
  hull.width = std::min(hull.width, n);
  return hull;
}

template <typename Visit>
void ForEachPanel(std::span<const Unit> units, Visit visit) {
  for (size_t first = 0; first < units.size(); first += kPlaceOutputs) {
    visit(units.subspan(first, std::min<size_t>(kPlaceOutputs, units.size() - first)));
  }
}

// By width in `buckets` equal parts, each by the window's start.
std::vector<Unit> Ordered(std::vector<Unit> units, const std::vector<WindowMask>& masks,
                          size_t buckets) {
  const auto mask = [&](const Unit& unit) -> const WindowMask& {
    return masks[static_cast<size_t>(unit.component)];
  };
  std::stable_sort(units.begin(), units.end(),
                   [&](const Unit& a, const Unit& b) { return mask(a).width() < mask(b).width(); });
  for (size_t i = 0; i < buckets; ++i) {
    std::stable_sort(units.begin() + static_cast<int64_t>(i * units.size() / buckets),
                     units.begin() + static_cast<int64_t>((i + 1) * units.size() / buckets),
                     [&](const Unit& a, const Unit& b) { return mask(a).start < mask(b).start; });
  }
  return units;
}

// Those whose both windows are not empty, in the order that makes hulls shortest.
std::vector<Unit> LiveUnits(const Tensors& tensors, const std::vector<WindowMask>& in,
                            const std::vector<WindowMask>& out) {
  std::vector<Unit> live, best;
  for (int64_t c = 0; c < tensors.components(); ++c) {
    const auto at = static_cast<size_t>(c);
    if (in[at].width() == 0 || out[at].width() == 0) continue;
    for (int64_t row = 0; row < tensors.rank(); ++row) live.push_back({c, row});
  }
  int64_t least = 0;
  for (const size_t buckets : {1, 2, 3, 4, 6, 8, 12}) {
    const std::vector<Unit> ordered = Ordered(live, in, buckets);
    int64_t cost = 0;
    ForEachPanel(ordered, [&](std::span<const Unit> panel) {
      cost += HullOf(panel, in, tensors.in()).width;
    });
    if (best.empty() || cost < least) {
      best = ordered;
      least = cost;
    }
  }
  return best;
}

// Weights of a list: of a place [depth][32].
struct ListWeights {
  int64_t elements = 0;
  std::vector<float> values;  // empty while leaves have no data
};

void Finish(ListWeights weights, BlockList& list, Plan& plan) {
  list.weights = {.elements = weights.elements, .output = 1, .depth = kPlaceOutputs};
  if (!weights.values.empty()) list.weights.data = KeepFold(std::move(weights.values), plan);
}

BlockList InputList(const Tensors& tensors, std::span<const Unit> units,
                    const std::vector<WindowMask>& masks, Plan& plan) {
  const int64_t n = tensors.in();
  BlockList list = {.source = 0, .destination = 2, .places = {}, .ranges = {}, .weights = {}};
  const std::vector<double> v =
      tensors.v->data == nullptr ? std::vector<double>() : ValuesOf(*tensors.v);
  ListWeights weights;
  int64_t first = 0;
  ForEachPanel(units, [&](std::span<const Unit> panel) {
    const Hull hull = HullOf(panel, masks, n);
    Place place = {.first = first,
                   .outputs = std::ssize(panel),
                   .first_range = std::ssize(list.ranges),
                   .ranges = 1,
                   .weight = weights.elements};
    const int64_t before_end = std::min(hull.width, n - hull.start);
    list.ranges.push_back({hull.start, before_end});
    if (before_end < hull.width) {
      list.ranges.push_back({0, hull.width - before_end});
      place.ranges = 2;
    }
    weights.elements += hull.width * kPlaceOutputs;
    if (!v.empty()) weights.values.resize(static_cast<size_t>(weights.elements));
    for (int64_t i = 0; !v.empty() && i < std::ssize(panel); ++i) {
      const auto [component, row] = panel[static_cast<size_t>(i)];
      const WindowMask& mask = masks[static_cast<size_t>(component)];
      const int64_t offset = (mask.start - hull.start + n) % n;
      for (int64_t k = 0; k < mask.width(); ++k) {
        const int64_t feature = (mask.start + k) % n;
        const int64_t at = place.weight + (offset + k) % n * kPlaceOutputs + i;
        weights.values[static_cast<size_t>(at)] = static_cast<float>(
            v[static_cast<size_t>((component * tensors.rank() + row) * n + feature)] *
            mask.values[static_cast<size_t>(k)]);
      }
    }
    list.places.push_back(place);
    first += place.outputs;
  });
  Finish(std::move(weights), list, plan);
  return list;
}

// The mask of a component at a feature.
double MaskAt(const WindowMask& mask, int64_t feature, int64_t n) {
  const int64_t offset = (feature - mask.start + n) % n;
  return offset < mask.width() ? mask.values[static_cast<size_t>(offset)] : 0.0;
}

BlockList OutputList(const Tensors& tensors, std::span<const Unit> units,
                     const std::vector<WindowMask>& masks, Plan& plan) {
  const int64_t n = tensors.out();
  BlockList list = {.source = 2, .destination = 1, .places = {}, .ranges = {}, .weights = {}};
  const std::vector<double> u =
      tensors.u->data == nullptr ? std::vector<double>() : ValuesOf(*tensors.u);
  ListWeights weights;
  for (int64_t first = 0; first < n; first += kPlaceOutputs) {
    Place place = {.first = first,
                   .outputs = std::min(kPlaceOutputs, n - first),
                   .first_range = std::ssize(list.ranges),
                   .ranges = 0,
                   .weight = weights.elements};
    for (int64_t i = 0; i < std::ssize(units); ++i) {
      const auto [component, row] = units[static_cast<size_t>(i)];
      const WindowMask& mask = masks[static_cast<size_t>(component)];
      const int64_t offset = (mask.start - first + n) % n;  // of the window from the place
      if (offset >= place.outputs && offset + mask.width() <= n) continue;
      if (place.ranges > 0 && list.ranges.back().first + list.ranges.back().count == i) {
        ++list.ranges.back().count;
      } else {
        list.ranges.push_back({i, 1});
        ++place.ranges;
      }
      for (int64_t o = 0; !u.empty() && o < kPlaceOutputs; ++o) {
        const double value =
            o >= place.outputs
                ? 0.0
                : u[static_cast<size_t>((component * n + first + o) * tensors.rank() + row)] *
                      MaskAt(mask, first + o, n);
        weights.values.push_back(static_cast<float>(value));
      }
      weights.elements += kPlaceOutputs;
    }
    if (place.ranges > 0) list.places.push_back(place);
  }
  Finish(std::move(weights), list, plan);
  return list;
}

// Where no component is live y is its bias.
Contract Nothing(const Tensors& tensors, Plan& plan) {
  Contract zeros;
  zeros.depth = 1;
  zeros.outputs = tensors.out();
  zeros.terms = {{{}, {.data = KeepFold({0.0f}, plan), .elements = 1, .depth = 0}}};
  return zeros;
}

Fault Compile(Leaves& leaves, Options& options, LayerSize size, Plan& plan) {
  Tensors tensors;
  Fault fault = TakeTensors(leaves, size, tensors);
  if (!fault.empty()) return fault;
  const bool gaussian = options.Switch("gaussian").value_or(false);
  if (gaussian && tensors.sigma == nullptr) return leaves.Missing("sigma", "[]");
  if (tensors.widths->data != nullptr) fault = CheckValues(tensors, gaussian);
  if (!fault.empty()) return fault;
  const std::vector<WindowMask> in = MasksOf(tensors, 0, gaussian);
  const std::vector<WindowMask> out = MasksOf(tensors, 1, gaussian);
  const std::vector<Unit> units = LiveUnits(tensors, in, out);
  plan = Plan();
  plan.structure = "gblr " + std::to_string(tensors.components()) + " components of rank " +
                   std::to_string(tensors.rank());
  plan.widths = {tensors.in(), tensors.out()};
  if (units.empty()) {
    plan.steps = {Nothing(tensors, plan)};
  } else {
    plan.widths.push_back(std::ssize(units));
    plan.steps.emplace_back(InputList(tensors, units, in, plan));
    plan.steps.emplace_back(OutputList(tensors, units, out, plan));
  }
  return TakeBias(leaves, "bias", size, BiasShape::kVector, plan);
}

// As many components as the lesser side has features.
std::vector<ExampleLeaf> Example(LayerSize size, int64_t) {
  const int64_t components = std::min(size.in, size.out);
  return {{"widths", {2, components}, LeafUse::kSizes},
          {"locations", {2, components}, LeafUse::kSizes},
          {"lr_weight1", {components, 1, size.in}},
          {"lr_weight2", {components, size.out, 1}}};
}

}  // namespace

extern const Structure kGblr;
const Structure kGblr = {.kind = "gblr",
                         .leaves = kLeaves,
                         .network_option = {},
                         .Matches = &Matches,
                         .Compile = &Compile,
                         .Example = &Example};

}  // namespace dyad::kernels
