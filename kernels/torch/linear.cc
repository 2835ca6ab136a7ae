// torch.classes.dyad.Linear: a packed linear layer of the server, for Python. README.md is its
// contract.
//
// Everything is checked here, because the kernels check nothing; errors are raised the way
// LibTorch's own are, as ValueError.
#include "kernels/linear.h"

#include <sys/types.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ATen/Parallel.h"
#include "ATen/core/grad_mode.h"
#include "ATen/ops/empty.h"
#include "ATen/ops/eye.h"
#include "kernels/thread_pool.h"
#include "nlohmann/json.hpp"
#include "torch/custom_class.h"

namespace dyad::kernels {
namespace {

using Tensors = c10::Dict<std::string, at::Tensor>;

template <typename Value>
struct Named {
  std::string_view name;
  Value value;
};

// A type that weights are packed in, and the type that the kernels read them in.
struct PackedAs {
  WeightType type;
  at::ScalarType source;
};

constexpr Named<PackedAs> kWeightTypes[] = {
    {"float32", {WeightType::kFloat32, at::kFloat}},
    {"bfloat16", {WeightType::kBfloat16, at::kBFloat16}},
    {"float16", {WeightType::kFloat16, at::kHalf}},
    {"int8", {WeightType::kInt8, at::kFloat}},  // quantised while packing, from float32
};
constexpr Named<Activation> kActivations[] = {
    {"none", Activation::kNone},
    {"relu", Activation::kRelu},
    {"gelu", Activation::kGelu},
    {"gelu_tanh", Activation::kGeluTanh},
};
constexpr Named<DyadVariant> kVariants[] = {
    {"it", DyadVariant::kIt},
    {"ot", DyadVariant::kOt},
    {"dt", DyadVariant::kDt},
};
constexpr at::ScalarType kStoredTypes[] = {at::kFloat, at::kBFloat16, at::kHalf, at::kDouble};

// `field` names the argument in the message.
template <typename Value, size_t n>
Value Choose(const Named<Value> (&table)[n], std::string_view field, const std::string& name) {
  std::string names;
  for (const Named<Value>& row : table) {
    if (row.name == name) return row.value;
    names.append(names.empty() ? "" : ", ").append(row.name);
  }
  TORCH_CHECK_VALUE(false, field, " is '", name, "'; expected one of: ", names);
}

// --- The constructor's arguments -> a checked layer -----------------------------------------

// What a spec points to: contiguous, on the CPU, finite, of the weight type's source type.
struct Layer {
  std::vector<at::Tensor> weights;  // dense: weight [out, in]; dyad: wl, wu [blocks, …, …]
  std::vector<float> bias;          // [out] or empty
  WeightType type = WeightType::kFloat32;
  DyadVariant variant = DyadVariant::kIt;

