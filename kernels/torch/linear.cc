// torch.classes.dyad.Linear: a packed linear layer of the server, for Python. README.md is its
// contract.
//
// Everything is checked here, because the kernels check nothing; errors are raised the way
// LibTorch's own are, as ValueError.
#include "kernels/cpu/linear.h"

#include <sys/types.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ATen/Parallel.h"
#include "ATen/core/grad_mode.h"
#include "ATen/ops/empty.h"
#include "ATen/ops/eye.h"
#include "kernels/cpu/thread_pool.h"
#include "kernels/structures/structures.h"
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
  Element type;
  at::ScalarType source;
};

constexpr Named<PackedAs> kWeightTypes[] = {
    {"float32", {Element::kFloat32, at::kFloat}},
    {"bfloat16", {Element::kBfloat16, at::kBFloat16}},
    {"float16", {Element::kFloat16, at::kHalf}},
    {"int8", {Element::kInt8, at::kFloat}},  // quantised while packing, from float32
};
constexpr Named<Activation> kActivations[] = {
    {"none", Activation::kNone},
    {"relu", Activation::kRelu},
    {"gelu", Activation::kGelu},
    {"gelu_tanh", Activation::kGeluTanh},
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

// A plan and the tensors that it points into: contiguous, on the CPU, finite.
struct Layer {
  std::vector<at::Tensor> tensors;
  Plan plan;
};

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

OptionValue OptionOf(const nlohmann::json& value) {
  if (value.is_boolean()) return value.get<bool>();
  if (value.is_number_integer()) return value.get<int64_t>();
  if (value.is_number()) return value.get<double>();
  if (value.is_string()) return value.get<std::string>();
  return std::monostate();
}

Options ParseOptions(const std::string& text) {
  const auto json = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  TORCH_CHECK_VALUE(json.is_object(), "options_json is '", text, "'; expected a JSON object");
  Options options("options_json");
  for (const auto& [member, value] : json.items()) options.Add(member, OptionOf(value));
  return options;
}

void CheckNames(const Structure& structure, const Leaves& leaves) {
  std::string expected;
  for (const std::string_view leaf : structure.leaves) expected.append(leaf).append(", ");
  TORCH_CHECK_VALUE(structure.Matches(leaves), "tensors has the keys: ", leaves.Names(), "; kind '",
                    structure.kind, "' expects: ", expected, "and bias if there is one");
}

Layer MakeLayer(const std::string& kind, const Tensors& tensors, const std::string& options_json,
                const std::string& weight_dtype) {
  const Structure* const structure = FindStructure(kind);
  TORCH_CHECK_VALUE(structure != nullptr, "kind is '", kind,
                    "'; expected one of: ", StructureKinds());
  const PackedAs packed = Choose(kWeightTypes, "weight_dtype", weight_dtype);
  const Options options = ParseOptions(options_json);
  Leaves leaves("tensors['", "']");
  for (const auto& entry : tensors) {
    leaves.Add(entry.key(),
               {.name = "tensors['" + entry.key() + "']", .shape = entry.value().sizes().vec()});
  }
  CheckNames(*structure, leaves);
  Layer layer;
  // First the shapes, then the numbers.
  const auto compile = [&] {
    Options left = options;
    const Fault fault = CompileLayer(*structure, leaves, left, {}, layer.plan);
    TORCH_CHECK_VALUE(fault.empty(), fault);
  };
  compile();
  TORCH_CHECK_VALUE(leaves.untaken().empty(), "tensors has the keys: ", leaves.Names(), "; kind '",
                    kind, "' has no use for ", leaves.untaken().front(),
                    "; expected its own tensors, and bias if there is one");
  for (const auto& [name, use] : leaves.taken()) {
    const bool weights = use == LeafUse::kWeights;
    layer.tensors.push_back(weights ? Convert(tensors, name, {weight_dtype, packed.source})
                                    : Convert(tensors, name, {"float32", at::kFloat}));
    Leaf& leaf = leaves.at(name);
    leaf.data = layer.tensors.back().data_ptr();
    leaf.element = weights && packed.type != Element::kInt8 ? packed.type : Element::kFloat32;
  }
  compile();
  layer.plan.type = packed.type;
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
  explicit Linear(Layer layer) : layer_(std::move(layer)), packed_(layer_.plan) {}

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
    TORCH_CHECK_VALUE(!IsRouted(layer_.plan), layer_.plan.structure,
                      " has no matrix: its rows choose what they are multiplied with");
    Plan plan = layer_.plan;
    plan.bias.clear();
    const PackedLinear unbiased(plan);
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