  bool is_dyad() const { return weights.size() == 2; }
};

LinearSpec SpecOf(const Layer& layer, std::span<const float> bias) {
  const at::Tensor& first = layer.weights.front();
  if (!layer.is_dyad()) {
    return DenseSpec(first.size(1), first.size(0), layer.type, first.data_ptr(), bias);
  }
  const int64_t blocks = first.size(0);
  return DyadSpec(blocks * first.size(2), blocks * first.size(1), layer.type, layer.variant,
                  {blocks, first.data_ptr(), layer.weights.back().data_ptr()}, bias);
}

std::string FoundNames(const Tensors& tensors) {
  std::vector<std::string> names;
  for (const auto& entry : tensors) names.push_back(entry.key());
  std::sort(names.begin(), names.end());
  std::string text;
  for (const std::string& name : names) text.append(text.empty() ? "" : ", ").append(name);
  return text.empty() ? "none" : text;
}

void CheckNames(const Tensors& tensors, const std::string& kind,
                const std::vector<std::string>& required) {
  size_t known = tensors.contains("bias") ? 1 : 0;
  std::string expected;
  for (const std::string& name : required) {
    known += tensors.contains(name) ? 1 : 0;
    expected += name + ", ";
  }
  const bool complete = std::all_of(required.begin(), required.end(), [&](const std::string& name) {
    return tensors.contains(name);
  });
  TORCH_CHECK_VALUE(complete && known == tensors.size(),
                    "tensors has the keys: ", FoundNames(tensors), "; kind '", kind,
                    "' expects: ", expected, "and bias if there is one");
}

// A copy of our own: later changes of the caller's tensor do not reach the layer.
at::Tensor Convert(const Tensors& tensors, const std::string& name,
                   const Named<at::ScalarType>& type) {
  const at::Tensor& tensor = tensors.at(name);
  const auto field = [&] { return "tensors['" + name + "']"; };
  TORCH_CHECK_VALUE(tensor.device().is_cpu() && tensor.layout() == at::kStrided, field(), " is ",
                    tensor.layout(), " on ", tensor.device(), "; expected a Strided tensor on cpu");
  const at::ScalarType stored = tensor.scalar_type();
  TORCH_CHECK_VALUE(
      std::find(std::begin(kStoredTypes), std::end(kStoredTypes), stored) != std::end(kStoredTypes),
      field(), " has dtype ", stored, "; expected float32, bfloat16, float16 or float64");
  const at::Tensor wide = tensor.detach().resolve_neg().to(at::kFloat);
  TORCH_CHECK_VALUE(wide.isfinite().all().item<bool>(), field(),
                    " has an element that is not finite as float32; expected finite numbers");
  at::Tensor copy = at::empty(tensor.sizes(), type.value);
  copy.copy_(wide);
  TORCH_CHECK_VALUE(copy.isfinite().all().item<bool>(), field(), " has an element that overflows ",
                    type.name);
  return copy;
}

void CheckShape(const at::Tensor& tensor, std::string_view name, std::string_view expected,
                bool as_expected) {
  TORCH_CHECK_VALUE(as_expected, "tensors['", name, "'] has shape ", tensor.sizes(), "; expected ",
                    expected);
}

// DYAD writes its bias as a column.
std::vector<float> ConvertBias(const Tensors& tensors, const Layer& layer) {
  if (!tensors.contains("bias")) return {};
  const int64_t out = SpecOf(layer, {}).out_features;
  const at::Tensor bias = Convert(tensors, "bias", {"float32", at::kFloat});
  const bool vector = bias.dim() == 1;
  const bool column = layer.is_dyad() && bias.dim() == 2 && bias.size(1) == 1;
  CheckShape(bias, "bias",
             layer.is_dyad() ? c10::str("[", out, "] or [", out, ", 1]") : c10::str("[", out, "]"),
             (vector || column) && bias.size(0) == out);
  const float* data = bias.data_ptr<float>();
  return {data, data + out};
}

// The options of a kind; `variant` is the only one there is, of dyad.
DyadVariant ParseOptions(const std::string& kind, const std::string& text) {
  const auto json = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  TORCH_CHECK_VALUE(json.is_object(), "options_json is '", text, "'; expected a JSON object");
  std::string variant = "it";
  for (const auto& [member, value] : json.items()) {
    TORCH_CHECK_VALUE(kind == "dyad" && member == "variant", "options_json has the member '",
                      member, "'; kind '", kind, "' has no such option");
    TORCH_CHECK_VALUE(value.is_string(), "options_json: variant is ", value.type_name(),
                      "; expected a string");
    variant = value.get<std::string>();
  }
  return Choose(kVariants, "options_json: variant", variant);
}

Layer MakeLayer(const std::string& kind, const Tensors& tensors, const std::string& options_json,
                const std::string& weight_dtype) {
  TORCH_CHECK_VALUE(kind == "dense" || kind == "dyad", "kind is '", kind,
                    "'; expected one of: dense, dyad");
  const PackedAs packed = Choose(kWeightTypes, "weight_dtype", weight_dtype);
  Layer layer;
  layer.type = packed.type;
  layer.variant = ParseOptions(kind, options_json);
  const std::vector<std::string> names =
      kind == "dense" ? std::vector<std::string>{"weight"} : std::vector<std::string>{"wl", "wu"};
  CheckNames(tensors, kind, names);
  for (const std::string& name : names) {
    layer.weights.push_back(Convert(tensors, name, {weight_dtype, packed.source}));
  }
  const at::Tensor& first = layer.weights.front();
  const int64_t dimensions = kind == "dense" ? 2 : 3;
  CheckShape(first, names[0],
             kind == "dense" ? "[out, in], both at least 1"
                             : "[blocks, out/blocks, in/blocks], each at least 1",
             first.dim() == dimensions && first.numel() > 0);
  CheckShape(layer.weights.back(), names.back(), c10::str("the shape of wl, ", first.sizes()),
             layer.weights.back().sizes() == first.sizes());
  layer.bias = ConvertBias(tensors, layer);
  return layer;
}

// --- The class ------------------------------------------------------------------------------

// One pool for each number of threads and process, made at its first use and never destroyed, so
// that nothing is joined while the interpreter ends. A forked child has no threads but the one that
// forked, so pools of its parent are not used.
ThreadPool& PoolOf(int threads) {
  static auto& mutex = *new std::mutex;
  static auto& pools = *new std::map<std::pair<pid_t, int>, std::unique_ptr<ThreadPool>>;
  const std::scoped_lock lock(mutex);
  std::unique_ptr<ThreadPool>& pool = pools[{getpid(), threads}];
  if (pool == nullptr) pool = std::make_unique<ThreadPool>(threads);
  return *pool;
}

at::Tensor Apply(const PackedLinear& packed, const at::Tensor& rows, Activation activation) {
  constexpr int kMaxThreads = 256;  // of a pool
  Workspace workspace(PoolOf(std::clamp(at::get_num_threads(), 1, kMaxThreads)));
  at::Tensor y = at::empty({rows.size(0), packed.out_features()}, at::kFloat);
  packed.Apply(rows.size(0), {rows.data_ptr<float>(), rows.stride(0)},
               {y.data_ptr<float>(), packed.out_features()},
               {.activation = activation, .residual = {}}, workspace);
  return y;
}

class Linear final : public torch::CustomClassHolder {
 public:
  explicit Linear(Layer layer) : layer_(std::move(layer)), packed_(SpecOf(layer_, layer_.bias)) {}

  at::Tensor Forward(const at::Tensor& x, const std::string& activation_name) const {
    const at::NoGradGuard no_grad;
    const Activation activation = Choose(kActivations, "activation", activation_name);
    TORCH_CHECK_VALUE(x.device().is_cpu() && x.layout() == at::kStrided, "x is ", x.layout(),
                      " on ", x.device(), "; expected a Strided tensor on cpu");
    TORCH_CHECK_VALUE(x.scalar_type() == at::kFloat, "x has dtype ", x.scalar_type(),
                      "; expected float32");
    const int64_t in = packed_.in_features();
    TORCH_CHECK_VALUE(x.dim() >= 1 && x.size(-1) == in, "x has shape ", x.sizes(),
                      "; expected the last dimension to be in = ", in);
    std::vector<int64_t> shape = x.sizes().vec();
    shape.back() = packed_.out_features();
    at::Tensor rows = x.detach().resolve_neg().reshape({x.numel() / in, in});
    if (rows.stride(1) != 1) rows = rows.contiguous();
    return Apply(packed_, rows, activation).view(shape);
  }

  // Applies the layer, without its bias, to the identity: so this is the matrix that serves,
  // whatever the weight type.
  at::Tensor Dense() const {
    const at::NoGradGuard no_grad;
    const PackedLinear unbiased(SpecOf(layer_, {}));
    return Apply(unbiased, at::eye(unbiased.in_features(), at::kFloat), Activation::kNone)
        .t()
        .contiguous();
  }

 private:
  const Layer layer_;  // for Dense; packed_ keeps nothing of it
  const PackedLinear packed_;
};

TORCH_LIBRARY(dyad, library) {
  library.class_<Linear>("Linear")
      .def(torch::init([](const std::string& kind, const Tensors& tensors,
                          const std::string& options_json, const std::string& weight_dtype) {
             const at::NoGradGuard no_grad;
             return c10::make_intrusive<Linear>(
                 MakeLayer(kind, tensors, options_json, weight_dtype));
           }),
           "",
           {torch::arg("kind"), torch::arg("tensors"), torch::arg("options_json"),
            torch::arg("weight_dtype")})
      .def("forward",
           [](const c10::intrusive_ptr<Linear>& self, const at::Tensor& x,
              const std::string& activation) { return self->Forward(x, activation); },
           "", {torch::arg("x"), torch::arg("activation")})
      .def("dense", [](const c10::intrusive_ptr<Linear>& self) { return self->Dense(); });
}

}  // namespace
}  // namespace dyad::kernels
